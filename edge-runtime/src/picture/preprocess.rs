//! From a picture to a network's input: resize, crop, channel order, then floats or int8.
//!
//! The rules are torchvision's, with Pillow's pixels. Knows no files and no graphs.

use crate::model::{ChannelOrder, Filter, InputSpec, Quant, ResizeRule};

use super::Picture;
use super::image_file::MAX_PIXELS;
use super::resize::resize;

/// Why a picture cannot become an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreprocessError {
    /// The crop does not fit into the resized picture.
    #[error(
        "the input of {width}x{height} does not fit the picture resized to {from_width}x{from_height}"
    )]
    TooSmall {
        /// Columns of the input.
        width: u32,
        /// Rows of the input.
        height: u32,
        /// Columns of the resized picture.
        from_width: u32,
        /// Rows of the resized picture.
        from_height: u32,
    },
    /// The picture is so long and thin that resizing it would take too much memory.
    #[error("a picture of {width}x{height} is too thin: it would need more than {MAX_PIXELS} pixels on its way to {}x{}", to[0], to[1])]
    TooThin {
        /// Columns of the picture.
        width: u32,
        /// Rows of the picture.
        height: u32,
        /// Columns and rows that it should get.
        to: [u32; 2],
    },
    /// The input specification has no or too many pixels.
    #[error("an input of {width}x{height} pixels")]
    BadSpec {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// The part of the picture that the network sees, resized to its input: `[height][width][channels]`, 8 bits a
/// channel, in the network's channel order. A picture that has the size of the input is not resized.
///
/// # Errors
/// [`PreprocessError`], if the picture is too small or too thin, or the specification is impossible.
pub fn crop(picture: &Picture, spec: &InputSpec) -> Result<Vec<u8>, PreprocessError> {
    let (width, height) = (spec.width, spec.height);
    let pixels = width as u64 * height as u64;
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(PreprocessError::BadSpec { width, height });
    }
    let plane = Plane::of(picture, spec.order);
    let resized = match spec.resize {
        _ if (plane.width, plane.height) == (width, height) => plane,
        ResizeRule::Squash => plane.resize(width, height, spec.filter)?,
        ResizeRule::ShortSide(short) => {
            let to = short_side(plane.width, plane.height, short);
            plane.middle(to, spec)?
        }
        ResizeRule::Cover { height, width } => {
            let to = cover(plane.width, plane.height, [width, height]);
            plane.middle(to, spec)?
        }
    };
    Ok(resized.data)
}

/// Size after bringing the short side to `short`, rounded as torchvision does.
fn short_side(width: u32, height: u32, short: u32) -> [u32; 2] {
    let (least, most) = (width.min(height) as u64, width.max(height) as u64);
    // A length that does not fit is refused when resizing.
    let long = u32::try_from(short as u64 * most / least).unwrap_or(u32::MAX);
    if width <= height {
        [short, long]
    } else {
        [long, short]
    }
}

/// Size after bringing one side to its length in `least`, so that the other side is at least as long as its
/// length there; rounded as in [`short_side`].
fn cover(width: u32, height: u32, least: [u32; 2]) -> [u32; 2] {
    let [w, h, columns, rows] = [width, height, least[0], least[1]].map(u64::from);
    let length = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    if columns * h >= rows * w {
        [least[0], length(h * columns / w)]
    } else {
        [length(w * rows / h), least[1]]
    }
}

/// Pixels of one or three channels, `[height][width][channels]`.
struct Plane {
    width: u32,
    height: u32,
    channels: usize,
    data: Vec<u8>,
}

impl Plane {
    fn of(picture: &Picture, order: ChannelOrder) -> Self {
        let rgb = picture.rgb();
        let (channels, data) = match order {
            ChannelOrder::Rgb => (3, rgb.to_vec()),
            ChannelOrder::Bgr => (
                3,
                rgb.chunks_exact(3)
                    .flat_map(|p| [p[2], p[1], p[0]])
                    .collect(),
            ),
            ChannelOrder::Gray => (1, rgb.chunks_exact(3).map(luma).collect()),
        };
        Self {
            width: picture.width(),
            height: picture.height(),
            channels,
            data,
        }
    }

    fn resize(self, width: u32, height: u32, filter: Filter) -> Result<Self, PreprocessError> {
        let misfit = PreprocessError::TooThin {
            width: self.width,
            height: self.height,
            to: [width, height],
        };
        // Rows are resized first; between the passes the plane is this large.
        if [self.height, height]
            .iter()
            .any(|&h| width as u64 * h as u64 > MAX_PIXELS)
        {
            return Err(misfit);
        }
        let from = [self.width as usize, self.height as usize];
        let to = [width as usize, height as usize];
        let data = match self.channels {
            1 => resize::<1>(self.data, from, to, filter),
            _ => resize::<3>(self.data, from, to, filter),
        };
        Ok(Self {
            width,
            height,
            channels: self.channels,
            data,
        })
    }

    /// The input of `spec` out of the middle, after resizing to columns and rows.
    fn middle(self, [w, h]: [u32; 2], spec: &InputSpec) -> Result<Self, PreprocessError> {
        let (width, height) = (spec.width, spec.height);
        if w < width || h < height {
            return Err(PreprocessError::TooSmall {
                width,
                height,
                from_width: w,
                from_height: h,
            });
        }
        Ok(self.resize(w, h, spec.filter)?.centre(width, height))
    }

    /// The middle; the size is at most the plane's.
    fn centre(self, width: u32, height: u32) -> Self {
        let left = half(self.width - width) as usize;
        let top = half(self.height - height) as usize;
        let row = self.width as usize * self.channels;
        let from = left * self.channels;
        let len = width as usize * self.channels;
        let rows = self.data.chunks_exact(row).skip(top).take(height as usize);
        let data = rows.flat_map(|r| &r[from..from + len]).copied().collect();
        Self {
            width,
            height,
            channels: self.channels,
            data,
        }
    }
}

/// Half of what is cut off, rounded half to even, as torchvision does.
fn half(n: u32) -> u32 {
    n / 2 + u32::from(n % 4 == 3)
}

/// ITU-R 601 luma with Pillow's rounding.
fn luma(p: &[u8]) -> u8 {
    ((p[0] as u32 * 19595 + p[1] as u32 * 38470 + p[2] as u32 * 7471 + 0x8000) >> 16) as u8
}

/// The network's float input: `(x - mean[c]) / std[c]`, in f32, for what [`crop`] gave.
pub fn to_f32(crop: &[u8], spec: &InputSpec) -> Vec<f32> {
    let tables = tables(spec, |x, mean, std| (x as f32 - mean) / std);
    through(crop, &tables)
}

/// The network's int8 input, for what [`crop`] gave:
/// `clamp(floor((x - mean[c]) / std[c] / scale + 0.5) + zero_point)`, in f64.
pub fn to_i8(crop: &[u8], spec: &InputSpec, quant: Quant) -> Vec<i8> {
    let tables = tables(spec, |x, mean, std| {
        let steps = (x as f64 - mean as f64) / std as f64 / quant.scale as f64;
        // `as` saturates, and gives 0 for NaN.
        ((steps + 0.5).floor() + quant.zero_point as f64).clamp(-128.0, 127.0) as i8
    });
    through(crop, &tables)
}

fn tables<T>(spec: &InputSpec, f: impl Fn(u8, f32, f32) -> T) -> Vec<Vec<T>> {
    let channels = spec.channels() as usize;
    let table = |c: usize| (0..=255).map(|x| f(x, spec.mean[c], spec.std[c])).collect();
    (0..channels).map(table).collect()
}

fn through<T: Copy>(crop: &[u8], tables: &[Vec<T>]) -> Vec<T> {
    crop.chunks(tables.len())
        .flat_map(|p| p.iter().zip(tables).map(|(&x, t)| t[x as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(width: u32, height: u32, resize: ResizeRule) -> InputSpec {
        InputSpec {
            height,
            width,
            resize,
            filter: Filter::Bicubic,
            order: ChannelOrder::Rgb,
            mean: [127.0, 100.0, 50.0],
            std: [128.0, 64.0, 32.0],
        }
    }

    /// Each pixel says where it is.
    fn coordinates(width: u32, height: u32) -> Picture {
        let rgb = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 9]))
            .collect();
        Picture::new(width, height, rgb).unwrap()
    }

    #[test]
    fn exact_size_is_untouched() {
        let p = coordinates(40, 30);
        for rule in [ResizeRule::ShortSide(35), ResizeRule::Squash] {
            assert_eq!(crop(&p, &spec(40, 30, rule)).unwrap(), p.rgb());
        }
    }

    #[test]
    fn centre_crop_without_resampling() {
        // Short side is right already. Python 3.12: round(13 / 2.0) = 6, round(3 / 2.0) = 2.
        let p = coordinates(37, 27);
        let c = crop(&p, &spec(24, 24, ResizeRule::ShortSide(27))).unwrap();
        assert_eq!(c[..3], [6, 2, 9]);
        assert_eq!(c[c.len() - 3..], [29, 25, 9]);
        assert_eq!(c.len(), 24 * 24 * 3);
    }

    /// Where torchvision's `CenterCrop` begins: `int(round((size - crop) / 2.0))`, half to even.
    #[test]
    fn centre_crops_begin_where_torchvision_begins() {
        // Python 3.12: [int(round(n / 2.0)) for n in range(12)]
        let python = [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6];
        for (n, &at) in python.iter().enumerate() {
            assert_eq!(half(n as u32), at, "{n}");
        }
        for (width, height) in [(16, 16), (17, 16), (16, 17), (17, 17)] {
            for more in 0..12u32 {
                // Once what is cut off lies at the sides, once above and below.
                for (w, h) in [(width + more, height), (width, height + more)] {
                    let p = coordinates(w, h);
                    let rule = ResizeRule::ShortSide(w.min(h));
                    let c = crop(&p, &spec(width, height, rule)).unwrap();
                    let begin = |n: u32| (f64::from(n) / 2.0).round_ties_even() as u8;
                    let expected = [begin(w - width), begin(h - height), 9];
                    assert_eq!(c[..3], expected, "{width}x{height} of {w}x{h}");
                }
            }
        }
        // 640x427 on 256: 383 - 224 = 159, and round(79.5) = 80.
        let [w, _] = short_side(640, 427, 256);
        assert_eq!((w, half(w - 224)), (383, 80));
    }

    /// torchvision's `Resize`: `int(size * long / short)`, a division of floats.
    #[test]
    fn the_long_side_is_cut_as_torchvision_cuts_it() {
        for size in [32u32, 37, 224, 232, 235, 256, 292, 342, 384, 519] {
            for short in 1..200u32 {
                for long in (short..short * 4).step_by(1 + short as usize / 16) {
                    let python = f64::from(size) * f64::from(long) / f64::from(short);
                    assert_eq!(short_side(short, long, size), [size, python as u32]);
                    assert_eq!(short_side(long, short, size)[0], python as u32);
                }
            }
        }
    }

    #[test]
    fn torchvision_sizes() {
        assert_eq!(short_side(500, 375, 256), [341, 256]);
        assert_eq!(short_side(375, 500, 256), [256, 341]);
        assert_eq!(short_side(227, 227, 256), [256, 256]);
        assert_eq!(short_side(1, 1, 256), [256, 256]);
    }

    /// Sizes that Pillow's picture was given by hand: the least that covers 92x69, with its shape.
    #[test]
    fn covering_sizes() {
        for ([w, h], to) in [
            ([320, 240], [92, 69]),
            ([69, 69], [92, 92]),
            ([640, 360], [122, 69]),
            ([480, 640], [92, 122]),
            ([1000, 10], [6900, 69]),
            ([3, 4], [92, 122]),
            ([1, 1], [92, 92]),
        ] {
            assert_eq!(cover(w, h, [92, 69]), to, "{w}x{h}");
        }
        // Whatever the picture's shape, the input fits into it.
        let rule = ResizeRule::Cover {
            height: 69,
            width: 92,
        };
        for (w, h) in [(320, 240), (200, 200), (100, 300)] {
            let cut = crop(&coordinates(w, h), &spec(80, 60, rule)).unwrap();
            assert_eq!(cut.len(), 80 * 60 * 3, "{w}x{h}");
        }
    }

    #[test]
    fn channel_orders() {
        let p = Picture::new(1, 1, vec![255, 128, 10]).unwrap();
        let one = |order| {
            crop(
                &p,
                &InputSpec {
                    order,
                    ..spec(1, 1, ResizeRule::Squash)
                },
            )
            .unwrap()
        };
        assert_eq!(one(ChannelOrder::Rgb), [255, 128, 10]);
        assert_eq!(one(ChannelOrder::Bgr), [10, 128, 255]);
        // Pillow: Image.new("RGB", (1, 1), (255, 128, 10)).convert("L")
        assert_eq!(one(ChannelOrder::Gray), [153]);
    }

    #[test]
    fn misfits_are_errors() {
        let small = crop(
            &coordinates(50, 40),
            &spec(24, 24, ResizeRule::ShortSide(20)),
        );
        assert!(
            matches!(small, Err(PreprocessError::TooSmall { .. })),
            "{small:?}"
        );
        let thin = Picture::new(1_000_000, 1, vec![0; 3_000_000]).unwrap();
        let thin = crop(&thin, &spec(24, 24, ResizeRule::ShortSide(256)));
        assert!(
            matches!(thin, Err(PreprocessError::TooThin { .. })),
            "{thin:?}"
        );
        let column = Picture::new(1, 1_000_000, vec![0; 3_000_000]).unwrap();
        let column = crop(&column, &spec(224, 224, ResizeRule::Squash));
        assert!(
            matches!(column, Err(PreprocessError::TooThin { .. })),
            "{column:?}"
        );
        let none = crop(&coordinates(5, 4), &spec(0, 24, ResizeRule::Squash));
        assert!(
            matches!(none, Err(PreprocessError::BadSpec { .. })),
            "{none:?}"
        );
        assert!(crop(&coordinates(5, 4), &spec(4, 4, ResizeRule::ShortSide(0))).is_err());
    }

    #[test]
    fn floats() {
        let v = to_f32(&[127, 100, 50, 255, 0, 82], &spec(2, 1, ResizeRule::Squash));
        assert_eq!(v, [0.0, 0.0, 0.0, 1.0, -1.5625, 1.0]);
    }

    #[test]
    fn int8_rounds_half_up_and_clamps() {
        let mut s = spec(1, 1, ResizeRule::Squash);
        (s.mean, s.std) = ([0.0; 3], [1.0; 3]);
        let quant = |scale, zero_point| Quant { scale, zero_point };
        // 3/2 = 1.5 -> 2; 1/2 = 0.5 -> 1; 4/2 = 2.
        assert_eq!(to_i8(&[3, 1, 4], &s, quant(2.0, 0)), [2, 1, 2]);
        s.mean = [4.0; 3];
        // -1/2 = -0.5 -> 0; -3/2 = -1.5 -> -1.
        assert_eq!(to_i8(&[3, 1, 4], &s, quant(2.0, 10)), [10, 9, 10]);
        assert_eq!(to_i8(&[255, 0, 4], &s, quant(0.01, 0)), [127, -128, 0]);
        // The int8 input of EfficientNet-Lite0: one step a grey level.
        (s.mean, s.std) = ([127.0; 3], [128.0; 3]);
        let all: Vec<u8> = (0..=254).collect();
        let expected: Vec<i8> = (-128..=126).map(|v| v as i8).collect();
        let shifted = to_i8(&all, &s, quant(1.0 / 128.0, -1));
        assert_eq!(shifted, expected);
    }
}
