//! A simulated flash whose content is kept in a file, from one process to the next.
//!
//! Every program and erase operation is written to the file at once. So a killed process is like a device
//! that loses power: what was acknowledged is there.

use super::SimFlash;
use crate::flash::{ERASED, Flash, FlashError, Geometry};
use crate::model::AlignedBytes;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// A [`SimFlash`] and its file.
pub struct FlashImage {
    flash: SimFlash,
    file: Option<File>,
}

/// Why a file cannot be the content of a flash.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read or made.
    #[error("cannot open the flash image: {0}")]
    Open(#[from] io::Error),
    /// Another process uses the file.
    #[error("another simulation uses this flash image; stop it first")]
    InUse,
    /// The file belongs to a flash of another length.
    #[error("the flash image has {have} bytes and the flash {need}; remove it to start erased")]
    Length {
        /// Length of the file.
        have: u64,
        /// Length of the flash.
        need: u64,
    },
}

impl FlashImage {
    /// An erased flash in memory, without a file.
    ///
    /// # Panics
    /// If the stores cannot work with such a flash.
    pub fn volatile(geometry: Geometry, once: bool) -> Self {
        Self {
            flash: SimFlash::new(geometry, once),
            file: None,
        }
    }

    /// A flash with the content of the file, or an erased one and a new file if there is none. The file is
    /// locked as long as the flash lives.
    ///
    /// # Errors
    /// If the file cannot be read and written, another process has it, or its length is another flash's.
    ///
    /// # Panics
    /// If the stores cannot work with such a flash.
    pub fn open(path: &Path, geometry: Geometry, once: bool) -> Result<Self, ImageError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => ImageError::InUse,
            TryLockError::Error(e) => e.into(),
        })?;
        let (have, need) = (file.metadata()?.len(), u64::from(geometry.len));
        let flash = if have == 0 {
            let flash = SimFlash::new(geometry, once);
            file.write_all(flash.bytes())?;
            flash
        } else if have == need {
            let mut content = AlignedBytes::zeroed(geometry.len as usize);
            file.read_exact(&mut content)?;
            SimFlash::with_content(geometry, once, content)
        } else {
            return Err(ImageError::Length { have, need });
        };
        Ok(Self {
            flash,
            file: Some(file),
        })
    }

    /// The flash.
    pub fn flash(&self) -> &SimFlash {
        &self.flash
    }

    /// Writes a part of the content to the file.
    fn save(&mut self, at: u32, len: usize) -> Result<(), FlashError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let start = at as usize;
        let part = self.flash.bytes().get(start..start + len);
        let part = part.ok_or(FlashError::Bounds { at })?;
        file.seek(SeekFrom::Start(at.into()))
            .and_then(|_| file.write_all(part))
            .map_err(|_| FlashError::Controller { at })
    }
}

impl Flash for FlashImage {
    fn geometry(&self) -> Geometry {
        self.flash.geometry()
    }

    fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }

    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        self.flash.program(at, data)?;
        self.save(at, data.len())
    }

    fn erase(&mut self, at: u32) -> Result<(), FlashError> {
        self.flash.erase(at)?;
        self.save(at, self.flash.geometry().erase_size as usize)
    }
}

/// True for each unit that holds anything: a unit of ones cannot be told from an erased one.
pub(super) fn programmed(bytes: &[u8], unit: usize) -> Vec<bool> {
    let units = bytes.chunks(unit);
    units.map(|u| u.iter().any(|b| *b != ERASED)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Geometry = Geometry {
        len: 4096,
        write_size: 16,
        erase_size: 1024,
    };

    /// A file of the test's own, removed at its end.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("graft-{name}-{}.flash", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_next_process_finds_it() {
        let file = Scratch::new("image");
        let mut flash = FlashImage::open(&file.0, SIZES, true).unwrap();
        flash.program(16, &[1; 16]).unwrap();
        flash.program(1024, &[2; 32]).unwrap();
        flash.erase(1024).unwrap();
        assert!(matches!(
            FlashImage::open(&file.0, SIZES, true),
            Err(ImageError::InUse)
        ));
        let content = flash.bytes().to_vec();
        drop(flash);
        let mut flash = FlashImage::open(&file.0, SIZES, true).unwrap();
        assert_eq!(flash.bytes(), content);
        assert_eq!(flash.bytes()[16..32], [1; 16]);
        // What was programmed before is programmed still.
        assert!(flash.program(16, &[0; 16]).is_err());
        flash.program(1024, &[3; 16]).unwrap();
    }

    #[test]
    fn a_file_of_another_flash() {
        let file = Scratch::new("length");
        std::fs::write(&file.0, [0; 100]).unwrap();
        let refused = FlashImage::open(&file.0, SIZES, true).err().unwrap();
        assert!(refused.to_string().contains("100 bytes"), "{refused}");
        assert_eq!(std::fs::read(&file.0).unwrap(), [0; 100]);
    }
}
