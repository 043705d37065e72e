//! Generates pictures with the statistics of photographs. They serve as the calibration set if there is no
//! other.
//!
//! This is the dead leaves model (Lee, Mumford and Huang, "Occlusion models for natural images", 2001):
//! opaque shapes of all sizes, with radii distributed as r^-3, cover each other until the picture is full.
//! That gives edges, flat parts and a power spectrum like a photograph's, at every scale. As in photographs,
//! colours vary more in brightness than in hue. But each picture has some black, some white and some
//! saturated shapes, so that ranges measured on it are not too small.
//!
//! The arithmetic is only +, -, *, / and square roots, so the bytes are the same on every machine.

use super::Picture;
use edge_runtime::random::Random;

/// A pixel is the mean of a square of samples with this side.
const SAMPLES: u32 = 2;
/// Radius of the smallest shapes, in samples. Each picture has a value between these two.
const LEAST_RADIUS: [f32; 2] = [3.0, 20.0];
/// Drawing stops when one sample in this many is still uncovered; those become background.
const BARE: usize = 2000;

/// Generates the picture of a seed. A side of 0 counts as 1.
pub fn picture(width: u32, height: u32, seed: u64) -> Picture {
    let (width, height) = (width.max(1), height.max(1));
    let mut random = Random::new(seed ^ 0x6c65_6176_6573);
    let style = Style::of(&mut random);
    let samples = leaves(width * SAMPLES, height * SAMPLES, &style, &mut random);
    let row = (width * SAMPLES) as usize;
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        for x in 0..width as usize {
            let mut sum = [0.0f32; 3];
            for dy in 0..SAMPLES as usize {
                for dx in 0..SAMPLES as usize {
                    let at = (y * SAMPLES as usize + dy) * row + x * SAMPLES as usize + dx;
                    (0..3).for_each(|c| sum[c] += samples[at][c]);
                }
            }
            let grain = style.grain * random.normal();
            for s in sum {
                let v =
                    s / (SAMPLES * SAMPLES) as f32 + grain + 0.3 * style.grain * random.normal();
                rgb.push((v * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture::new(width, height, rgb).expect("three bytes a pixel")
}

/// What the shapes of one picture have in common.
struct Style {
    /// Mean and spread of brightness, on a scale from 0 to 1.
    level: f32,
    spread: f32,
    /// Colour of the light, per channel.
    light: [f32; 3],
    /// Spread of the two colour differences.
    colour: f32,
    /// The parts of the shapes that are strongly coloured, black, and white.
    vivid: f32,
    black: f32,
    white: f32,
    /// Radius of the smallest shape, in samples.
    least_radius: f32,
    /// Noise of each pixel.
    grain: f32,
}

impl Style {
    fn of(random: &mut Random) -> Self {
        let warmth = 0.12 * random.normal();
        // Most pictures have few extreme shapes, a few have many.
        let seldom = |random: &mut Random, most: f32| {
            let u = random.unit();
            0.02 + most * u * u * u
        };
        Self {
            level: random.between(0.3, 0.62),
            spread: random.between(0.14, 0.32),
            light: [1.0 + warmth, 1.0 + 0.04 * random.normal(), 1.0 - warmth],
            colour: random.between(0.02, 0.10),
            vivid: seldom(random, 0.4),
            black: seldom(random, 0.2),
            white: seldom(random, 0.2),
            least_radius: random.between(LEAST_RADIUS[0], LEAST_RADIUS[1]),
            grain: random.between(0.002, 0.02),
        }
    }

    /// Draws the colour of a shape.
    fn colour(&self, random: &mut Random) -> [f32; 3] {
        let kind = random.unit();
        let rgb = if kind < self.black {
            [random.between(0.0, 0.06); 3]
        } else if kind < self.black + self.white {
            [random.between(0.94, 1.08); 3]
        } else if kind < self.black + self.white + self.vivid {
            // A saturated hue: one channel high, one low, one anywhere between.
            let (low, high) = (random.between(0.0, 0.2), random.between(0.5, 1.05));
            let middle = random.between(low, high);
            let orders = [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ];
            let order = orders[random.below(6)];
            let mut rgb = [0.0; 3];
            (0..3).for_each(|i| rgb[order[i]] = [high, middle, low][i]);
            return rgb;
        } else {
            // Brightness, blue against yellow and red against green are nearly independent in photographs.
            let y = self.level + self.spread * random.normal();
            let (by, rg) = (
                self.colour * random.normal(),
                0.5 * self.colour * random.normal(),
            );
            [y + by * 0.6 + rg, y + by * 0.3 - rg, y - by]
        };
        [0, 1, 2].map(|c| rgb[c] * self.light[c])
    }
}

/// One opaque shape, in samples.
struct Leaf {
    centre: [f32; 2],
    /// Direction of the first axis: a unit vector.
    axis: [f32; 2],
    /// Half lengths of the axes.
    half: [f32; 2],
    boxed: bool,
    colour: [f32; 3],
    /// Change of brightness from the centre to the end of each axis: shading.
    slope: [f32; 2],
    texture: Texture,
}

/// Fine structure of a surface, added to its brightness.
#[derive(Clone, Copy)]
enum Texture {
    Smooth,
    /// Waves across the first axis: strength, samples per wave.
    Stripes(f32, f32),
    /// Random blotches of two sizes: strength, samples per blotch, seed.
    Blotches(f32, f32, u64),
}

impl Leaf {
    fn of(width: f32, height: f32, style: &Style, random: &mut Random) -> Self {
        // Inverts the cumulative distribution of r^-3 between the bounds.
        let least = style.least_radius;
        let most = (0.6 * width.max(height)).max(least);
        let (a, b) = (1.0 / (least * least), 1.0 / (most * most));
        let radius = 1.0 / (a + (b - a) * random.unit()).sqrt();
        let round = random.unit() < 0.55;
        let stretch = if round {
            1.0
        } else {
            random.between(1.0, 3.0).sqrt()
        };
        let texture = match random.unit() {
            u if u < 0.45 => Texture::Smooth,
            u if u < 0.65 => {
                Texture::Stripes(random.between(0.02, 0.2), random.between(3.0, 4.0 + radius))
            }
            _ => Texture::Blotches(
                random.between(0.02, 0.2),
                random.between(2.0, 3.0 + radius / 2.0),
                random.bits(),
            ),
        };
        Self {
            centre: [
                random.between(-radius, width + radius),
                random.between(-radius, height + radius),
            ],
            axis: direction(random),
            half: [radius * stretch, radius / stretch],
            boxed: !round && random.unit() < 0.6,
            colour: style.colour(random),
            slope: [0.12 * random.normal(), 0.12 * random.normal()],
            texture,
        }
    }

    /// Colour at a sample, or `None` outside.
    fn at(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let (u, v) = (
            dx * self.axis[0] + dy * self.axis[1],
            dy * self.axis[0] - dx * self.axis[1],
        );
        let (s, t) = (u / self.half[0], v / self.half[1]);
        let inside = if self.boxed {
            s.abs().max(t.abs()) < 0.886
        } else {
            s * s + t * t < 1.0
        };
        if !inside {
            return None;
        }
        let detail = match self.texture {
            Texture::Smooth => 0.0,
            Texture::Stripes(strength, wave) => strength * triangle(u / wave),
            Texture::Blotches(strength, size, seed) => {
                strength
                    * (blotch(dx / size, dy / size, seed)
                        + 0.5 * blotch(dx / size * 2.0, dy / size * 2.0, !seed))
            }
        };
        let shade = 1.0 + self.slope[0] * s + self.slope[1] * t + detail;
        Some(self.colour.map(|c| c * shade))
    }
}

/// A random unit vector, uniform in direction.
fn direction(random: &mut Random) -> [f32; 2] {
    loop {
        let (x, y) = (random.between(-1.0, 1.0), random.between(-1.0, 1.0));
        let square = x * x + y * y;
        if square > 0.01 && square < 1.0 {
            let length = square.sqrt();
            return [x / length, y / length];
        }
    }
}

/// A wave of period 1 between -1 and 1.
fn triangle(x: f32) -> f32 {
    4.0 * (x - (x + 0.5).floor()).abs() - 1.0
}

/// Smoothly interpolated random values on the integer grid, between -1 and 1.
fn blotch(x: f32, y: f32, seed: u64) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let corner = |dx: i32, dy: i32| {
        let (ix, iy) = (fx as i32 + dx, fy as i32 + dy);
        Random::new(seed ^ ((ix as u32 as u64) << 32 | iy as u32 as u64)).between(-1.0, 1.0)
    };
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    mix(
        mix(corner(0, 0), corner(1, 0), tx),
        mix(corner(0, 1), corner(1, 1), tx),
        ty,
    )
}

/// Draws shapes from front to back, each only where none is yet, until hardly anything is uncovered.
fn leaves(width: u32, height: u32, style: &Style, random: &mut Random) -> Vec<[f32; 3]> {
    let (w, h) = (width as usize, height as usize);
    let mut samples: Vec<Option<[f32; 3]>> = vec![None; w * h];
    let mut bare = samples.len();
    while bare > samples.len() / BARE {
        let leaf = Leaf::of(width as f32, height as f32, style, random);
        // No point of a shape is farther from its centre than this, not even a box's corner.
        let reach = leaf.half[0].max(leaf.half[1]) * 1.26;
        let span = |centre: f32, len: usize| {
            // `as` saturates at 0.
            let from = (centre - reach).floor() as usize;
            from.min(len)..((centre + reach).ceil().max(0.0) as usize + 1).min(len)
        };
        for y in span(leaf.centre[1], h) {
            for x in span(leaf.centre[0], w) {
                let sample = &mut samples[y * w + x];
                if sample.is_none() {
                    *sample = leaf.at(x as f32, y as f32);
                    bare -= sample.is_some() as usize;
                }
            }
        }
    }
    let background = style.colour(random);
    samples
        .into_iter()
        .map(|s| s.unwrap_or(background))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_same_bytes_everywhere() {
        let hash = hex::encode(Sha256::digest(picture(64, 48, 3).rgb()));
        assert_eq!(
            hash,
            "c766d4bec530f513f50e39581e6cf2d61335a93693cead178fde35a03f86f3e3"
        );
        assert_ne!(picture(64, 48, 3), picture(64, 48, 4));
    }

    #[test]
    fn any_size() {
        for (w, h) in [(0, 0), (1, 1), (3, 100), (100, 2)] {
            let p = picture(w, h, 1);
            assert_eq!((p.width(), p.height()), (w.max(1), h.max(1)));
        }
    }

    /// Pictures have what photographs have: all brightnesses, correlated channels, similar neighbours, edges.
    #[test]
    fn statistics_like_photographs() {
        let (mut dark, mut bright, mut vivid, mut count) = (0, 0, 0, 0);
        let (mut corr, mut near, mut far) = (0.0, 0.0, 0.0);
        let n = 12;
        for seed in 0..n {
            let p = picture(96, 96, seed);
            let luma: Vec<f32> = p
                .rgb()
                .chunks(3)
                .map(|v| v.iter().map(|&v| v as f32).sum::<f32>() / 3.0)
                .collect();
            for v in p.rgb().chunks(3) {
                let (low, high) = (v.iter().min().unwrap(), v.iter().max().unwrap());
                dark += (*high < 20) as u32;
                bright += (*low > 235) as u32;
                vivid += (high - low > 100) as u32;
                count += 1;
            }
            let red: Vec<f32> = p.rgb().chunks(3).map(|v| v[0] as f32).collect();
            let blue: Vec<f32> = p.rgb().chunks(3).map(|v| v[2] as f32).collect();
            corr += correlation(&red, &blue);
            near += correlation(&luma[..luma.len() - 1], &luma[1..]);
            far += correlation(&luma[..luma.len() - 24 * 96], &luma[24 * 96..]);
        }
        let part = |n: u32| n as f32 / count as f32;
        assert!((0.01..0.2).contains(&part(dark)), "dark {}", part(dark));
        assert!(
            (0.01..0.2).contains(&part(bright)),
            "bright {}",
            part(bright)
        );
        assert!((0.02..0.3).contains(&part(vivid)), "vivid {}", part(vivid));
        let mean = |v: f32| v / n as f32;
        assert!(
            (0.5..0.95).contains(&mean(corr)),
            "red and blue {}",
            mean(corr)
        );
        assert!(
            (0.75..0.99).contains(&mean(near)),
            "neighbours {}",
            mean(near)
        );
        assert!(
            (0.0..0.5).contains(&mean(far)),
            "24 pixels apart {}",
            mean(far)
        );
    }

    fn correlation(a: &[f32], b: &[f32]) -> f32 {
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        let (ma, mb) = (mean(a), mean(b));
        let dot = |x: &[f32], mx: f32, y: &[f32], my: f32| {
            x.iter()
                .zip(y)
                .map(|(x, y)| (x - mx) * (y - my))
                .sum::<f32>()
        };
        dot(a, ma, b, mb) / (dot(a, ma, a, ma) * dot(b, mb, b, mb)).sqrt()
    }
}
