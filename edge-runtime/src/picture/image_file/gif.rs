//! GIF, by `gif`: the first frame, in its palette's colours, as Pillow reads it.

use super::{MAX_PIXELS, check_size};
use crate::picture::Picture;
use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use std::num::NonZeroU64;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |e: DecodingError| format!("damaged or unsupported GIF: {e}");
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(
        NonZeroU64::new(MAX_PIXELS).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes),
    );
    let mut decoder = options.read_info(bytes).map_err(broken)?;
    let screen = [decoder.width(), decoder.height()];
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.next_frame_info().map_err(broken)?;
    let frame = frame.ok_or("GIF without a picture")?;
    // A frame may be larger than the screen; the picture then is as large as the frame.
    let end = |at: u16, len: u16, screen: u16| (u32::from(at) + u32::from(len)).max(screen.into());
    let width = end(frame.left, frame.width, screen[0]);
    let height = end(frame.top, frame.height, screen[1]);
    check_size(width, height)?;
    check_size(frame.width.into(), frame.height.into())?;
    let (left, top, part) = (
        frame.left as usize,
        frame.top as usize,
        frame.width as usize,
    );
    // What no frame covers is transparent, or else of the first colour.
    let background = frame.transparent.unwrap_or(0);
    let palette = frame.palette.clone().or(global).unwrap_or_default();
    let colours = colours(&palette);
    let mut indices = vec![0; part * frame.height as usize];
    decoder.read_into_buffer(&mut indices).map_err(broken)?;
    let row = width as usize * 3;
    let background = colours[background as usize];
    let mut rgb = background.repeat(width as usize * height as usize);
    let to = rgb.chunks_exact_mut(row).skip(top);
    for (to, from) in to.zip(indices.chunks_exact(part)) {
        let to = to[left * 3..].chunks_exact_mut(3);
        to.zip(from)
            .for_each(|(to, &i)| to.copy_from_slice(&colours[i as usize]));
    }
    Picture::new(width, height, rgb).ok_or_else(|| "damaged GIF".into())
}

/// The colour of every index; those that the palette lacks are black.
fn colours(palette: &[u8]) -> [[u8; 3]; 256] {
    let mut colours = [[0; 3]; 256];
    for (colour, entry) in colours.iter_mut().zip(palette.chunks_exact(3)) {
        colour.copy_from_slice(entry);
    }
    colours
}
