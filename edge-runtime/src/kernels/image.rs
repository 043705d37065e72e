//! The rows of an input that some rows of outputs read, with the padding around them, in which every window lies.

use super::Geometry;
use core::ops::Range;

/// Elements that an image may have in any case.
const REASONABLE: usize = 8 << 20;

/// How elements get from the input into an image. All that it calls must be inlined.
pub trait Copying<T>: Copy {
    /// Copies as many as `to` takes.
    fn copy(self, from: &[T], to: &mut [T]);
}

/// How the rows lie: `[row][column][channel]`. With a kernel of 1, what lies between windows is left out.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    geometry: Geometry,
    /// Columns of a row.
    columns: usize,
    /// Rows and columns from one window to the next.
    pitch: [usize; 2],
    /// Rows of one window.
    window: usize,
}

impl Image {
    /// For windows over an input.
    pub fn new(g: &Geometry) -> Self {
        // With a kernel of 1, what lies between windows is left out.
        let along = |axis: usize| match g.window.kernel[axis] {
            1 => (1, 1),
            kernel => {
                let dilation = g.window.dilation[axis] as usize;
                let window = (kernel as usize - 1) * dilation + 1;
                (window, g.window.stride[axis] as usize)
            }
        };
        let ([rows, columns], [down, right]) = {
            let (a, b) = (along(0), along(1));
            ([a.0, b.0], [a.1, b.1])
        };
        Self {
            geometry: *g,
            columns: (g.output.w as usize - 1) * right + columns,
            pitch: [down, right],
            window: rows,
        }
    }

    /// False if a single row of outputs takes so much that an image is no way to compute it: windows that are far apart
    /// or have large holes. Then no place in the image exceeds 32 bits either.
    pub fn is_reasonable(&self, weights: usize) -> bool {
        let g = &self.geometry;
        let elements = g.input.len() + g.output.len() + weights;
        let most = (4 * elements).clamp(REASONABLE, u32::MAX as usize);
        let row = self.columns.checked_mul(g.input.c as usize);
        let len = row.and_then(|row| row.checked_mul(self.window));
        len.is_some_and(|len| len <= most)
    }

    /// Elements of a row.
    fn row_len(&self) -> usize {
        self.columns * self.geometry.input.c as usize
    }

    /// Elements for so many rows of outputs. A few more, so that whole quads can be read at the end.
    pub fn len(&self, rows: usize) -> usize {
        ((rows - 1) * self.pitch[0] + self.window) * self.row_len() + 3
    }

    /// The most rows of outputs, one at least, for which this takes no more than `elements`.
    pub fn rows(&self, elements: usize) -> usize {
        let rows = elements / self.row_len();
        let fit = rows.saturating_sub(self.window) / self.pitch[0] + 1;
        fit.min(self.geometry.output.h as usize)
    }

    /// Where the window of an output starts, from the first row of outputs on.
    #[inline(always)]
    pub fn origin(&self, [y, x]: [usize; 2]) -> usize {
        (y * self.pitch[0] * self.columns + x * self.pitch[1]) * self.geometry.input.c as usize
    }

    /// Where the runs of a window start, from its origin on, and their length: neighbours in the image that are
    /// neighbours in the weights too.
    pub fn runs(&self, groups: usize) -> (Vec<usize>, usize) {
        let window = &self.geometry.window;
        let [kh, kw] = window.kernel.map(|k| k as usize);
        let [down, right] = window.dilation.map(|d| d as usize);
        let channels = self.geometry.input.c as usize;
        let tap = move |ky: usize, kx: usize| (ky * down * self.columns + kx * right) * channels;
        if groups > 1 || right > 1 && kw > 1 {
            let taps = (0..kh).flat_map(|ky| (0..kw).map(move |kx| tap(ky, kx)));
            return (taps.collect(), channels / groups);
        }
        if kw == self.columns && (down == 1 || kh == 1) {
            return (vec![0], kh * kw * channels);
        }
        ((0..kh).map(|ky| tap(ky, 0)).collect(), kw * channels)
    }

    /// Copies what the rows `rows` of outputs read; padding reads `padding`.
    #[inline(always)]
    pub fn fill<T: Copy>(
        &self,
        copying: impl Copying<T>,
        padding: T,
        rows: Range<usize>,
        input: &[T],
        image: &mut [T],
    ) {
        let g = &self.geometry;
        let channels = g.input.c as usize;
        let [height, width] = [g.input.h as usize, g.input.w as usize];
        let [top, left] = g.window.pad_before.map(|p| p as usize);
        let [down, right] = g.window.stride.map(|s| s as usize);
        let count = (rows.len() - 1) * self.pitch[0] + self.window;
        // Rows and columns of the image, and of the input, are one unless those between windows are left out.
        let apart = |axis: usize, stride: usize| match g.window.kernel[axis] {
            1 => stride,
            _ => 1,
        };
        let [rows_apart, columns_apart] = [apart(0, down), apart(1, right)];
        for (i, to) in image
            .chunks_exact_mut(self.row_len())
            .take(count)
            .enumerate()
        {
            let y = (rows.start * down + i * rows_apart).wrapping_sub(top);
            if y >= height {
                to.fill(padding);
                continue;
            }
            let from = &input[y * width * channels..][..width * channels];
            if columns_apart == 1 {
                let before = (left * channels).min(to.len());
                let (before, to) = to.split_at_mut(before);
                before.fill(padding);
                let inside = from.len().min(to.len());
                let (inside, after) = to.split_at_mut(inside);
                copying.copy(from, inside);
                after.fill(padding);
                continue;
            }
            for (x, to) in to.chunks_exact_mut(channels).enumerate() {
                let x = (x * columns_apart).wrapping_sub(left);
                match x < width {
                    true => copying.copy(&from[x * channels..], to),
                    false => to.fill(padding),
                }
            }
        }
    }
}
