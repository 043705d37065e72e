//! The orientation that a camera notes in EXIF: finding it, and turning the picture upright.
//!
//! Follows EXIF 2.3 (TIFF tag 0x0112). Knows nothing of JPEG or PNG.

use super::Picture;

/// Orientation 1 to 8 from a TIFF block; 1 (upright) for anything missing or damaged.
pub(super) fn of_exif(exif: &[u8]) -> u8 {
    find(exif).filter(|v| (1..=8).contains(v)).unwrap_or(1)
}

fn find(exif: &[u8]) -> Option<u8> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let b = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(b)
        } else {
            u16::from_be_bytes(b)
        })
    };
    let u32_at = |at: usize| -> Option<u32> {
        let b = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        })
    };
    let directory = u32_at(4)? as usize;
    let entries = u16_at(directory)? as usize;
    (0..entries)
        .map_while(|i| directory.checked_add(2 + 12 * i))
        .find(|&entry| u16_at(entry) == Some(0x0112))
        .and_then(|entry| u8::try_from(u16_at(entry + 8)?).ok())
}

/// The picture as it should be looked at.
pub(super) fn upright(picture: Picture, orientation: u8) -> Picture {
    let (w, h) = (picture.width(), picture.height());
    // Where the pixel at (x, y) of the result comes from.
    let source: fn(u32, u32, u32, u32) -> (u32, u32) = match orientation {
        2 => |x, y, w, _| (w - 1 - x, y),
        3 => |x, y, w, h| (w - 1 - x, h - 1 - y),
        4 => |x, y, _, h| (x, h - 1 - y),
        5 => |x, y, _, _| (y, x),
        6 => |x, y, _, h| (y, h - 1 - x),
        7 => |x, y, w, h| (w - 1 - y, h - 1 - x),
        8 => |x, y, w, _| (w - 1 - y, x),
        _ => return picture,
    };
    let (new_w, new_h) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut rgb = Vec::with_capacity(picture.rgb().len());
    for y in 0..new_h {
        for x in 0..new_w {
            let (sx, sy) = source(x, y, w, h);
            rgb.extend_from_slice(&picture.pixel(sx, sy));
        }
    }
    Picture::new(new_w, new_h, rgb).unwrap_or(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(little: bool, orientation: u16) -> Vec<u8> {
        let s = |v: u16| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let l = |v: u32| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let mut v = if little {
            b"II*\0".to_vec()
        } else {
            b"MM\0*".to_vec()
        };
        v.extend(l(8));
        v.extend(s(2));
        for (tag, value) in [(0x0100, 7), (0x0112, orientation)] {
            v.extend([s(tag), s(3)].concat());
            v.extend(l(1));
            v.extend([s(value), s(0)].concat());
        }
        v
    }

    #[test]
    fn both_byte_orders() {
        for little in [true, false] {
            assert_eq!(of_exif(&exif(little, 6)), 6);
            assert_eq!(
                of_exif(&[b"Exif\0\0".to_vec(), exif(little, 8)].concat()),
                8
            );
            assert_eq!(of_exif(&exif(little, 9)), 1);
            assert_eq!(of_exif(&exif(little, 300)), 1);
        }
    }

    #[test]
    fn damage_is_upright() {
        let good = exif(true, 3);
        for cut in 0..good.len() - 3 {
            assert_eq!(of_exif(&good[..cut]), 1, "cut at {cut}");
        }
        let mut far = good.clone();
        far[4..8].fill(0xff);
        assert_eq!(of_exif(&far), 1);
    }

    /// Every orientation, against what the EXIF table says of the stored first row and column.
    #[test]
    fn first_row_and_column() {
        // Stored 3x2:  a b c / d e f
        let stored: Vec<u8> = b"abcdef".iter().flat_map(|&v| [v; 3]).collect();
        let seen = |o: u8| {
            let p = upright(Picture::new(3, 2, stored.clone()).unwrap(), o);
            let rows: Vec<String> = (0..p.height())
                .map(|y| (0..p.width()).map(|x| p.pixel(x, y)[0] as char).collect())
                .collect();
            rows.join("/")
        };
        let expected = [
            "abc/def", "cba/fed", "fed/cba", "def/abc", "ad/be/cf", "da/eb/fc", "fc/eb/da",
            "cf/be/ad",
        ];
        for (o, expected) in (1..=8).zip(expected) {
            assert_eq!(seen(o), expected, "orientation {o}");
        }
    }
}
