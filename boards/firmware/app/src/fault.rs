//! After a panic or a fault the program records the place, restarts, and reports the fault to the host.
//!
//! The record is in the last bytes of region `stack`, which keep their content when the program starts. It is logged
//! after the restart and not before, because the logger itself may have failed. The message of a panic is dropped, so
//! that no formatting is linked.

use core::panic::PanicInfo;
use core::sync::atomic::{Ordering, compiler_fence};
use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use edge_runtime::crc32;
use edge_runtime::device::{FILE_NAME, Fault, FaultKind, FileName};

/// After this many faults in a row the application is not started again.
pub const MOST_IN_A_ROW: u32 = 3;

/// The first word of a valid record, `GrFt`.
const MAGIC: u32 = 0x7446_7247;

/// The record of a fault, which survives a restart. After power-up the RAM holds anything; the checksum tells.
#[derive(Clone, Copy)]
#[repr(C)]
struct Record {
    magic: u32,
    kind: u32,
    at: u32,
    in_a_row: u32,
    /// 1 until the fault is reported.
    fresh: u32,
    file: [u8; FILE_NAME],
    crc: u32,
}

const _: () = assert!(
    size_of::<Record>() <= 64,
    "FAULT_RECORD of crate memory-map is 64 bytes"
);

unsafe extern "C" {
    static mut _fault_record: Record;
}

impl Record {
    fn checksum(&self) -> u32 {
        let words = [self.magic, self.kind, self.at, self.in_a_row, self.fresh];
        let [a, b, c, d, e] = words.map(u32::to_le_bytes);
        crc32(&[&a, &b, &c, &d, &e, &self.file])
    }

    fn read() -> Option<Self> {
        // SAFETY: the linker script reserves this aligned RAM for the record, and its bytes may have any value. There
        // is one thread, and the handler of a fault does not return.
        let record = unsafe { (&raw const _fault_record).read_volatile() };
        let valid = record.magic == MAGIC && record.crc == record.checksum();
        valid.then_some(record)
    }

    fn write(mut self) {
        self.crc = self.checksum();
        // SAFETY: as in `read`.
        unsafe { (&raw mut _fault_record).write_volatile(self) };
        compiler_fence(Ordering::SeqCst);
    }

    fn fault(&self) -> Fault {
        Fault {
            kind: match self.kind {
                0 => FaultKind::Panic,
                1 => FaultKind::HardFault,
                _ => FaultKind::Exception,
            },
            at: self.at,
            file: FileName::from_bytes(self.file),
            in_a_row: self.in_a_row,
        }
    }
}

/// Records a fault and restarts.
fn end(kind: FaultKind, at: u32, file: FileName) -> ! {
    cortex_m::interrupt::disable();
    let in_a_row = Record::read().map_or(0, |r| r.in_a_row);
    Record {
        magic: MAGIC,
        kind: match kind {
            FaultKind::Panic => 0,
            FaultKind::HardFault => 1,
            FaultKind::Exception => 2,
        },
        at,
        in_a_row: in_a_row.saturating_add(1),
        fresh: 1,
        file: file.bytes(),
        crc: 0,
    }
    .write();
    SCB::sys_reset()
}

/// The fault that ended the previous run. Returns it once.
pub fn take() -> Option<Fault> {
    let mut record = Record::read().filter(|r| r.fresh == 1)?;
    record.fresh = 0;
    record.write();
    Some(record.fault())
}

/// Number of faults in a row up to this start.
pub fn in_a_row() -> u32 {
    Record::read().map_or(0, |r| r.in_a_row)
}

/// Ends the row of faults, because the program works: the next fault is the first again.
pub fn forget() {
    if let Some(mut record) = Record::read().filter(|r| r.in_a_row != 0) {
        record.in_a_row = 0;
        record.write();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => end(FaultKind::Panic, at.line(), FileName::new(at.file())),
        None => end(FaultKind::Panic, 0, FileName::default()),
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    end(FaultKind::HardFault, frame.pc(), FileName::default())
}

#[exception]
unsafe fn DefaultHandler(number: i16) {
    end(
        FaultKind::Exception,
        number as u16 as u32,
        FileName::default(),
    )
}

/// Panics of defmt's own macros are handled like all panics.
#[defmt::panic_handler]
fn defmt_panic() -> ! {
    panic!()
}
