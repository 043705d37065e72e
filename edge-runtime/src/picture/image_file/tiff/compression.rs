//! The compressions of TIFF's strips and tiles.

use flate2::read::ZlibDecoder;
use std::io::Read;
use weezl::{BitOrder, LzwStatus, decode::Configuration};

/// How strips and tiles are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

const CUT_OFF: &str = "damaged TIFF: a strip or tile is cut off";

impl Compression {
    /// By the number in the file.
    pub(super) fn of(number: u64) -> Result<Self, String> {
        let name = match number {
            1 => return Ok(Self::None),
            5 => return Ok(Self::Lzw),
            7 => return Ok(Self::Jpeg),
            8 | 32_946 => return Ok(Self::Deflate),
            32_773 => return Ok(Self::PackBits),
            2..=4 => "CCITT (fax)",
            6 => "old JPEG",
            34_712 => "JPEG 2000",
            34_925 => "LZMA",
            50_000 => "Zstandard",
            50_001 => "WebP",
            _ => return Err(format!("TIFF with compression {number}, which is not read")),
        };
        Err(format!("TIFF with {name} compression, which is not read"))
    }

    /// `len` bytes out of `data`, of every compression but JPEG.
    pub(super) fn unpack(self, data: &[u8], len: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        match self {
            Self::None | Self::Jpeg => out.extend_from_slice(data.get(..len).ok_or(CUT_OFF)?),
            Self::Lzw => out = lzw(data, len)?,
            Self::Deflate => {
                let broken = |e| format!("damaged TIFF: {e}");
                let mut bytes = ZlibDecoder::new(data).take(len as u64);
                bytes.read_to_end(&mut out).map_err(broken)?;
            }
            Self::PackBits => pack_bits(data, len, &mut out),
        }
        match out.len() == len {
            true => Ok(out),
            false => Err(CUT_OFF.into()),
        }
    }
}

fn lzw(data: &[u8], len: usize) -> Result<Vec<u8>, String> {
    // Before TIFF 5.0 the bits came in another order.
    if matches!(data, [0, second, ..] if second & 1 == 1) {
        return Err("TIFF with old LZW compression, which is not read".into());
    }
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    // Grows with what is there, not with what the header promises.
    let mut out = Vec::new();
    let mut data = data;
    let mut buffer = vec![0; len.min(1 << 16)];
    while out.len() < len {
        let room = buffer.len().min(len - out.len());
        let step = decoder.decode_bytes(data, &mut buffer[..room]);
        out.extend_from_slice(&buffer[..step.consumed_out]);
        data = &data[step.consumed_in..];
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(e) => return Err(format!("damaged TIFF: {e}")),
        }
    }
    Ok(out)
}

fn pack_bits(mut data: &[u8], len: usize, out: &mut Vec<u8>) {
    while let (true, Some((&n, rest))) = (out.len() < len, data.split_first()) {
        data = match n {
            0..=127 => {
                let (literal, rest) = rest.split_at((n as usize + 1).min(rest.len()));
                out.extend_from_slice(literal);
                rest
            }
            128 => rest,
            _ => match rest.split_first() {
                Some((&value, rest)) => {
                    out.extend(std::iter::repeat_n(value, 257 - n as usize));
                    rest
                }
                None => rest,
            },
        };
    }
    out.truncate(len);
}
