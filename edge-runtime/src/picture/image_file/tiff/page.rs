//! What a TIFF page is made of, by its tags.

use super::compression::Compression;
use super::directory::{Directory, Tag};
use crate::picture::image_file::{MAX_PIXELS, check_size};

const KIND: Tag = 254;
const WIDTH: Tag = 256;
const HEIGHT: Tag = 257;
const BITS: Tag = 258;
const COMPRESSION: Tag = 259;
const COLOURS: Tag = 262;
const FILL_ORDER: Tag = 266;
const STRIPS: Tag = 273;
const ORIENTATION: Tag = 274;
const SAMPLES: Tag = 277;
const STRIP_ROWS: Tag = 278;
const STRIP_LENGTHS: Tag = 279;
const PLANES: Tag = 284;
const PREDICTOR: Tag = 317;
const COLOUR_MAP: Tag = 320;
const TILE_WIDTH: Tag = 322;
const TILE_HEIGHT: Tag = 323;
const TILES: Tag = 324;
const TILE_LENGTHS: Tag = 325;
const PAGES_BELOW: Tag = 330;
const EXTRA_SAMPLES: Tag = 338;
const SAMPLE_FORMAT: Tag = 339;
const JPEG_TABLES: Tag = 347;
const DNG_VERSION: Tag = 50_706;

/// What the samples of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// Grey; true if 0 is white.
    Gray(bool),
    Rgb,
    Palette,
    Cmyk,
    /// Luma and two colour differences, as JPEG stores them.
    YCbCr,
}

impl Colours {
    /// Samples of a pixel that are its colour.
    pub(super) fn samples(self) -> usize {
        match self {
            Self::Gray(_) | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// How one page is stored. Strips are tiles as wide as the picture.
pub(super) struct Page<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) colours: Colours,
    /// Bits of a sample: 1, 2, 4, 8 or 16.
    pub(super) bits: usize,
    /// All samples of a pixel.
    pub(super) samples: usize,
    /// Colours are multiplied by the alpha sample, which comes after them.
    pub(super) premultiplied: bool,
    /// Each sample has tiles of its own.
    pub(super) planar: bool,
    pub(super) compression: Compression,
    /// Samples are differences to the one on their left.
    pub(super) differences: bool,
    /// The first bit of a byte is its least.
    pub(super) reversed: bool,
    /// The first byte of a sample is its least.
    pub(super) little: bool,
    pub(super) tile_width: usize,
    pub(super) tile_height: usize,
    /// The last row of tiles is as high as the others, whatever the picture needs.
    pub(super) full_tiles: bool,
    /// Where tiles lie in the file, and how long they are, if that is said.
    pub(super) tiles: Vec<u64>,
    pub(super) lengths: Vec<u64>,
    pub(super) jpeg_tables: Option<&'a [u8]>,
    pub(super) colour_map: Vec<u64>,
    /// As in EXIF, 1 to 8.
    pub(super) orientation: u8,
}

impl<'a> Page<'a> {
    pub(super) fn read(tags: &Directory<'a>) -> Result<Self, String> {
        // The first page of a raw picture is only a small preview.
        let preview = tags.one(KIND).is_some_and(|k| k & 1 == 1) && tags.has(PAGES_BELOW);
        if preview || tags.has(DNG_VERSION) {
            return Err("a camera's raw picture, which is not read".into());
        }
        let side = |tag| tags.one(tag).and_then(|n| u32::try_from(n).ok());
        let size = side(WIDTH).zip(side(HEIGHT));
        let (width, height) = size.ok_or("damaged TIFF: no size")?;
        check_size(width, height)?;
        let small = |tag, usual| tags.one(tag).map_or(usual, |n| n.min(1 << 20) as usize);

        let samples = small(SAMPLES, 1);
        let extra = tags.all(EXTRA_SAMPLES);
        let colours = colours(tags, samples, &extra)?;
        let compression = Compression::of(tags.one(COMPRESSION).unwrap_or(1))?;
        if colours == Colours::YCbCr && compression != Compression::Jpeg {
            return Err("TIFF of YCbCr samples without JPEG compression, which is not read".into());
        }
        let bits = bits(tags, colours)?;
        if compression == Compression::Jpeg && bits != 8 {
            return Err(format!(
                "TIFF with JPEG compression and {bits} bits a sample, which is not read"
            ));
        }
        let packed = matches!(compression, Compression::Lzw | Compression::Deflate);
        let differences = match small(PREDICTOR, 1) {
            2 if packed && bits < 8 => {
                return Err(format!(
                    "TIFF with a predictor and {bits} bits a sample, which is not read"
                ));
            }
            2 => packed,
            3 if packed => return Err("TIFF with a predictor that is not read".into()),
            _ => false,
        };
        let full_tiles = tags.has(TILES);
        let sides = match full_tiles {
            true => side(TILE_WIDTH).zip(side(TILE_HEIGHT)),
            false => Some((width, side(STRIP_ROWS).unwrap_or(height).min(height))),
        };
        let (tile_width, tile_height) = sides.ok_or("damaged TIFF: tiles without a size")?;
        let up = |n: u32, by: u32| u64::from(n.div_ceil(by)) * u64::from(by);
        // Tiles at the edges are larger than what is seen of them.
        if tile_width == 0
            || tile_height == 0
            || up(width, tile_width).saturating_mul(up(height, tile_height)) > 2 * MAX_PIXELS
        {
            return Err(format!(
                "damaged TIFF: tiles of {tile_width}x{tile_height} pixels"
            ));
        }
        let (tiles, lengths) = match full_tiles {
            true => (tags.all(TILES), tags.all(TILE_LENGTHS)),
            false => (tags.all(STRIPS), tags.all(STRIP_LENGTHS)),
        };
        Ok(Self {
            width: width as usize,
            height: height as usize,
            colours,
            bits,
            samples,
            premultiplied: samples > colours.samples()
                && extra.first() == Some(&1)
                && matches!(colours, Colours::Rgb | Colours::Gray(_)),
            planar: samples > 1 && small(PLANES, 1) == 2,
            compression,
            differences,
            reversed: small(FILL_ORDER, 1) == 2,
            little: tags.little(),
            tile_width: tile_width as usize,
            tile_height: tile_height as usize,
            full_tiles,
            tiles,
            lengths,
            jpeg_tables: tags.bytes(JPEG_TABLES),
            colour_map: tags.all(COLOUR_MAP),
            orientation: small(ORIENTATION, 1).try_into().unwrap_or(1),
        })
    }
}

fn colours(tags: &Directory<'_>, samples: usize, extra: &[u64]) -> Result<Colours, String> {
    let colours = match tags.one(COLOURS).unwrap_or(0) {
        0 => Colours::Gray(true),
        1 => Colours::Gray(false),
        2 => Colours::Rgb,
        3 => Colours::Palette,
        5 => Colours::Cmyk,
        6 if samples == 1 => Colours::Gray(false),
        6 => Colours::YCbCr,
        8..=10 => return Err("TIFF of L*a*b* colours, which is not read".into()),
        32_803 | 34_892 => return Err("a camera's raw picture, which is not read".into()),
        n => {
            return Err(format!(
                "TIFF with photometric interpretation {n}, which is not read"
            ));
        }
    };
    let unread = || {
        Err(format!(
            "TIFF with {samples} samples a pixel, which is not read"
        ))
    };
    let Some(more) = samples.checked_sub(colours.samples()) else {
        return unread();
    };
    match (more, extra) {
        // An RGBA picture may forget to say what its fourth sample is.
        (0, _) | (1, []) if more == 0 || colours == Colours::Rgb => Ok(colours),
        // What is said of more bands is that they are no colours.
        (1..=3, [_, ..]) if more == 1 || colours.samples() > 1 => Ok(colours),
        _ => unread(),
    }
}

fn bits(tags: &Directory<'_>, colours: Colours) -> Result<usize, String> {
    let all = tags.all(BITS);
    let bits = all.first().copied().unwrap_or(1);
    if all.iter().any(|&b| b != bits) {
        return Err("TIFF with samples of different sizes, which is not read".into());
    }
    if tags.all(SAMPLE_FORMAT).iter().any(|f| !matches!(f, 1 | 4)) {
        return Err("TIFF of signed or floating-point samples, which is not read".into());
    }
    match (bits, colours) {
        (1 | 2 | 4, Colours::Gray(_) | Colours::Palette) => Ok(bits as usize),
        (16, Colours::Gray(_) | Colours::Rgb | Colours::Cmyk) | (8, _) => Ok(bits as usize),
        _ => Err(format!("TIFF with {bits} bits a sample, which is not read")),
    }
}
