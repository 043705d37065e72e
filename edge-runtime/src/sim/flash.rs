//! A flash in RAM that enforces the rules of real ones, counts erases, and loses power at a chosen operation.

use crate::flash::{ERASED, Flash, FlashError, Geometry};
use crate::model::AlignedBytes;
use crate::random::Random;

/// How much of an operation happened when power failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Nothing.
    Nothing,
    /// A part of it from the front, in thousandths; the unit at the border holds garbage.
    Front(u32),
    /// A part of it from the back, in thousandths; the unit at the border holds garbage.
    Back(u32),
    /// All of it, but it was not acknowledged.
    All,
}

/// Power fails during one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// The operation (program or erase) during which it fails, counted from 0 from now on.
    pub operation: u64,
    /// How much of that operation happens.
    pub torn: Torn,
    /// Seed of the garbage.
    pub seed: u64,
}

/// A simulated NOR flash.
#[derive(Clone)]
pub struct SimFlash {
    geometry: Geometry,
    bytes: AlignedBytes,
    /// Units programmed since their last erase.
    programmed: Vec<bool>,
    /// True if a unit takes one programming between erases (ECC), false if zero bits may be added.
    once: bool,
    erases: Vec<u32>,
    operations: u64,
    cut: Option<PowerCut>,
    off: bool,
}

impl SimFlash {
    /// An erased flash. With `once`, a unit can be programmed only once between erases, as in flashes with
    /// ECC.
    ///
    /// # Panics
    /// If the stores cannot work with such a flash.
    pub fn new(geometry: Geometry, once: bool) -> Self {
        let mut bytes = AlignedBytes::zeroed(geometry.len as usize);
        bytes.fill(ERASED);
        Self::with_content(geometry, once, bytes)
    }

    /// A flash with this content, which has the length of the flash.
    ///
    /// # Panics
    /// If the stores cannot work with such a flash, or the content has another length.
    pub fn with_content(geometry: Geometry, once: bool, content: AlignedBytes) -> Self {
        assert!(geometry.is_usable(), "{geometry:?}");
        assert_eq!(content.len(), geometry.len as usize);
        Self {
            programmed: super::image::programmed(&content, geometry.write_size as usize),
            bytes: content,
            erases: vec![0; (geometry.len / geometry.erase_size) as usize],
            geometry,
            once,
            operations: 0,
            cut: None,
            off: false,
        }
    }

    /// Plans a power cut. The next operation is number 0.
    pub fn cut_power(&mut self, cut: PowerCut) {
        self.cut = Some(PowerCut {
            operation: self.operations + cut.operation,
            ..cut
        });
    }

    /// Turns power on again, without a planned cut.
    pub fn restore_power(&mut self) {
        (self.off, self.cut) = (false, None);
    }

    /// True after a power cut: nothing works until [`Self::restore_power`].
    pub fn is_off(&self) -> bool {
        self.off
    }

    /// Number of program and erase operations so far.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Number of erases of each block.
    pub fn erases(&self) -> &[u32] {
        &self.erases
    }

    /// The content, for tests that damage it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Which of `count` units of an operation happen, and which one is torn, if power fails during it.
    fn torn(&mut self, count: usize) -> Option<(core::ops::Range<usize>, Option<usize>, Random)> {
        let operation = self.operations;
        self.operations += 1;
        let cut = self.cut.filter(|cut| cut.operation == operation)?;
        self.off = true;
        let part = |thousandths: u32| count * thousandths.min(999) as usize / 1000;
        let (done, torn) = match cut.torn {
            Torn::Nothing => (0..0, None),
            Torn::All => (0..count, None),
            Torn::Front(t) => (0..part(t), Some(part(t))),
            Torn::Back(t) => (count - part(t)..count, Some(count - 1 - part(t))),
        };
        Some((done, torn, Random::new(cut.seed)))
    }

    fn program_unit(&mut self, at: usize, data: &[u8]) {
        self.programmed[at / data.len()] = true;
        let old = &mut self.bytes[at..][..data.len()];
        old.iter_mut().zip(data).for_each(|(o, d)| *o &= d);
    }
}

impl Flash for SimFlash {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        if self.off {
            return Err(FlashError::Controller { at });
        }
        let unit = self.geometry.write_size as usize;
        if !(at as usize).is_multiple_of(unit) || !data.len().is_multiple_of(unit) {
            return Err(FlashError::Unaligned { at });
        }
        if at as usize + data.len() > self.bytes.len() {
            return Err(FlashError::Bounds { at });
        }
        let units = at as usize / unit..(at as usize + data.len()) / unit;
        let needs_erase = |u: usize| {
            let (old, new) = (&self.bytes[u * unit..], &data[u * unit - at as usize..]);
            let adds_ones = old.iter().zip(new).take(unit).any(|(o, n)| o & n != *n);
            adds_ones || (self.once && self.programmed[u])
        };
        if let Some(u) = units.clone().find(|u| needs_erase(*u)) {
            let at = (u * unit) as u32;
            return Err(FlashError::Verify { at });
        }
        let first = units.start;
        match self.torn(units.len()) {
            None => {
                for (u, data) in units.zip(data.chunks(unit)) {
                    self.program_unit(u * unit, data);
                }
                Ok(())
            }
            Some((done, torn, mut random)) => {
                for u in done {
                    self.program_unit((first + u) * unit, &data[u * unit..][..unit]);
                }
                if let Some(u) = torn {
                    // Some of the bits that were to become zero have.
                    let garbage: Vec<u8> = data[u * unit..][..unit]
                        .iter()
                        .map(|d| d | random.bits() as u8)
                        .collect();
                    self.program_unit((first + u) * unit, &garbage);
                }
                Err(FlashError::Controller { at })
            }
        }
    }

    fn erase(&mut self, at: u32) -> Result<(), FlashError> {
        if self.off {
            return Err(FlashError::Controller { at });
        }
        let (block, unit) = (
            self.geometry.erase_size as usize,
            self.geometry.write_size as usize,
        );
        if !(at as usize).is_multiple_of(block) {
            return Err(FlashError::Unaligned { at });
        }
        if at as usize + block > self.bytes.len() {
            return Err(FlashError::Bounds { at });
        }
        let first = at as usize / unit;
        let torn = self.torn(block / unit);
        self.erases[at as usize / block] += 1;
        match torn {
            None => {
                self.bytes[at as usize..][..block].fill(ERASED);
                self.programmed[first..][..block / unit].fill(false);
                Ok(())
            }
            Some((done, torn, mut random)) => {
                let erased_some = torn.is_some() || !done.is_empty();
                for u in done {
                    self.bytes[(first + u) * unit..][..unit].fill(ERASED);
                }
                if let Some(u) = torn {
                    let unit = &mut self.bytes[(first + u) * unit..][..unit];
                    unit.iter_mut().for_each(|b| *b |= random.bits() as u8);
                }
                // A block that was not erased to its end takes no programming.
                if erased_some {
                    self.programmed[first..][..block / self.geometry.write_size as usize]
                        .fill(true);
                }
                Err(FlashError::Controller { at })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Geometry = Geometry {
        len: 4096,
        write_size: 8,
        erase_size: 1024,
    };

    #[test]
    fn erase_comes_before_program() {
        let mut flash = SimFlash::new(SIZES, false);
        flash.program(8, &[0xf0; 8]).unwrap();
        flash.program(8, &[0x30; 8]).unwrap();
        assert_eq!(
            flash.program(8, &[0x31; 8]),
            Err(FlashError::Verify { at: 8 })
        );
        let mut ecc = SimFlash::new(SIZES, true);
        ecc.program(8, &[0xf0; 8]).unwrap();
        assert!(ecc.program(8, &[0x30; 8]).is_err());
        ecc.erase(0).unwrap();
        ecc.program(8, &[0x30; 8]).unwrap();
        assert_eq!(ecc.erases(), [1, 0, 0, 0]);
        assert!(ecc.program(4, &[0; 8]).is_err() && ecc.program(4096, &[0; 8]).is_err());
    }

    #[test]
    fn power_fails_in_the_middle() {
        let mut flash = SimFlash::new(SIZES, true);
        let torn = Torn::Front(500);
        flash.cut_power(PowerCut {
            operation: 1,
            torn,
            seed: 3,
        });
        flash.program(0, &[1; 16]).unwrap();
        assert!(flash.program(16, &[2; 32]).is_err() && flash.is_off());
        assert!(flash.erase(0).is_err());
        flash.restore_power();
        assert_eq!(flash.bytes()[..32], [[1; 16], [2; 16]].concat());
        assert_ne!(flash.bytes()[32..40], [2; 8]);
        assert_eq!(flash.bytes()[40..48], [ERASED; 8]);
        flash.cut_power(PowerCut {
            operation: 0,
            torn: Torn::Back(999),
            seed: 3,
        });
        assert!(flash.erase(0).is_err());
        flash.restore_power();
        assert!(flash.bytes()[8..1024].iter().all(|b| *b == ERASED));
        let torn = &flash.bytes()[..8];
        assert!(torn.iter().all(|b| b & 1 == 1) && torn.iter().any(|b| *b != ERASED));
        assert!(flash.program(64, &[0; 8]).is_err(), "erased in part only");
    }
}
