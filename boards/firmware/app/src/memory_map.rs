//! Where things are in a board's memory. The build script's crate `memory-map` makes the values from `board.toml`.

use edge_runtime::device::memory::Areas;
use edge_runtime::flash::Area;

/// A range of addresses.
#[derive(Clone, Copy, Debug)]
pub struct MemoryRange {
    /// First address.
    pub base: u32,
    /// Length in bytes.
    pub len: u32,
}

impl MemoryRange {
    /// One past the last address.
    pub const fn end(&self) -> u32 {
        self.base + self.len
    }

    /// Its bytes, to write.
    ///
    /// # Safety
    /// The range must be RAM that nothing else uses. Call this at most once.
    pub unsafe fn take(&self) -> &'static mut [u8] {
        let base = core::ptr::with_exposed_provenance_mut(self.base as usize);
        // SAFETY: the caller promises it, and bytes may have any value.
        unsafe { core::slice::from_raw_parts_mut(base, self.len as usize) }
    }
}

/// A board's memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryMap {
    /// The board's name.
    pub board: &'static str,
    /// The highest clock of its processor in Hz.
    pub clock_hz: u32,
    /// The `.edge` file, read in place.
    pub model: MemoryRange,
    /// The two head slots.
    pub heads: MemoryRange,
    /// The sample store.
    pub samples: MemoryRange,
    /// The RAM of the application.
    pub arena: MemoryRange,
    /// How many bytes of the flash of model, heads and samples are erased together.
    pub erase: usize,
    /// How many bytes of it are programmed together.
    pub write: usize,
}

impl MemoryMap {
    /// The part of the flash from the first to the last byte of heads and samples.
    pub const fn stores(&self) -> MemoryRange {
        let (a, b) = (self.heads, self.samples);
        let base = if a.base < b.base { a.base } else { b.base };
        let end = if a.end() > b.end() { a.end() } else { b.end() };
        let len = end - base;
        MemoryRange { base, len }
    }

    /// Where heads and samples are inside [`Self::stores`].
    pub const fn areas(&self) -> Areas {
        let base = self.stores().base;
        Areas {
            heads: Area {
                start: self.heads.base - base,
                len: self.heads.len,
            },
            samples: Area {
                start: self.samples.base - base,
                len: self.samples.len,
            },
        }
    }
}
