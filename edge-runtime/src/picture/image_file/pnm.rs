//! Binary PNM: grey (P5, `.pgm`) and colour (P6, `.ppm`), as Pillow reads them.

use super::check_size;
use crate::picture::Picture;

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    let mut header = Header(bytes.get(2..).unwrap_or_default());
    let (width, height, most) = (header.number()?, header.number()?, header.number()?);
    check_size(width, height)?;
    if !(1..=65_535).contains(&most) {
        return Err(format!("damaged PNM: {most} as the greatest value"));
    }
    // One white space ends the header.
    let data = header.0.get(1..).unwrap_or_default();
    let channels = if bytes[1] == b'5' { 1 } else { 3 };
    let each = if most > 255 { 2 } else { 1 };
    let pixels = width as usize * height as usize;
    let data = data
        .get(..pixels * channels * each)
        .ok_or("damaged PNM: the file is cut off")?;
    let values: Vec<u8> = match each {
        1 if most == 255 => data.to_vec(),
        1 => data.iter().map(|&v| scale(v.into(), most)).collect(),
        _ => data
            .chunks_exact(2)
            .map(|v| scale(u16::from_be_bytes([v[0], v[1]]).into(), most))
            .collect(),
    };
    let rgb = match channels {
        1 => values.iter().flat_map(|&v| [v; 3]).collect(),
        _ => values,
    };
    Picture::new(width, height, rgb).ok_or_else(|| "damaged PNM".into())
}

/// `value` of `most` as one of 255, rounded half to even.
fn scale(value: u32, most: u32) -> u8 {
    let scaled = value.min(most) * 255;
    let (down, rest) = (scaled / most, scaled % most);
    let up = match (rest * 2).cmp(&most) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => down % 2,
        std::cmp::Ordering::Greater => 1,
    };
    (down + up) as u8
}

/// What is left of the header.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    /// The next number, after white space and comments.
    fn number(&mut self) -> Result<u32, String> {
        loop {
            self.0 = self.0.trim_ascii_start();
            if !self.0.starts_with(b"#") {
                break;
            }
            let end = self.0.iter().position(|&c| c == b'\n' || c == b'\r');
            self.0 = &self.0[end.unwrap_or(self.0.len())..];
        }
        let digits = self.0.iter().take_while(|c| c.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let number = std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse().ok());
        number.ok_or_else(|| "damaged PNM: no number in its header".into())
    }
}
