//! What the firmware logs about faults and about models that it cannot run.

use edge_runtime::device::{Fault, FaultKind, NotReady};

/// Logs the fault that ended the previous run.
pub fn fault(fault: &Fault) {
    let (at, row) = (fault.at, fault.in_a_row);
    match fault.kind {
        FaultKind::Panic => {
            let file = fault.file.as_str();
            defmt::error!(
                "restarted after a panic at {=str}:{=u32}, {=u32} in a row",
                file,
                at,
                row
            );
        }
        FaultKind::HardFault => {
            defmt::error!(
                "restarted after a hard fault at {=u32:#010x}, {=u32} in a row",
                at,
                row
            );
        }
        FaultKind::Exception => {
            defmt::error!("restarted after exception {=u32}, {=u32} in a row", at, row);
        }
    }
}

/// Logs why the application does not run.
pub fn not_ready(reason: &NotReady) {
    match *reason {
        NotReady::NoModel => defmt::warn!("no model; load or flash one"),
        NotReady::Loading { need, .. } => {
            defmt::info!(
                "the application ends: a host sends a model of {=u32} bytes",
                need
            );
        }
        NotReady::ModelVersion { found } => {
            defmt::warn!(
                "the model has format version {=u16}; convert it again",
                found
            );
        }
        NotReady::DamagedModel => defmt::error!("the model is damaged; flash it again"),
        NotReady::FloatModel => defmt::error!("the model is float; convert it with --int8"),
        NotReady::Ram { have, need } => {
            defmt::error!("the model needs {=u32} bytes of RAM of {=u32}", need, have);
        }
        NotReady::Areas => defmt::error!("heads or samples of this model do not fit their regions"),
        NotReady::Flash { at } => defmt::error!("the flash failed at offset {=u32}", at),
        NotReady::Untrusted => {
            defmt::error!("the model is not signed with the trusted key; sign it")
        }
        NotReady::Faults { faults } => {
            defmt::error!(
                "{=u32} faults in a row: waits for a reset by the host",
                faults
            );
        }
    }
}
