//! Windows and OS/2 bitmaps (BMP), as Pillow reads them: 1 to 32 bits, palettes, masks, run lengths.

use super::check_size;
use crate::picture::Picture;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let header = Header::read(bytes)?;
    check_size(header.width, header.height)?;
    let row = header.width as usize * 3;
    let mut rgb = Vec::with_capacity(row * header.height as usize);
    match (header.compression, header.bits) {
        (RAW, 1 | 4 | 8) => packed_indices(&header, bytes, &mut rgb)?,
        (RAW | MASKS | ALPHA_MASKS, 16 | 24 | 32) => colours(&header, bytes, &mut rgb)?,
        (RUNS_8, 8) | (RUNS_4, 4) => {
            let palette = Palette::read(&header, bytes)?;
            let indices = runs(&header, bytes)?;
            rgb.extend(indices.iter().flat_map(|&i| palette.0[i as usize]));
        }
        (compression, bits) => {
            return Err(format!(
                "BMP with {bits} bits a pixel and compression {compression}, which is not read"
            ));
        }
    }
    if header.upwards {
        rgb = rgb.chunks_exact(row).rev().flatten().copied().collect();
    }
    Picture::new(header.width, header.height, rgb)
        .ok_or_else(|| "damaged BMP: the amount of data does not fit its size".into())
}

const RAW: u32 = 0;
const RUNS_8: u32 = 1;
const RUNS_4: u32 = 2;
const MASKS: u32 = 3;
const ALPHA_MASKS: u32 = 6;

const CUT_OFF: &str = "damaged BMP: the file is cut off";

struct Header {
    width: u32,
    height: u32,
    /// Rows begin at the bottom.
    upwards: bool,
    bits: u16,
    compression: u32,
    /// Where the palette begins, how many colours it has and how many bytes each.
    palette: usize,
    colours: usize,
    entry: usize,
    /// Where the pixels begin.
    pixels: usize,
    /// The bits of red, green and blue in a pixel.
    masks: [u32; 3],
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let u16_at = |at: usize| -> Result<u16, &str> {
            let b = bytes.get(at..at + 2).ok_or(CUT_OFF)?;
            Ok(u16::from_le_bytes([b[0], b[1]]))
        };
        let u32_at = |at: usize| -> Result<u32, &str> {
            Ok(u16_at(at)? as u32 | (u16_at(at + 2)? as u32) << 16)
        };
        let size = u32_at(14)? as usize;
        let end = 14 + size;
        let old = size == 12;
        let (width, height, bits) = match old {
            true => (u16_at(18)?.into(), u16_at(20)?.into(), u16_at(24)?),
            false => (u32_at(18)?, u32_at(22)? as i32, u16_at(28)?),
        };
        // The short OS/2 header of 16 bytes ends before these.
        let (compression, colours) = match size >= 40 {
            true => (u32_at(30)?, u32_at(46)? as usize),
            false => (RAW, 0),
        };
        // OS/2 has compressions of its own with the same numbers.
        if size == 64 && compression > RUNS_4 {
            return Err("OS/2 BMP with a compression that is not read".into());
        }
        let usual = match bits {
            16 => [0x7c00, 0x3e0, 0x1f],
            _ => [0xff_0000, 0xff00, 0xff],
        };
        let masked = matches!(compression, MASKS | ALPHA_MASKS);
        let masks = match masked {
            true => [u32_at(54)?, u32_at(58)?, u32_at(62)?],
            false => usual,
        };
        let masks = if masks == [0; 3] { usual } else { masks };
        // Masks that no longer header has come after it.
        let extra = match (masked && size == 40, compression) {
            (true, MASKS) => 12,
            (true, _) => 16,
            _ => 0,
        };
        let all = 1usize << bits.min(8);
        let entry = if old { 3 } else { 4 };
        let colours = if colours == 0 || colours > all {
            all
        } else {
            colours
        };
        let palette = end + extra;
        let pixels = u32_at(10)? as usize;
        // Some writers forget the palette when they count.
        let pixels = match bits <= 8 && pixels <= end {
            true => palette + colours * entry,
            false => pixels,
        };
        Ok(Self {
            width,
            height: height.unsigned_abs(),
            upwards: height >= 0,
            bits,
            compression,
            palette,
            colours,
            entry,
            pixels,
            masks,
        })
    }

    /// The rows as they are stored, without padding.
    fn rows<'a>(&self, bytes: &'a [u8]) -> Result<impl Iterator<Item = &'a [u8]>, String> {
        let bits = self.width as usize * self.bits as usize;
        let (used, stride) = (bits.div_ceil(8), bits.div_ceil(32) * 4);
        let rows = self.height as usize;
        let data = bytes.get(self.pixels..).unwrap_or_default();
        // The padding of the last row may be missing.
        if data.len() < stride * (rows - 1) + used {
            return Err(CUT_OFF.into());
        }
        Ok(data.chunks(stride).take(rows).map(move |row| &row[..used]))
    }
}

/// The colours of indices; those that the file lacks are black.
struct Palette([[u8; 3]; 256]);

impl Palette {
    fn read(header: &Header, bytes: &[u8]) -> Result<Self, String> {
        let len = header.colours * header.entry;
        let entries = bytes
            .get(header.palette..header.palette + len)
            .ok_or(CUT_OFF)?;
        let mut palette = Self([[0; 3]; 256]);
        for (colour, e) in palette.0.iter_mut().zip(entries.chunks_exact(header.entry)) {
            *colour = [e[2], e[1], e[0]];
        }
        Ok(palette)
    }
}

fn packed_indices(header: &Header, bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(), String> {
    let palette = Palette::read(header, bytes)?;
    let (bits, each) = (header.bits as usize, 8 / header.bits as usize);
    let mask = (1u16 << bits) as u8;
    for row in header.rows(bytes)? {
        let indices = (0..header.width as usize)
            .map(|x| row[x / each] >> (8 - bits - x % each * bits) & mask.wrapping_sub(1));
        rgb.extend(indices.flat_map(|i| palette.0[i as usize]));
    }
    Ok(())
}

fn colours(header: &Header, bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(), String> {
    let channels = header.masks.map(Channel::of);
    let whole = header.masks == [0xff_0000, 0xff00, 0xff];
    let each = header.bits as usize / 8;
    for row in header.rows(bytes)? {
        for p in row.chunks_exact(each) {
            let mut pixel = [0; 4];
            pixel[..each].copy_from_slice(p);
            if whole {
                rgb.extend([pixel[2], pixel[1], pixel[0]]);
            } else {
                rgb.extend(
                    channels
                        .iter()
                        .map(|c| c.of_pixel(u32::from_le_bytes(pixel))),
                );
            }
        }
    }
    Ok(())
}

/// Which bits of a pixel are a channel.
struct Channel {
    mask: u32,
    shift: u32,
    most: u64,
}

impl Channel {
    fn of(mask: u32) -> Self {
        let shift = mask.trailing_zeros() % 32;
        Self {
            mask,
            shift,
            most: (mask >> shift).max(1).into(),
        }
    }

    fn of_pixel(&self, pixel: u32) -> u8 {
        let value = u64::from((pixel & self.mask) >> self.shift);
        (value * 255 / self.most) as u8
    }
}

/// Indices that are stored as runs. What is skipped is index 0.
fn runs(header: &Header, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (width, height) = (header.width as usize, header.height as usize);
    let four = header.compression == RUNS_4;
    let mut indices = vec![0; width * height];
    let mut data = bytes
        .get(header.pixels..)
        .unwrap_or_default()
        .iter()
        .copied();
    let mut next = || data.next().ok_or(CUT_OFF);
    // Pixels of a byte with one or two of them.
    let half = |byte: u8, i: usize| match four {
        true if i.is_multiple_of(2) => byte >> 4,
        true => byte & 15,
        false => byte,
    };
    let (mut x, mut y) = (0, 0);
    while y < height {
        let (count, value) = (next()?, next()?);
        let mut put = |x: usize, index: u8| {
            // What goes beyond a row's end is lost.
            if x < width {
                indices[y * width + x] = index;
            }
        };
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => (x, y) = (x + next()? as usize, y + next()? as usize),
            (0, len) => {
                let stored = if four { len.div_ceil(2) } else { len };
                let mut byte = 0;
                for i in 0..len as usize {
                    if !four || i.is_multiple_of(2) {
                        byte = next()?;
                    }
                    put(x + i, half(byte, i));
                }
                if !stored.is_multiple_of(2) {
                    // It may be missing at the end of a file.
                    let _ = next();
                }
                x += len as usize;
            }
            (count, value) => {
                (0..count as usize).for_each(|i| put(x + i, half(value, i)));
                x += count as usize;
            }
        }
        if x >= width && y + 1 == height {
            break;
        }
    }
    Ok(indices)
}
