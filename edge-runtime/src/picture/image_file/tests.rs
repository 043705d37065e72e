//! All formats: Pillow's pixels, damaged files, limits.

use super::*;
use crate::random::Random;
use std::time::{Duration, Instant};

/// 24x16, 4:2:0, written by Pillow from a picture of our own; the second says orientation 6.
pub(super) const JPEG: &[u8] = include_bytes!("../test_pictures/gradient.jpg");
pub(super) const TURNED: &[u8] = include_bytes!("../test_pictures/gradient_turned.jpg");
pub(super) const PROGRESSIVE_GRAY: &[u8] = include_bytes!("../test_pictures/gray_progressive.jpg");
pub(super) const CMYK: &[u8] = include_bytes!("../test_pictures/cmyk.jpg");
/// Made by `test_pictures/other_formats.py`, which says what is in it.
const OTHERS: &str = include_str!("../test_pictures/other_formats.txt");

/// A file of another format, and what Pillow reads from it.
struct Sample {
    name: &'static str,
    width: u32,
    height: u32,
    file: Vec<u8>,
    rgb: Vec<u8>,
}

fn samples() -> impl Iterator<Item = Sample> {
    OTHERS.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        Sample {
            name: fields[0],
            width: fields[1].parse().unwrap(),
            height: fields[2].parse().unwrap(),
            file: hex::decode(fields[3]).unwrap(),
            rgb: hex::decode(fields[4]).unwrap(),
        }
    })
}

pub(super) fn mean_difference(a: &[u8], b: &[u8]) -> f32 {
    assert_eq!(a.len(), b.len());
    let sum: u32 = a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b) as u32).sum();
    sum as f32 / a.len() as f32
}

/// Lossy WebP too. Only JPEG in TIFF differs: Pillow has it decoded by another decoder than ours.
#[test]
fn the_pixels_of_pillow() {
    let mut count = 0;
    for sample in samples() {
        let p = decode(&sample.file).unwrap_or_else(|e| panic!("{}: {e}", sample.name));
        let size = (p.width(), p.height());
        assert_eq!(size, (sample.width, sample.height), "{}", sample.name);
        if sample.name.contains("jpeg") {
            let most = p
                .rgb()
                .iter()
                .zip(&sample.rgb)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(most <= Some(3), "{}: {most:?}", sample.name);
            let mean = mean_difference(p.rgb(), &sample.rgb);
            assert!(mean < 0.1, "{}: {mean}", sample.name);
        } else {
            assert_eq!(p.rgb(), sample.rgb, "{}", sample.name);
        }
        count += 1;
    }
    assert_eq!(count, 82);
}

/// Files of every format, PNG and JPEG too.
fn all_files() -> Vec<(&'static str, Vec<u8>)> {
    let png = encode_png(&decode(JPEG).unwrap());
    let mut files: Vec<_> = samples().map(|s| (s.name, s.file)).collect();
    files.extend([
        ("jpeg", JPEG.to_vec()),
        ("jpeg turned", TURNED.to_vec()),
        ("jpeg gray", PROGRESSIVE_GRAY.to_vec()),
        ("jpeg cmyk", CMYK.to_vec()),
        ("png", png),
    ]);
    files
}

#[test]
fn truncation_is_an_error_everywhere() {
    for (name, bytes) in all_files() {
        // What comes last may be missing unnoticed: end marks, checksums, padding, the other pages,
        // and in a TIFF the values of tags that nobody needs.
        let tail = match name {
            "gif animated"
            | "webp animated"
            | "webp frame inside of the canvas"
            | "webp turned"
            | "tiff of pages" => bytes.len() * 3 / 4,
            n if n.starts_with("tiff") => bytes.len() / 2,
            _ => 24,
        };
        for cut in 0..bytes.len().saturating_sub(tail) {
            let e = decode(&bytes[..cut]).err();
            assert!(e.is_some(), "{name} cut at {cut} of {}", bytes.len());
            assert!(e.is_some_and(|e| !e.contains('\n')), "{name} cut at {cut}");
        }
        for cut in bytes.len().saturating_sub(tail)..bytes.len() {
            let _ = decode(&bytes[..cut]);
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut random = Random::new(7);
    for (_, original) in all_files() {
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..1 + random.below(4) {
                // The front of a file decides most.
                let front = bytes.len().min(if random.below(2) == 0 {
                    120
                } else {
                    usize::MAX
                });
                let at = random.below(front);
                bytes[at] = match random.below(4) {
                    0 => 0,
                    1 => 255,
                    2 => bytes[at] ^ 1 << (random.below(8)),
                    _ => random.bits() as u8,
                };
            }
            if let Err(e) = decode(&bytes) {
                assert!(!e.contains('\n'), "{e}");
            }
        }
    }
}

/// Headers that promise more pixels than are read are refused before anything is allocated.
#[test]
fn bombs_are_refused_before_decoding() {
    // A PNG header that promises 60000x60000 pixels.
    let mut png = encode_png(&decode(JPEG).unwrap());
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crate::crc32(&[&png[12..29]]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = decode(&png).unwrap_err();
    assert!(error.contains("60000x60000"), "{error}");
    // The same for JPEG: the frame header's size.
    let mut jpeg = JPEG.to_vec();
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let error = decode(&jpeg).unwrap_err();
    assert!(error.contains("65535x65535"), "{error}");

    let file = |name: &str| samples().find(|s| s.name == name).unwrap().file;
    let refused = |bytes: &[u8], words: &str| {
        let start = Instant::now();
        let error = decode(bytes).unwrap_err();
        assert!(error.contains(words), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{error}");
    };
    // GIF: the screen, then the frame.
    let mut gif = file("gif palette of 5");
    gif[6..10].fill(0xff);
    refused(&gif, "65535x65535");
    let mut gif = file("gif frame inside of the screen");
    let frame = gif
        .windows(9)
        .position(|w| w == [b',', 2, 0, 1, 0, 4, 0, 3, 0])
        .unwrap();
    gif[frame + 5..frame + 9].fill(0xff);
    refused(&gif, "more than the limit");
    let mut bmp = file("bmp 24");
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    refused(&bmp, "60000x60000");
    bmp[18..26].fill(0xff);
    refused(&bmp, "4294967295x1 pixels");
    // WebP: the canvas, then the picture itself.
    let mut webp = file("webp frame inside of the canvas");
    webp[24..30].fill(0xff);
    refused(&webp, "16777216x16777216");
    let mut webp = file("webp lossless");
    webp[21..25].copy_from_slice(&[0xfe, 0xbf, 0xff, 0x0f]);
    refused(&webp, "16383x16383");
    let mut webp = file("webp lossy");
    webp[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    refused(&webp, "16383x16383");
    // TIFF: the picture, then its tiles. The values of tags 256, 257, 322 and 323 are in their entries.
    let value = |file: &[u8], tag: u16| {
        let tag = [tag as u8, (tag >> 8) as u8, 3, 0, 1, 0, 0, 0];
        file.windows(8).position(|w| w == tag).unwrap() + 8
    };
    let mut tiff = file("tiff strips");
    for tag in [256, 257] {
        let at = value(&tiff, tag);
        tiff[at..at + 2].fill(0xff);
    }
    refused(&tiff, "65535x65535");
    let mut tiff = file("tiff tiles");
    for tag in [322, 323] {
        let at = value(&tiff, tag);
        tiff[at..at + 2].fill(0xff);
    }
    refused(&tiff, "tiles of 65535x65535");
    refused(b"P6 60000 60000 255\n", "60000x60000");
}

#[test]
fn what_is_not_read_is_named() {
    let tiff = |tag: u16, value: u8| {
        let mut file = samples().find(|s| s.name == "tiff strips").unwrap().file;
        let at = file
            .windows(4)
            .position(|w| w == [tag as u8, (tag >> 8) as u8, 3, 0])
            .unwrap();
        file[at + 8] = value;
        file
    };
    let cases: [(Vec<u8>, &str); 8] = [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1".to_vec(), "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0".to_vec(), "AVIF"),
        (b"<!DOCTYPE html><html><body>404".to_vec(), "a web page"),
        (b"hello".to_vec(), "not a picture that is read"),
        (tiff(259, 4), "CCITT"),
        (tiff(259, 6), "old JPEG"),
        (tiff(262, 8), "L*a*b*"),
        (b"P3 1 1 255 1 2 3".to_vec(), "PNM"),
    ];
    for (bytes, words) in cases {
        let e = decode(&bytes).unwrap_err();
        assert!(e.contains(words) && !e.contains('\n'), "{e}");
    }
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
