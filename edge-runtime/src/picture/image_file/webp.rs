//! WebP, by `image-webp`: the picture, or the first frame of an animation.
//!
//! The container is read here, because only the colours matter: transparency is dropped, so the one
//! chunk with them is given to the decoder as a file of its own.

use super::check_size;
use crate::picture::{Picture, orientation};
use image_webp::{DecodingError, WebPDecoder};
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut exif = None;
    let mut canvas = None;
    let mut first = None;
    for chunk in Chunks(bytes.get(12..).unwrap_or_default()) {
        match chunk.name {
            b"VP8X" => canvas = Some(Canvas::of(chunk.whole()?)?),
            b"VP8 " | b"VP8L" if first.is_none() => {
                first = Some(Frame {
                    at: [0, 0],
                    size: canvas.map(|c: Canvas| [c.width, c.height]),
                    colours: chunk,
                });
            }
            b"ANMF" if first.is_none() => first = Some(Frame::of(chunk.whole()?)?),
            b"EXIF" => exif = exif.or(chunk.whole().ok()),
            _ => {}
        }
    }
    let frame = first.ok_or("damaged WebP: no picture in it")?;
    if let Some(Canvas { width, height }) = canvas {
        check_size(width, height)?;
    }
    let picture = colours(&frame.colours)?;
    let size = [picture.width(), picture.height()];
    if frame.size.is_some_and(|said| said != size) {
        return Err("damaged WebP: its picture has another size than it says".into());
    }
    let picture = match canvas {
        Some(canvas) => canvas.with(picture, frame.at)?,
        None => picture,
    };
    Ok(orientation::upright(
        picture,
        exif.map_or(1, orientation::of_exif),
    ))
}

/// The picture, or a frame of an animation.
struct Frame<'a> {
    /// Its left upper corner.
    at: [u32; 2],
    /// Columns and rows, if that is said outside of the colours.
    size: Option<[u32; 2]>,
    colours: Chunk<'a>,
}

impl<'a> Frame<'a> {
    fn of(data: &'a [u8]) -> Result<Self, String> {
        let (header, chunks) = data
            .split_at_checked(16)
            .ok_or("damaged WebP: a frame without a header")?;
        let colours = Chunks(chunks).find(|c| matches!(c.name, b"VP8 " | b"VP8L"));
        Ok(Self {
            at: [u24(header) * 2, u24(&header[3..]) * 2],
            size: Some([u24(&header[6..]) + 1, u24(&header[9..]) + 1]),
            colours: colours.ok_or("damaged WebP: a frame without a picture")?,
        })
    }
}

/// Decodes a chunk of colours.
fn colours(chunk: &Chunk<'_>) -> Result<Picture, String> {
    let broken = |e: DecodingError| format!("damaged or unsupported WebP: {e}");
    let data = chunk.whole()?;
    let padded = data.len() + data.len() % 2;
    let mut file = Vec::with_capacity(20 + padded);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(12 + padded as u32).to_le_bytes());
    file.extend_from_slice(b"WEBP");
    file.extend_from_slice(chunk.name);
    file.extend_from_slice(&(data.len() as u32).to_le_bytes());
    file.extend_from_slice(data);
    file.resize(20 + padded, 0);
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or("WebP too large")?];
    decoder.read_image(&mut pixels).map_err(broken)?;
    let rgb = match decoder.has_alpha() {
        true => pixels
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect(),
        false => pixels,
    };
    let picture = Picture::new(width, height, rgb);
    picture.ok_or_else(|| "damaged WebP: the amount of data does not fit its size".into())
}

/// What the frames of an extended file are put on.
#[derive(Clone, Copy)]
struct Canvas {
    width: u32,
    height: u32,
}

impl Canvas {
    fn of(header: &[u8]) -> Result<Self, String> {
        let size = header.get(4..10).ok_or("damaged WebP: a short header")?;
        Ok(Self {
            width: u24(size) + 1,
            height: u24(&size[3..]) + 1,
        })
    }

    /// A frame on an empty (transparent, so black) canvas.
    fn with(self, frame: Picture, [left, top]: [u32; 2]) -> Result<Picture, String> {
        if (frame.width(), frame.height(), left, top) == (self.width, self.height, 0, 0) {
            return Ok(frame);
        }
        let fits = |at: u32, len: u32, all: u32| at.checked_add(len).is_some_and(|end| end <= all);
        if !fits(left, frame.width(), self.width) || !fits(top, frame.height(), self.height) {
            return Err("damaged WebP: a frame that does not fit the picture".into());
        }
        let mut rgb = vec![0; self.width as usize * self.height as usize * 3];
        let (row, part) = (self.width as usize * 3, frame.width() as usize * 3);
        let to = rgb.chunks_exact_mut(row).skip(top as usize);
        for (to, from) in to.zip(frame.rgb().chunks_exact(part)) {
            to[left as usize * 3..][..part].copy_from_slice(from);
        }
        Picture::new(self.width, self.height, rgb).ok_or_else(|| "damaged WebP".into())
    }
}

/// The first three bytes as a number.
fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// One chunk of a RIFF file.
struct Chunk<'a> {
    name: &'a [u8; 4],
    len: usize,
    data: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Its data, if the file is not cut off in it.
    fn whole(&self) -> Result<&'a [u8], String> {
        if self.data.len() == self.len {
            Ok(self.data)
        } else {
            Err("damaged WebP: the file is cut off".into())
        }
    }
}

/// The chunks in this data; the last one may be cut off.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len) as usize;
        let data = &rest[..len.min(rest.len())];
        // Chunks begin at even places.
        self.0 = rest.get(len.saturating_add(len % 2)..).unwrap_or_default();
        Some(Chunk { name, len, data })
    }
}
