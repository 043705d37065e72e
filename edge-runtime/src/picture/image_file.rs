//! JPEG and PNG files to pictures and back to PNG. The content decides, not the name.
//!
//! Files are hostile: sizes are checked before anything is allocated for them. The JPEG decoder is
//! `jpeg-decoder` in portable Rust, because it gives the same pixels on every machine and is the
//! closest to libjpeg-turbo (whose pixels networks were trained on): on CIFAR's 4:2:0 files the mean
//! difference is 0.08 of 255, where zune-jpeg has 0.30. Knows nothing of networks.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::{Picture, orientation};

/// Most pixels of a picture that is read; a 48 megapixel photograph passes.
pub const MAX_PIXELS: u64 = 50_000_000;
/// Longest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// Why a picture cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be read.
    #[error("{}: cannot read the picture: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The content is not a picture that we can decode.
    #[error("{}: {problem}; replace or remove the file", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads a JPEG or PNG file, turned upright if its EXIF says so.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let failed = |source| PictureError::Read {
        path: path.into(),
        source,
    };
    let broken = |problem| PictureError::Decode {
        path: path.into(),
        problem,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(broken("not a regular file".into()));
    }
    if metadata.len() > MAX_FILE {
        return Err(broken(format!(
            "{} bytes, more than the limit of {MAX_FILE}",
            metadata.len()
        )));
    }
    decode(&std::fs::read(path).map_err(failed)?).map_err(broken)
}

/// Decodes the content of a JPEG or PNG file; the error is one line without the file's name.
///
/// Transparency is dropped, as Pillow's `convert("RGB")` does.
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes)
    } else if bytes.is_empty() {
        Err("the file is empty".into())
    } else {
        Err("neither a JPEG nor a PNG picture".into())
    }
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    match width as u64 * height as u64 {
        0 => Err(format!("a picture of {width}x{height} pixels")),
        n if n > MAX_PIXELS => Err(format!(
            "{width}x{height} pixels, more than the limit of {MAX_PIXELS}"
        )),
        _ => Ok(()),
    }
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    use jpeg_decoder::PixelFormat;
    let broken = |e: jpeg_decoder::Error| format!("damaged or unsupported JPEG: {e}");
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_PIXELS as usize * 4);
    decoder.read_info().map_err(broken)?;
    let info = decoder.info().ok_or("JPEG without a frame")?;
    let (width, height) = (info.width as u32, info.height as u32);
    check_size(width, height)?;
    let pixels = decoder.decode().map_err(broken)?;
    // The size may come after the first scan's header; what counts is what was decoded.
    let info = decoder.info().ok_or("JPEG without a frame")?;
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.iter().flat_map(|&v| [v; 3]).collect(),
        PixelFormat::L16 => pixels
            .chunks_exact(2)
            .flat_map(|v| [(u16::from_ne_bytes([v[0], v[1]]) >> 8) as u8; 3])
            .collect(),
        PixelFormat::CMYK32 => pixels.chunks_exact(4).flat_map(cmyk_to_rgb).collect(),
    };
    let orientation = decoder.exif_data().map_or(1, orientation::of_exif);
    let picture = Picture::new(info.width as u32, info.height as u32, rgb)
        .ok_or("damaged JPEG: the amount of data does not fit its size")?;
    Ok(orientation::upright(picture, orientation))
}

fn cmyk_to_rgb(p: &[u8]) -> [u8; 3] {
    let light = |ink: u8| ((255 - ink as u32) * (255 - p[3] as u32) / 255) as u8;
    [light(p[0]), light(p[1]), light(p[2])]
}

fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
    use png::ColorType;
    let broken = |e: png::DecodingError| format!("damaged or unsupported PNG: {e}");
    let limits = png::Limits {
        bytes: MAX_PIXELS as usize * 8,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = (reader.info().width, reader.info().height);
    check_size(width, height)?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("PNG too large")?];
    let frame = reader.next_frame(&mut pixels).map_err(broken)?;
    pixels.truncate(frame.buffer_size());
    let rgb = match frame.color_type {
        ColorType::Rgb => pixels,
        ColorType::Rgba => pixels
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect(),
        ColorType::Grayscale => pixels.iter().flat_map(|&v| [v; 3]).collect(),
        ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        ColorType::Indexed => return Err("PNG with a palette that cannot be expanded".into()),
    };
    let orientation = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation::of_exif);
    let picture = Picture::new(frame.width, frame.height, rgb)
        .ok_or("damaged PNG: the amount of data does not fit its size")?;
    Ok(orientation::upright(picture, orientation))
}

/// The picture as a PNG file's content.
pub fn encode_png(picture: &Picture) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut w| {
        w.write_image_data(picture.rgb())?;
        w.finish()
    });
    written.expect("a picture has a size that fits its data, and memory takes every byte");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24x16, 4:2:0, written by Pillow from a picture of our own; the second says orientation 6.
    const JPEG: &[u8] = include_bytes!("test_pictures/gradient.jpg");
    const TURNED: &[u8] = include_bytes!("test_pictures/gradient_turned.jpg");
    /// What Pillow decodes `JPEG` to.
    const PIXELS: &[u8] = include_bytes!("test_pictures/gradient.rgb");
    const PROGRESSIVE_GRAY: &[u8] = include_bytes!("test_pictures/gray_progressive.jpg");
    const CMYK: &[u8] = include_bytes!("test_pictures/cmyk.jpg");

    fn mean_difference(a: &[u8], b: &[u8]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter()
            .zip(b)
            .map(|(&a, &b)| a.abs_diff(b) as f32)
            .sum::<f32>()
            / a.len() as f32
    }

    #[test]
    fn jpeg_is_near_libjpeg_turbo() {
        let p = decode(JPEG).unwrap();
        assert_eq!((p.width(), p.height()), (24, 16));
        let d = mean_difference(p.rgb(), PIXELS);
        assert!(d < 0.3, "{d}");
    }

    #[test]
    fn exif_orientation_is_honoured() {
        let (a, b) = (decode(JPEG).unwrap(), decode(TURNED).unwrap());
        assert_eq!((b.width(), b.height()), (16, 24));
        assert_eq!(b.pixel(0, 0), a.pixel(0, 15));
        assert_eq!(b.pixel(15, 23), a.pixel(23, 0));
    }

    #[test]
    fn gray_and_cmyk() {
        let p = decode(PROGRESSIVE_GRAY).unwrap();
        assert_eq!((p.width(), p.height()), (24, 16));
        assert!(p.rgb().chunks(3).all(|v| v[0] == v[1] && v[1] == v[2]));
        // The CMYK file holds the colour (200, 40, 90).
        let p = decode(CMYK).unwrap().pixel(3, 3);
        assert!(
            p[0].abs_diff(200) < 5 && p[1].abs_diff(40) < 5 && p[2].abs_diff(90) < 5,
            "{p:?}"
        );
    }

    #[test]
    fn png_round_trip() {
        let p = decode(JPEG).unwrap();
        assert_eq!(decode(&encode_png(&p)).unwrap(), p);
    }

    #[test]
    fn png_of_other_kinds() {
        let encode = |color, depth, data: &[u8]| {
            let mut bytes = Vec::new();
            let mut e = png::Encoder::new(&mut bytes, 2, 1);
            e.set_color(color);
            e.set_depth(depth);
            if color == png::ColorType::Indexed {
                e.set_palette(vec![1, 2, 3, 40, 50, 60]);
            }
            let mut w = e.write_header().unwrap();
            w.write_image_data(data).unwrap();
            w.finish().unwrap();
            decode(&bytes).unwrap().rgb().to_vec()
        };
        use png::{BitDepth::*, ColorType::*};
        assert_eq!(
            encode(Rgba, Eight, &[1, 2, 3, 0, 4, 5, 6, 255]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            encode(Grayscale, Sixteen, &[7, 200, 9, 1]),
            [7, 7, 7, 9, 9, 9]
        );
        assert_eq!(
            encode(Grayscale, One, &[0b0100_0000]),
            [0, 0, 0, 255, 255, 255]
        );
        assert_eq!(
            encode(GrayscaleAlpha, Eight, &[7, 0, 9, 1]),
            [7, 7, 7, 9, 9, 9]
        );
        assert_eq!(encode(Indexed, Eight, &[1, 0]), [40, 50, 60, 1, 2, 3]);
    }

    #[test]
    fn truncation_is_an_error_everywhere() {
        let png = encode_png(&decode(JPEG).unwrap());
        // The last bytes of either format (end marker, checksum) may be missing unnoticed.
        for (bytes, tail) in [(JPEG, 24), (PROGRESSIVE_GRAY, 24), (&png[..], 24)] {
            for cut in 0..bytes.len() - tail {
                assert!(
                    decode(&bytes[..cut]).is_err(),
                    "cut at {cut} of {}",
                    bytes.len()
                );
            }
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let png = encode_png(&decode(JPEG).unwrap());
        let mut state = 7u64;
        let mut random = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            state >> 32
        };
        for original in [JPEG, TURNED, PROGRESSIVE_GRAY, CMYK, &png[..]] {
            for _ in 0..400 {
                let mut bytes = original.to_vec();
                for _ in 0..1 + random() % 3 {
                    let at = random() as usize % bytes.len();
                    // Sizes stay small, for the test's sake; the limits have a test of their own.
                    if !(bytes[at] == 0
                        && original.get(at + 1).is_some_and(|&v| v == 16 || v == 24))
                    {
                        bytes[at] = random() as u8;
                    }
                }
                let _ = decode(&bytes);
            }
        }
    }

    #[test]
    fn bombs_are_refused_before_decoding() {
        // A PNG header that promises 60000x60000 pixels.
        let mut png = encode_png(&decode(JPEG).unwrap());
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let crc = crate::device::crc32(&[&png[12..29]]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode(&png).unwrap_err();
        assert!(error.contains("60000x60000"), "{error}");
        // The same for JPEG: the frame header's size.
        let mut jpeg = JPEG.to_vec();
        let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        let error = decode(&jpeg).unwrap_err();
        assert!(error.contains("65535x65535"), "{error}");
    }

    #[test]
    fn errors_name_the_file_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jpg");
        for content in [&b""[..], b"hello", &JPEG[..200]] {
            std::fs::write(&path, content).unwrap();
            let e = read(&path).unwrap_err().to_string();
            assert!(e.contains("x.jpg") && !e.contains('\n'), "{e}");
        }
        let e = read(&dir.path().join("absent.png"))
            .unwrap_err()
            .to_string();
        assert!(e.contains("absent.png"), "{e}");
        assert!(
            read(dir.path())
                .unwrap_err()
                .to_string()
                .contains("not a regular file")
        );
    }
}
