//! TIFF: the first page, as Pillow reads it.
//!
//! The container is read here, strips and tiles are unpacked by `weezl`, `flate2` and `jpeg-decoder`.
//! (The crate `tiff` 0.11.3 reads no palettes.)

mod compression;
mod directory;
mod page;

use super::jpeg;
use crate::picture::{Picture, orientation};
use compression::Compression;
use directory::Directory;
use page::{Colours, Page};
use std::ops::Range;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let tags = Directory::first(bytes).ok_or("damaged TIFF: its list of tags is cut off")?;
    let page = Page::read(&tags)?;
    let rgb = rgb(&page, &samples(&page, bytes)?)?;
    let picture = Picture::new(page.width as u32, page.height as u32, rgb).ok_or("damaged TIFF")?;
    Ok(orientation::upright(picture, page.orientation))
}

/// Samples of a pixel that decide its colour.
fn used(page: &Page<'_>) -> usize {
    page.colours.samples() + page.premultiplied as usize
}

/// The samples that matter, `[height][width][used]`: of 16 bits the high byte, fewer than 8 as they are.
fn samples(page: &Page<'_>, file: &[u8]) -> Result<Vec<u8>, String> {
    let used = used(page);
    let across = page.width.div_ceil(page.tile_width);
    let down = page.height.div_ceil(page.tile_height);
    let planes = if page.planar { used } else { 1 };
    if page.tiles.len() < planes * across * down {
        return Err("damaged TIFF: strips or tiles are missing".into());
    }
    let mut all = vec![0; page.width * page.height * used];
    for plane in 0..planes {
        for tile in 0..across * down {
            let (left, top) = (
                tile % across * page.tile_width,
                tile / across * page.tile_height,
            );
            let seen = top..page.height.min(top + page.tile_height);
            let rows = unpack(page, file, plane * across * down + tile, seen.len())?;
            let columns = left..page.width.min(left + page.tile_width);
            // In a plane of its own a sample is alone.
            let (each, to) = match page.planar {
                true => (1, plane..plane + 1),
                false => (page.samples, 0..used),
            };
            for (y, row) in seen.zip(rows.chunks_exact(row_len(page))) {
                let out = &mut all[y * page.width * used..][..page.width * used];
                take(
                    page,
                    row,
                    each,
                    &mut out[columns.start * used..columns.end * used],
                    to.clone(),
                );
            }
        }
    }
    Ok(all)
}

/// Samples of a tile that belong to one pixel.
fn per_pixel(page: &Page<'_>) -> usize {
    if page.planar { 1 } else { page.samples }
}

/// Bytes of a tile's row.
fn row_len(page: &Page<'_>) -> usize {
    (page.tile_width * per_pixel(page) * page.bits).div_ceil(8)
}

/// The rows of a tile; at least those that are seen.
fn unpack(page: &Page<'_>, file: &[u8], tile: usize, seen: usize) -> Result<Vec<u8>, String> {
    let start = usize::try_from(page.tiles[tile]).unwrap_or(usize::MAX);
    let data = file
        .get(start..)
        .ok_or("damaged TIFF: the file is cut off")?;
    let len = page.lengths.get(tile).copied().filter(|&len| len > 0);
    // The rest of the file for each of many strips would be read again and again.
    if len.is_none() && page.tiles.len() > 1 {
        return Err("damaged TIFF: lengths of strips are missing".into());
    }
    let len = len.map_or(data.len(), |len| {
        data.len().min(usize::try_from(len).unwrap_or(usize::MAX))
    });
    let data = &data[..len];
    if page.compression == Compression::Jpeg {
        return jpeg_tile(page, data, seen);
    }
    let turned: Vec<u8>;
    let data = match page.reversed {
        true => {
            turned = data.iter().map(|b| b.reverse_bits()).collect();
            &turned
        }
        false => data,
    };
    let height = if page.full_tiles {
        page.tile_height
    } else {
        seen
    };
    let mut rows = page.compression.unpack(data, row_len(page) * height)?;
    if page.differences {
        for row in rows.chunks_exact_mut(row_len(page)) {
            sum(row, per_pixel(page), page.bits, page.little);
        }
    }
    Ok(rows)
}

fn jpeg_tile(page: &Page<'_>, data: &[u8], seen: usize) -> Result<Vec<u8>, String> {
    // The tables are a JPEG without a picture, the tile one without tables.
    let tables = page.jpeg_tables.and_then(|t| t.strip_suffix(&[0xff, 0xd9]));
    let data = match (tables, data.strip_prefix(&[0xff, 0xd8])) {
        (Some(tables), Some(rest)) => &[tables, rest].concat(),
        _ => data,
    };
    let tile = jpeg::samples(data, page.colours == Colours::YCbCr, per_pixel(page))?;
    let fits = tile.width == page.tile_width
        && (seen..=page.tile_height).contains(&tile.height)
        && tile.samples == per_pixel(page);
    match fits {
        true => Ok(tile.data),
        false => Err("damaged TIFF: a JPEG in it has another size".into()),
    }
}

/// Undoes a row's differences.
fn sum(row: &mut [u8], samples: usize, bits: usize, little: bool) {
    if bits == 8 {
        for i in samples..row.len() {
            row[i] = row[i].wrapping_add(row[i - samples]);
        }
        return;
    }
    // A sample's bytes, the least first, and back.
    let order = |[a, b]: [u8; 2]| if little { [a, b] } else { [b, a] };
    for i in samples..row.len() / 2 {
        let at = |i: usize| u16::from_le_bytes(order([row[2 * i], row[2 * i + 1]]));
        let sum = at(i).wrapping_add(at(i - samples));
        row[2 * i..2 * i + 2].copy_from_slice(&order(sum.to_le_bytes()));
    }
}

/// Puts the first samples of a tile's row, of which `each` are a pixel, to the places `to` of pixels.
fn take(page: &Page<'_>, row: &[u8], each: usize, out: &mut [u8], to: Range<usize>) {
    let (bits, high) = (page.bits, usize::from(page.little));
    let sample = |i: usize| match bits {
        8 => row[i],
        16 => row[2 * i + high],
        _ => {
            let in_byte = 8 / bits;
            row[i / in_byte] >> (8 - bits - i % in_byte * bits) & ((1 << bits) - 1)
        }
    };
    for (x, pixel) in out.chunks_exact_mut(used(page)).enumerate() {
        for (s, value) in pixel[to.clone()].iter_mut().enumerate() {
            *value = sample(x * each + s);
        }
    }
}

/// The colours of [`samples`].
fn rgb(page: &Page<'_>, samples: &[u8]) -> Result<Vec<u8>, String> {
    let pixels = samples.chunks_exact(used(page));
    let most = if page.bits < 8 {
        (1u16 << page.bits) - 1
    } else {
        255
    };
    let gray = |v: u8, white| {
        let v = (u16::from(v) * 255 / most) as u8;
        if white { 255 - v } else { v }
    };
    Ok(match page.colours {
        Colours::Gray(white) if page.premultiplied => pixels
            .flat_map(|p| [divided(gray(p[0], white), p[1]); 3])
            .collect(),
        Colours::Gray(white) => pixels.flat_map(|p| [gray(p[0], white); 3]).collect(),
        Colours::Rgb if page.premultiplied => pixels
            .flat_map(|p| [0, 1, 2].map(|c| divided(p[c], p[3])))
            .collect(),
        Colours::Rgb | Colours::YCbCr => samples.to_vec(),
        Colours::Palette => {
            let palette = palette(page)?;
            samples.iter().flat_map(|&i| palette[i as usize]).collect()
        }
        Colours::Cmyk => pixels.flat_map(cmyk_to_rgb).collect(),
    })
}

/// A colour without the alpha that it was multiplied with.
fn divided(colour: u8, alpha: u8) -> u8 {
    match alpha {
        0 => 0,
        alpha => (u32::from(colour) * 255 / u32::from(alpha)).min(255) as u8,
    }
}

/// All reds, then all greens, then all blues, of 16 bits each.
fn palette(page: &Page<'_>) -> Result<[[u8; 3]; 256], String> {
    let (map, len) = (&page.colour_map, 1 << page.bits);
    if map.len() < 3 * len {
        return Err("damaged TIFF: its palette is missing or too short".into());
    }
    // Some writers put 8 bits there.
    let shift = if map.iter().all(|&v| v < 256) { 0 } else { 8 };
    let mut palette = [[0; 3]; 256];
    for (i, colour) in palette.iter_mut().take(len).enumerate() {
        *colour = [0, 1, 2].map(|c| (map[c * len + i] >> shift) as u8);
    }
    Ok(palette)
}

/// With Pillow's rounding.
fn cmyk_to_rgb(p: &[u8]) -> [u8; 3] {
    let light = 255 - u32::from(p[3]);
    [0, 1, 2].map(|c| {
        let t = u32::from(p[c]) * light + 128;
        light.saturating_sub((t + (t >> 8)) >> 8) as u8
    })
}
