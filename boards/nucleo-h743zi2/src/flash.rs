//! The flash of the STM32H743 after the program: the driver of the HAL, and what it does not do for the ECC of the flash
//! and the data cache of the processor.
//!
//! Heads and samples are in the second bank. A model may begin in the first bank, from which the program runs. While a
//! sector of that bank is erased or programmed, the processor waits whenever it fetches code, also for interrupts. Bytes
//! from the host are lost then, and the protocol repeats them.
//!
//! Each word of 32 bytes has an ECC. If the power fails while a word is programmed or a sector is erased, a word may hold
//! bits that its ECC cannot correct; reading it is a bus fault. [`edge_runtime::flash::Flash`] requires that everything
//! can be read. So [`EccFlash::repair`] looks for such words at every start, with bus faults masked, and erases their
//! sectors, except for the readable words. A word that fails while the program runs is reported as an error of the call
//! that programmed it.

use core::ops::Range;
use cortex_m::peripheral::{CPUID, SCB};
use embassy_stm32::flash::{Blocking, Error, FLASH_BASE, Flash, MAX_ERASE_SIZE, WRITE_SIZE};
use embassy_stm32::pac;
use embassy_stm32::pac::flash::Bank as Registers;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Bytes of a word.
const WORD: usize = WRITE_SIZE;
/// Bytes of a sector.
const SECTOR: usize = MAX_ERASE_SIZE;
/// Where the second bank starts in the flash.
pub const BANK: u32 = 0x10_0000;
/// The program is before this offset; the driver does not write there.
pub const FIRST: u32 = 0x4_0000;
/// The address of the flash.
const BASE: usize = FLASH_BASE;

/// How often a word is read again when the controller reports another one.
const READINGS: usize = 3;

/// The driver, with the cache between flash and processor. Offsets are from the start of the whole flash.
pub struct EccFlash<'d> {
    driver: Flash<'d, Blocking>,
    scb: SCB,
}

impl<'d> EccFlash<'d> {
    /// Wraps the driver of the HAL.
    pub fn new(driver: Flash<'d, Blocking>, scb: SCB) -> Self {
        Self { driver, scb }
    }

    /// Makes every word of some sectors readable, and returns how many were not. `spare` is RAM for a sector. Call it
    /// before the data cache is on: the cache reads ahead, so it would not be known which word failed.
    ///
    /// If the power fails here as well, a sector of samples may be lost.
    pub fn repair(&mut self, sectors: Range<u32>, spare: &mut [u8]) -> Result<usize, Error> {
        let spare = spare.get_mut(..SECTOR).ok_or(Error::Size)?;
        let mut damaged = 0;
        for sector in sectors.step_by(SECTOR) {
            let mut unreadable = 0;
            for (i, copy) in spare.chunks_exact_mut(WORD).enumerate() {
                let word = read(sector + (i * WORD) as u32);
                unreadable += usize::from(word.is_none());
                copy.copy_from_slice(&word.unwrap_or([0xff; WORD]));
            }
            if unreadable == 0 {
                continue;
            }
            damaged += unreadable;
            self.erase(sector, sector + SECTOR as u32)?;
            for (i, copy) in spare.chunks_exact(WORD).enumerate() {
                if copy.iter().any(|byte| *byte != 0xff) {
                    self.write(sector + (i * WORD) as u32, copy)?;
                }
            }
        }
        Ok(damaged)
    }

    /// Turns the data cache on. No DMA reads or writes memory, so only the flash needs care, in [`Self::finish`].
    pub fn start_data_cache(&mut self, cpuid: &mut CPUID) {
        self.scb.enable_dcache(cpuid);
    }

    /// Waits until both banks are ready, and removes `len` bytes at offset `from` from the cache.
    fn finish(&mut self, from: u32, len: usize) {
        cortex_m::asm::dsb();
        for bank in [bank(0), bank(BANK)] {
            loop {
                let status = bank.sr().read();
                if !status.bsy() && !status.qw() {
                    break;
                }
            }
        }
        // SAFETY: these are whole cache lines of flash, which hold nothing that is not in the flash: nothing is lost.
        unsafe {
            self.scb
                .invalidate_dcache_by_address(BASE + from as usize, len)
        };
    }
}

impl ErrorType for EccFlash<'_> {
    type Error = Error;
}

impl ReadNorFlash for EccFlash<'_> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        if !(offset as usize).is_multiple_of(WORD) || !bytes.len().is_multiple_of(WORD) {
            return Err(Error::Unaligned);
        }
        let end = u64::from(offset) + bytes.len() as u64;
        if offset < FIRST || end > self.capacity() as u64 {
            return Err(Error::Size);
        }
        for (word, at) in bytes.chunks_exact_mut(WORD).zip((offset..).step_by(WORD)) {
            word.copy_from_slice(&read(at).ok_or(Error::Prog)?);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.driver.capacity()
    }
}

impl NorFlash for EccFlash<'_> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        if from < FIRST || to <= from || to as usize > self.capacity() {
            return Err(Error::Size);
        }
        clear_errors(from);
        clear_errors(to - 1);
        let result = self.driver.blocking_erase(from, to);
        self.finish(from, (to - from) as usize);
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        if offset < FIRST {
            return Err(Error::Size);
        }
        clear_errors(offset);
        clear_errors(offset.saturating_add(bytes.len() as u32));
        let result = self.driver.blocking_write(offset, bytes);
        self.finish(offset, bytes.len());
        result?;
        for (word, at) in bytes.chunks_exact(WORD).zip((offset..).step_by(WORD)) {
            if read(at).is_none_or(|read| read != word) {
                return Err(Error::Prog);
            }
        }
        Ok(())
    }
}

/// Registers of the bank of an offset.
fn bank(offset: u32) -> Registers {
    pac::FLASH.bank(usize::from(offset >= BANK))
}

/// Clears the errors that the controller has reported. The HAL's driver writes to the status register for this, which is
/// read-only on the H7 (RM0433, `FLASH_SR1`; `FLASH_CCR1` clears).
fn clear_errors(offset: u32) {
    bank(offset).ccr().write(|w| {
        w.set_clr_wrperr(true);
        w.set_clr_pgserr(true);
        w.set_clr_strberr(true);
        w.set_clr_incerr(true);
        w.set_clr_operr(true);
        w.set_clr_rdperr(true);
        w.set_clr_rdserr(true);
        w.set_clr_sneccerr(true);
        w.set_clr_dbeccerr(true);
    });
}

/// A word; `None` if its ECC cannot correct it.
fn read(offset: u32) -> Option<[u8; WORD]> {
    let index = offset % BANK / WORD as u32;
    for _ in 0..READINGS {
        let word = read_masked(offset);
        let bank = bank(offset);
        let (status, failed) = (bank.sr().read(), bank.far().read());
        clear_errors(offset);
        if !status.dbeccerr() {
            return Some(word);
        }
        if u32::from(failed.fail_ecc_addr()) == index {
            return None;
        }
        // Another word failed, which was read ahead: the controller reports only the first.
    }
    // It is not known whether the word is good, so it counts as bad.
    None
}

/// Reads a word with bus faults masked, as Zephyr's driver does: at the priority of a hard fault
/// (`FAULTMASK`), with `BFHFNMIGN`, a load that fails returns anything.
fn read_masked(offset: u32) -> [u8; WORD] {
    const IGNORE_FAULTS: u32 = 1 << 8;
    /// Bus faults in the fault status register. Writing the bits clears them.
    const BUS_FAULTS: u32 = 0xff << 8;
    clear_errors(offset);
    let from = core::ptr::with_exposed_provenance::<u32>(BASE + offset as usize);
    let mut word = [0; WORD];
    // SAFETY: every caller has checked that the offset is that of a word in the flash. The registers are those of the
    // core, and nothing interrupts the program in between.
    unsafe {
        let scb = &*SCB::PTR;
        core::arch::asm!("cpsid f", options(nostack, preserves_flags));
        scb.ccr.modify(|r| r | IGNORE_FAULTS);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        for (i, bytes) in word.chunks_exact_mut(size_of::<u32>()).enumerate() {
            bytes.copy_from_slice(&from.add(i).read_volatile().to_le_bytes());
        }
        cortex_m::asm::dsb();
        scb.cfsr.write(BUS_FAULTS);
        scb.ccr.modify(|r| r & !IGNORE_FAULTS);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        core::arch::asm!("cpsie f", options(nostack, preserves_flags));
    }
    word
}
