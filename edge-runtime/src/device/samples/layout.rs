//! Where records lie in the area of the store; follows from sizes alone.
//!
//! The area is divided into segments, which are reclaimed as a whole. A segment has as few erase blocks as
//! possible with at most a quarter of their space unused. It is a header and cells of one length:
//!
//! | bytes of a cell | content |
//! |---|---|
//! | 0..unit | first deletion mark |
//! | unit.. | record header, 64 bytes |
//! | next | feature, padded to the unit |
//! | last unit | second deletion mark |
//!
//! The unit is the flash's write unit, but at least 16 bytes.

use crate::flash::{Area, Geometry};

/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 64;
/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 64;

/// Most erase blocks in a segment.
const MAX_BLOCKS: u32 = 64;

/// Sizes of a sample store; all in bytes unless stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleLayout {
    /// Start of the area.
    pub start: u32,
    /// Bytes of a feature.
    pub features: u32,
    /// Length of a mark.
    pub unit: u32,
    /// Bytes of an erase block.
    pub block: u32,
    /// Bytes of a segment.
    pub segment: u32,
    /// Number of segments, one of which is always spare.
    pub segments: u32,
    /// Bytes of a cell.
    pub cell: u32,
    /// Cells in a segment.
    pub cells: u32,
}

impl SampleLayout {
    /// The layout for features of `features` bytes in an area; `None` if the area does not hold two segments,
    /// or is not an area of this flash.
    pub fn new(geometry: &Geometry, area: Area, features: usize) -> Option<Self> {
        if !geometry.is_usable() || !area.fits(geometry) {
            return None;
        }
        let unit = geometry.unit();
        if features == 0 || features > 1 << 24 {
            return None;
        }
        let cell = 2 * unit + RECORD_HEADER + features.next_multiple_of(unit);
        let used = |blocks: u32| {
            let segment = (blocks as usize).checked_mul(geometry.erase_size as usize)?;
            Some((segment.checked_sub(SEGMENT_HEADER)? / cell, segment))
        };
        let dense = |blocks: &u32| {
            used(*blocks).is_some_and(|(cells, segment)| cells * cell >= segment / 4 * 3)
        };
        let blocks = (1..=MAX_BLOCKS).find(dense)?;
        let (cells, segment) = used(blocks)?;
        let segments = area.len as usize / segment;
        let layout = Self {
            start: area.start,
            features: features as u32,
            unit: unit as u32,
            block: geometry.erase_size,
            segment: segment as u32,
            segments: segments as u32,
            cell: cell as u32,
            cells: cells as u32,
        };
        (segments >= 2 && layout.capacity() > 0).then_some(layout)
    }

    /// Most samples that are kept. One segment is spare, and half of the cells of another one stay free, so
    /// that reclaiming always gains something.
    pub const fn capacity(&self) -> usize {
        (self.all_cells() - self.cells as usize).saturating_sub((self.cells as usize).div_ceil(2))
    }

    /// Number of all cells, those of the spare segment included.
    pub const fn all_cells(&self) -> usize {
        self.segments as usize * self.cells as usize
    }

    /// First byte of a segment.
    pub const fn segment_at(&self, segment: u32) -> u32 {
        self.start + segment * self.segment
    }

    /// First byte of a cell; cells are counted through all segments.
    pub const fn cell_at(&self, cell: u32) -> u32 {
        self.segment_at(cell / self.cells) + SEGMENT_HEADER as u32 + cell % self.cells * self.cell
    }

    /// Bytes of a record: header and feature, padded to the unit.
    pub const fn record_len(&self) -> usize {
        (self.cell - 2 * self.unit) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(write: u32, erase: u32, blocks: u32, features: usize) -> Option<SampleLayout> {
        let geometry = Geometry {
            len: erase * (blocks + 2),
            write_size: write,
            erase_size: erase,
        };
        let area = Area {
            start: erase,
            len: erase * blocks,
        };
        SampleLayout::new(&geometry, area, features)
    }

    #[test]
    fn boards() {
        // RP2350: sectors of 4 KiB; EfficientNet-Lite0's features.
        let l = layout(1, 4096, 64, 1280).unwrap();
        assert_eq!((l.cell, l.segment, l.cells), (1376, 8192, 5));
        assert_eq!((l.segments, l.capacity()), (32, 152));
        // STM32H7: sectors of 128 KiB, units of 32 bytes.
        let l = layout(32, 128 << 10, 4, 1280).unwrap();
        assert_eq!((l.cell, l.cells, l.capacity()), (1408, 93, 232));
        // Features longer than a block.
        let l = layout(4, 4096, 32, 9216).unwrap();
        assert!(l.segment >= 12288 && l.capacity() > 0, "{l:?}");
    }

    #[test]
    fn what_does_not_fit() {
        assert_eq!(layout(4, 4096, 1, 1280), None);
        assert_eq!(layout(4, 4096, 3, 1280), None, "one segment of two blocks");
        assert_eq!(layout(4, 4096, 8, 0), None);
        assert_eq!(layout(64, 4096, 8, 100), None, "write unit");
        assert_eq!(layout(4, 4096, 64, usize::MAX), None);
    }

    #[test]
    fn cells_stay_inside_their_segments() {
        for (write, erase, features) in [
            (1, 512, 40),
            (8, 1024, 300),
            (32, 4096, 1000),
            (16, 4096, 8000),
        ] {
            let l = layout(write, erase, 60, features).unwrap();
            for cell in 0..l.all_cells() as u32 {
                let at = l.cell_at(cell);
                assert!(at.is_multiple_of(write) && at.is_multiple_of(16));
                assert!(at + l.cell <= l.segment_at(cell / l.cells + 1));
            }
            assert!(l.segment_at(l.segments) <= erase * 61);
        }
    }
}
