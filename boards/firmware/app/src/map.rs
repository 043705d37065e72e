//! Where things are in a board's memory; `memory-map` makes it from `board.toml`.

use edge_runtime::device::memory::Areas;
use edge_runtime::flash::Area;

/// A part of the memory.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First address.
    pub base: u32,
    /// Bytes.
    pub len: u32,
}

impl Region {
    /// One past the last address.
    pub const fn end(&self) -> u32 {
        self.base + self.len
    }

    /// Its bytes, to read.
    ///
    /// # Safety
    /// The region must be readable memory that nobody writes to for ever.
    pub unsafe fn bytes(&self) -> &'static [u8] {
        let base = core::ptr::with_exposed_provenance(self.base as usize);
        // SAFETY: the caller promises it.
        unsafe { core::slice::from_raw_parts(base, self.len as usize) }
    }

    /// Its bytes, to write.
    ///
    /// # Safety
    /// The region must be RAM that nothing else uses; this may be called once.
    pub unsafe fn take(&self) -> &'static mut [u8] {
        let base = core::ptr::with_exposed_provenance_mut(self.base as usize);
        // SAFETY: the caller promises it; any content of RAM is some bytes.
        unsafe { core::slice::from_raw_parts_mut(base, self.len as usize) }
    }
}

/// A board's memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryMap {
    /// The board's name.
    pub board: &'static str,
    /// Its processor's highest clock in Hz.
    pub clock_hz: u32,
    /// The `.edge` file, read in place.
    pub model: Region,
    /// The two head slots.
    pub heads: Region,
    /// The sample store.
    pub samples: Region,
    /// The block of RAM of the application.
    pub arena: Region,
    /// Bytes of the flash of model, heads and samples that are erased together.
    pub erase: usize,
    /// Bytes of it that are programmed together.
    pub write: usize,
}

impl MemoryMap {
    /// The part of the flash that holds heads and samples, and what lies between them.
    pub const fn stores(&self) -> Region {
        let (a, b) = (self.heads, self.samples);
        let base = if a.base < b.base { a.base } else { b.base };
        let end = if a.end() > b.end() { a.end() } else { b.end() };
        let len = end - base;
        Region { base, len }
    }

    /// Heads and samples as places in [`Self::stores`].
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
