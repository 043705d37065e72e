//! Constants for the firmware and for the image that measures.

use crate::{is_emulated, region};
use board_schema::{Board, Deploy, Power, Region, Use};

/// A table with one interrupt for boards in QEMU, which use only the core's own: the linker script needs at least one
/// entry. The table of `cortex-m-rt` has the most entries that any core can have and takes 1 to 2 KB.
const NO_INTERRUPTS: &str = "\
/// No interrupts but the core's own.
#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = \".vector_table.interrupts\")]
static __INTERRUPTS: [unsafe extern \"C\" fn(); 1] = {
    unsafe extern \"C\" {
        fn DefaultHandler();
    }
    [DefaultHandler]
};
";

/// `board.rs`, for the firmware.
pub fn firmware(board: &Board) -> Result<String, String> {
    let units = |purpose| board.store(purpose).map(|store| (store.erase, store.write));
    let store = units(Use::Heads);
    let (erase, write) = store.ok_or("the memory of region 'heads' lacks 'erase' and 'write'")?;
    if units(Use::Model) != store {
        return Err(
            "the memory of region 'model' lacks the 'erase' and 'write' of that of 'heads'".into(),
        );
    }
    let range = |purpose| -> Result<String, String> {
        let Region { base, size, .. } = region(board, purpose)?;
        Ok(format!(
            "app::MemoryRange {{ base: {base:#x}, len: {size:#x} }}"
        ))
    };
    let mut text = format!(
        "/// The board, from its `board.toml`.\n\
         pub const MAP: app::MemoryMap = app::MemoryMap {{\n    \
         board: {:?},\n    clock_hz: {},\n    model: {},\n    heads: {},\n    samples: {},\n    \
         arena: {},\n    erase: {erase},\n    write: {write},\n}};\n",
        board.name,
        board.cpu.clock_hz.ok_or("'clock_hz' is missing")?,
        range(Use::Model)?,
        range(Use::Heads)?,
        range(Use::Samples)?,
        range(Use::Arena)?,
    );
    if let Deploy::ProbeRs { baud, .. } = &board.deploy {
        text += &baud_rate(*baud)?;
        text += &sensor(&board.power)?;
    }
    Ok(text + interrupts(board))
}

/// `runner.rs`, for the image that measures.
pub fn runner(board: &Board) -> Result<String, String> {
    let range = |purpose| -> Result<String, String> {
        let Region { base, size, .. } = region(board, purpose)?;
        Ok(format!("({base:#x}, {size:#x})"))
    };
    Ok(format!(
        "/// The regions, from `board.toml`.\n\
         const REGIONS: runner::Regions = runner::Regions {{ model: {}, arena: {} }};\n{}",
        range(Use::Model)?,
        range(Use::Arena)?,
        interrupts(board),
    ))
}

fn interrupts(board: &Board) -> &'static str {
    if is_emulated(board) {
        NO_INTERRUPTS
    } else {
        ""
    }
}

/// The speed of the UART to the host.
fn baud_rate(baud: Option<u32>) -> Result<String, String> {
    let baud = baud.ok_or("[deploy] lacks 'baud'")?;
    Ok(format!(
        "/// Speed of the UART to the host, in bits per second.\npub const BAUD: u32 = {baud};\n"
    ))
}

/// The power sensor.
fn sensor(power: &Power) -> Result<String, String> {
    let sensor = match power {
        Power::None { .. } => "None".into(),
        Power::Ina219 { address, .. } if !(0x08..=0x77).contains(address) => {
            return Err("[power] needs a 7-bit 'address'".into());
        }
        Power::Ina219 {
            bus,
            address,
            shunt_microohm,
            ..
        } => format!(
            "Some(app::Sensor {{ bus: {bus}, address: {address:#x}, \
             shunt_microohms: {shunt_microohm} }})"
        ),
        other => {
            return Err(format!(
                "the firmware has no driver for sensor '{}'",
                other.sensor()
            ));
        }
    };
    Ok(format!(
        "/// The power sensor, if one is wired.\npub const SENSOR: Option<app::Sensor> = {sensor};\n"
    ))
}
