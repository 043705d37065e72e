//! PNG, read and written.

use super::{MAX_PIXELS, check_size};
use crate::picture::{Picture, orientation};
use png::{BitDepth, ColorType, DecodingError, Encoder, Limits, Transformations};
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |e: DecodingError| format!("damaged or unsupported PNG: {e}");
    let limits = Limits {
        bytes: MAX_PIXELS as usize * 8,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
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
    let mut encoder = Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut w| {
        w.write_image_data(picture.rgb())?;
        w.finish()
    });
    written.expect("a picture has a size that fits its data, and memory takes every byte");
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{decode, tests::JPEG};
    use super::{BitDepth, ColorType, Encoder, encode_png};

    #[test]
    fn round_trip() {
        let p = decode(JPEG).unwrap();
        assert_eq!(decode(&encode_png(&p)).unwrap(), p);
    }

    #[test]
    fn other_kinds() {
        let encode = |color, depth, data: &[u8]| {
            let mut bytes = Vec::new();
            let mut e = Encoder::new(&mut bytes, 2, 1);
            e.set_color(color);
            e.set_depth(depth);
            if color == ColorType::Indexed {
                e.set_palette(vec![1, 2, 3, 40, 50, 60]);
            }
            let mut w = e.write_header().unwrap();
            w.write_image_data(data).unwrap();
            w.finish().unwrap();
            decode(&bytes).unwrap().rgb().to_vec()
        };
        use BitDepth::*;
        use ColorType::*;
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
}
