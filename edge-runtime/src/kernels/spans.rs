//! Where a window lies over its input, computed once for every row and column of the output.

use super::Geometry;
use core::ops::Range;

/// The part of the kernel that is inside the input, along one axis, at one position of the output.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    first: u32,
    end: u32,
    /// Position of tap 0 in the input; negative in the padding.
    origin: i32,
    dilation: u32,
}

impl Span {
    /// The taps inside the input.
    #[inline(always)]
    pub fn taps(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }

    /// Where a tap inside the input lies in it.
    #[inline(always)]
    pub fn at(&self, tap: usize) -> usize {
        (self.origin as isize + tap as isize * self.dilation as isize) as usize
    }
}

/// The spans of all rows and of all columns of an output.
#[derive(Debug)]
pub struct Spans {
    rows: Vec<Span>,
    columns: Vec<Span>,
}

impl Spans {
    /// Of a window that fits ([`Geometry::fits`]).
    pub fn new(g: &Geometry) -> Self {
        let along = |axis: usize, count: u32| {
            let span = |at: u32| {
                let (taps, origin) = g.taps(axis, at as usize);
                Span {
                    first: taps.start as u32,
                    end: taps.end as u32,
                    origin: origin as i32,
                    dilation: g.window.dilation[axis],
                }
            };
            (0..count).map(span).collect()
        };
        Self {
            rows: along(0, g.output.h),
            columns: along(1, g.output.w),
        }
    }

    /// Row and column of every pixel from `first` on.
    #[inline(always)]
    pub fn from(&self, first: usize) -> impl Iterator<Item = [&Span; 2]> {
        let (row, column) = (first / self.columns.len(), first % self.columns.len());
        let mut rows = self.rows.iter().skip(row);
        let rest = rows
            .next()
            .into_iter()
            .flat_map(move |y| self.columns[column..].iter().map(move |x| [y, x]));
        rest.chain(rows.flat_map(|y| self.columns.iter().map(move |x| [y, x])))
    }
}
