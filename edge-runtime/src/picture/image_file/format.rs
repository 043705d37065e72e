//! What kind of file this is, by its first bytes.

/// A kind of picture that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::picture) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
    Pnm,
}

/// The kinds that are read, for messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF and binary PNM";

/// So many bytes from a file's start decide what it is.
pub(in crate::picture) const HEAD: usize = 64;

impl Format {
    /// The kind that the first [`HEAD`] bytes of a file say, if it is one that is read.
    pub(in crate::picture) fn of(head: &[u8]) -> Option<Self> {
        let starts = |with: &[u8]| head.starts_with(with);
        if starts(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if starts(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if starts(b"RIFF") && at(head, 8, b"WEBP") {
            Some(Self::WebP)
        } else if starts(b"GIF87a") || starts(b"GIF89a") {
            Some(Self::Gif)
        } else if starts(b"BM") && bmp_header(head) {
            Some(Self::Bmp)
        } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"]
            .iter()
            .any(|m| starts(m))
        {
            (!at(head, 8, b"CR")).then_some(Self::Tiff)
        } else if matches!(head, [b'P', b'5' | b'6', c, ..] if c.is_ascii_whitespace() || *c == b'#')
        {
            Some(Self::Pnm)
        } else {
            None
        }
    }
}

/// True for the start of a file that is read.
pub(in crate::picture) fn reads(head: &[u8]) -> bool {
    Format::of(head).is_some()
}

fn at(head: &[u8], offset: usize, text: &[u8]) -> bool {
    head.get(offset..)
        .is_some_and(|rest| rest.starts_with(text))
}

/// A text may begin with "BM" too; the length of the second header tells them apart.
fn bmp_header(head: &[u8]) -> bool {
    matches!(
        head.get(14..18),
        Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
    )
}

/// What a file is that is not read, if its first bytes say it.
pub(in crate::picture) fn kind(head: &[u8]) -> Option<&'static str> {
    let brand =
        |brands: &[&[u8; 4]]| at(head, 4, b"ftyp") && brands.iter().any(|b| at(head, 8, *b));
    if brand(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ]) {
        return Some("a HEIC (HEIF) picture");
    }
    if brand(&[b"avif", b"avis"]) {
        return Some("an AVIF picture");
    }
    if brand(&[b"crx "]) {
        return Some("a camera's raw picture");
    }
    let known: [(usize, &[u8], &str); 24] = [
        (4, b"ftyp", "a video"),
        (4, b"moov", "a video"),
        (0, b"\x1a\x45\xdf\xa3", "a video"),
        (8, b"AVI ", "a video"),
        (0, b"\0\0\x01\xba", "a video"),
        (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (0, b"\xff\x0a", "a JPEG XL picture"),
        (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
        (0, b"\0\0\x01\0", "an icon (ICO)"),
        (0, b"8BPS", "a Photoshop picture (PSD)"),
        (8, b"CR", "a camera's raw picture"),
        (0, b"IIRO", "a camera's raw picture"),
        (0, b"IIU\0", "a camera's raw picture"),
        (0, b"FUJIFILM", "a camera's raw picture"),
        (0, b"v/1\x01", "an OpenEXR picture"),
        (0, b"#?RADIANCE", "a Radiance HDR picture"),
        (0, b"qoif", "a QOI picture"),
        (0, b"DDS ", "a DDS texture"),
        (0, b"%PDF", "a PDF document"),
        (0, b"\x93NUMPY", "a NumPy array"),
        (0, b"\x89HDF", "an HDF5 file"),
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"\x1f\x8b", "a gzip file"),
    ];
    let found = known
        .iter()
        .find(|(offset, magic, _)| at(head, *offset, magic));
    if let Some((_, _, kind)) = found {
        return Some(kind);
    }
    if matches!(head, [b'P', b'1'..=b'4' | b'7', c, ..] if c.is_ascii_whitespace()) {
        return Some("a PNM picture of a kind that is not read (P5 and P6 are)");
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|t| text.starts_with(t))
    {
        return Some("a web page");
    }
    if text.starts_with(b"<svg") {
        return Some("an SVG drawing");
    }
    if text.starts_with(b"version https://git-lfs") {
        return Some("a Git LFS pointer; `git lfs pull` fetches the picture");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_picture() {
        for text in [
            "BMW cars, and all the others\n",
            "GIF files\n",
            "P6",
            "MMXXVI\n",
            "II* the second",
            "",
        ] {
            assert_eq!(Format::of(text.as_bytes()), None, "{text}");
            assert_eq!(kind(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn others_have_names() {
        let cases: [(&[u8], &str); 6] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "video"),
            (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
            (b"\n <!DOCTYPE html><html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1", "LFS"),
        ];
        for (head, name) in cases {
            assert_eq!(Format::of(head), None);
            assert!(kind(head).is_some_and(|k| k.contains(name)), "{name}");
        }
    }
}
