//! A flash in a file.
//!
//! The file is mapped for reading, and written by `pwrite` and `fdatasync`: when a call returns, the data is
//! on the disk. An erase block is one page of memory. A power cut during a write leaves some pages new and
//! others old, which the stores are made for. A process that is killed loses nothing.

use crate::flash::{ERASED, Flash, FlashError, Geometry, is_erased};
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Write unit and erase block, as [`Geometry::write_size`] and [`Geometry::erase_size`].
pub const SIZES: (u32, u32) = (16, 4096);

/// The file does not consist of whole erase blocks, or is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flash file consists of blocks of {} bytes and is shorter than 4 GiB", SIZES.1)]
pub struct WrongLength;

/// A file that behaves like a NOR flash.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    map: Mmap,
    geometry: Geometry,
}

impl FileFlash {
    /// A flash as long as the file, which is open for reading and writing. Nothing else may change or
    /// truncate the file while this value lives.
    pub fn new(file: File) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, WrongLength);
        let len = u32::try_from(file.metadata()?.len()).map_err(|_| wrong())?;
        let geometry = Geometry {
            len,
            write_size: SIZES.0,
            erase_size: SIZES.1,
        };
        if !geometry.is_usable() {
            return Err(wrong());
        }
        // SAFETY: the file changes by this value's own calls only, which take `&mut self`, so not while a
        // slice of the map is borrowed: `State` holds a lock that keeps other processes of this program out,
        // and its folder belongs to the program's user alone.
        let map = unsafe { Mmap::map(&file)? };
        if map.len() != len as usize {
            return Err(wrong());
        }
        Ok(Self {
            file,
            map,
            geometry,
        })
    }

    fn check(&self, at: u32, len: usize, unit: u32) -> Result<(), FlashError> {
        if !at.is_multiple_of(unit) || !len.is_multiple_of(unit as usize) {
            return Err(FlashError::Unaligned { at });
        }
        if at as u64 + len as u64 > self.geometry.len as u64 {
            return Err(FlashError::Bounds { at });
        }
        Ok(())
    }

    fn put(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        let written = self.file.write_all_at(data, at as u64);
        written.and_then(|()| self.file.sync_data()).map_err(|e| {
            // The cause goes to the log; the protocol's error has no room for it.
            eprintln!("edge: cannot write the flash file at {at}: {e}");
            FlashError::Controller { at }
        })
    }
}

impl Flash for FileFlash {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        self.check(at, data.len(), SIZES.0)?;
        let old = &self.map[at as usize..][..data.len()];
        // As on a real flash, no bit becomes one.
        if old.iter().zip(data).any(|(old, new)| old & new != *new) {
            return Err(FlashError::Verify { at });
        }
        self.put(at, data)
    }

    fn erase(&mut self, at: u32) -> Result<(), FlashError> {
        let block = [ERASED; SIZES.1 as usize];
        self.check(at, block.len(), SIZES.1)?;
        if is_erased(&self.map[at as usize..][..block.len()]) {
            return Ok(());
        }
        self.put(at, &block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn a_file_is_a_flash() {
        let file = file(&[0; 3 * 4096]);
        let mut flash = FileFlash::new(file.try_clone().unwrap()).unwrap();
        assert_eq!(
            flash.program(4096, &[1; 16]),
            Err(FlashError::Verify { at: 4096 })
        );
        flash.erase(4096).unwrap();
        flash.erase(4096).unwrap();
        flash.program(4112, &[7; 32]).unwrap();
        assert_eq!(flash.bytes()[4095..4113][..2], [0, ERASED]);
        assert_eq!(flash.bytes()[4112..4144], [7; 32]);
        assert!(flash.program(4112, &[8; 16]).is_err(), "adds ones");
        assert_eq!(
            flash.program(8, &[0; 16]),
            Err(FlashError::Unaligned { at: 8 })
        );
        assert_eq!(
            flash.program(0, &[0; 8]),
            Err(FlashError::Unaligned { at: 0 })
        );
        assert_eq!(flash.erase(16), Err(FlashError::Unaligned { at: 16 }));
        assert_eq!(flash.erase(12288), Err(FlashError::Bounds { at: 12288 }));
        assert_eq!(
            flash.program(12272, &[0; 32]),
            Err(FlashError::Bounds { at: 12272 })
        );
        drop(flash);
        let again = FileFlash::new(file).unwrap();
        assert_eq!(again.bytes()[4112..4144], [7; 32]);
    }

    #[test]
    fn other_lengths_are_refused() {
        for len in [0, 1, 4095, 4097] {
            let error = FileFlash::new(file(&vec![0; len])).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{len}");
        }
        let long = tempfile::tempfile().unwrap();
        long.set_len(1 << 32).unwrap();
        assert!(FileFlash::new(long).is_err());
    }
}
