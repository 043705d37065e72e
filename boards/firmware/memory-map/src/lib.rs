//! From `board.toml` to what the linker and the firmware must know of a board's memory.
//!
//! The build script of a board's crate calls [`emit`]: it writes `memory.x`, which `cortex-m-rt`'s linker
//! script includes; `board.rs` for the firmware, with the constants `MAP`, `BAUD` (if the board is reached through
//! a serial port) and `SENSOR` (on boards); and `runner.rs` with `PLACES` for the image that measures. So no
//! address stands in two places. The file is read with the types that the host commands read it with.

#[allow(dead_code)]
#[path = "../../../converter/src/board/schema.rs"]
mod schema;

use schema::{Board, Deploy, Power, Region, Use};
use std::path::Path;

/// Bytes at the end of region `stack` that no start of the program touches: the record of the last fault.
pub const FAULT_RECORD: u64 = 64;

/// Reads `board.toml` beside the crate's `Cargo.toml` and writes `memory.x`, `board.rs` and `runner.rs` to
/// `OUT_DIR`.
///
/// # Panics
/// With a sentence, which Cargo shows, if the file is missing or describes no microcontroller.
pub fn emit() {
    let var = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by Cargo"));
    let path = Path::new(&var("CARGO_MANIFEST_DIR")).join("board.toml");
    println!("cargo:rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: cannot read the board: {e}", path.display()));
    let files = toml::from_str(&text)
        .map_err(|e| e.to_string())
        .and_then(|board| Files::of(&board));
    let files = files.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let out = var("OUT_DIR");
    let generated = [
        ("memory.x", files.linker),
        ("board.rs", files.constants),
        ("runner.rs", files.places),
    ];
    // The crates of hardware's peripherals bring their own.
    let device = files.is_emulated.then(|| ("device.x", String::new()));
    for (name, text) in generated.into_iter().chain(device) {
        let path = Path::new(&out).join(name);
        std::fs::write(&path, text)
            .unwrap_or_else(|e| panic!("{}: cannot write: {e}", path.display()));
    }
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // The firmware logs, the runner does not.
    println!(
        "cargo:rustc-link-arg-bin={}=-Tdefmt.x",
        var("CARGO_PKG_NAME")
    );
    // Sections keep the addresses of the map; padding them to pages would only make the file longer.
    println!("cargo:rustc-link-arg-bins=--nmagic");
}

/// The generated files.
struct Files {
    linker: String,
    constants: String,
    places: String,
    is_emulated: bool,
}

/// The table of interrupts beyond the core's own, in place of `cortex-m-rt`'s for the most that a core can have,
/// which is 1 to 2 KB. Boards in QEMU serve none; one entry is what the linker script asks for.
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

impl Files {
    fn of(board: &Board) -> Result<Self, String> {
        let region = |purpose: Use| {
            let found = board.region(purpose);
            found.ok_or(format!("there is no region '{}'", purpose.name()))
        };
        let [firmware, stack] = [region(Use::Firmware)?, region(Use::Stack)?];
        let linker = format!(
            "/* From {}/board.toml. */\n\
             MEMORY\n{{\n  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n}}\n\
             _fault_record = ORIGIN(RAM) + LENGTH(RAM);\n",
            board.name,
            firmware.base,
            firmware.size,
            stack.base,
            stack
                .size
                .checked_sub(FAULT_RECORD)
                .ok_or("region 'stack' is too small")?,
        );
        if board.store(Use::Model).map(|s| (s.erase, s.write))
            != board.store(Use::Heads).map(|s| (s.erase, s.write))
        {
            return Err(
                "the memory of region 'model' lacks the 'erase' and 'write' of that of 'heads'"
                    .into(),
            );
        }
        let clock = board.cpu.clock_hz.ok_or("'clock_hz' is missing")?;
        let store = board.store(Use::Heads);
        let store = store.ok_or("the memory of region 'heads' lacks 'erase' and 'write'")?;
        let hardware = match &board.deploy {
            Deploy::ProbeRs { baud, .. } => line(*baud)? + &sensor(&board.power)?,
            _ => String::new(),
        };
        let is_emulated = matches!(board.deploy, Deploy::Qemu { .. });
        let interrupts = if is_emulated { NO_INTERRUPTS } else { "" };
        let place = |r: &Region| {
            format!(
                "firmware::Region {{ base: {:#x}, len: {:#x} }}",
                r.base, r.size
            )
        };
        let constants = format!(
            "/// The board, from its `board.toml`.\n\
             pub const MAP: firmware::MemoryMap = firmware::MemoryMap {{\n    \
             board: {:?},\n    clock_hz: {clock},\n    model: {},\n    heads: {},\n    samples: {},\n    \
             arena: {},\n    erase: {},\n    write: {},\n}};\n{hardware}{interrupts}",
            board.name,
            place(region(Use::Model)?),
            place(region(Use::Heads)?),
            place(region(Use::Samples)?),
            place(region(Use::Arena)?),
            store.erase,
            store.write,
        );
        let place = |r: &Region| format!("({:#x}, {:#x})", r.base, r.size);
        let places = format!(
            "/// The regions, from `board.toml`.\n\
             const PLACES: runner::Places = runner::Places {{ model: {}, arena: {} }};\n{interrupts}",
            place(region(Use::Model)?),
            place(region(Use::Arena)?),
        );
        Ok(Self {
            linker,
            constants,
            places,
            is_emulated,
        })
    }
}

/// The line to the host.
fn line(baud: Option<u32>) -> Result<String, String> {
    let baud = baud.ok_or("[deploy] lacks 'baud'")?;
    Ok(format!(
        "/// Bits a second on the line to the host.\npub const BAUD: u32 = {baud};\n"
    ))
}

/// The power sensor.
fn sensor(power: &Power) -> Result<String, String> {
    let sensor = match power {
        Power::None { .. } => "None".into(),
        Power::Ina219 {
            bus,
            address,
            shunt_microohm,
            ..
        } => {
            let fits = (0x08..=0x77).contains(address);
            let address = fits
                .then_some(address)
                .ok_or("[power] needs a 7-bit 'address'")?;
            format!(
                "Some(firmware::Sensor {{ bus: {bus}, address: {address:#x}, \
                 shunt_microohms: {shunt_microohm} }})"
            )
        }
        other => {
            return Err(format!(
                "the firmware has no driver of sensor '{}'",
                other.sensor()
            ));
        }
    };
    Ok(format!(
        "/// The sensor in the supply line.\npub const SENSOR: Option<firmware::Sensor> = {sensor};\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(name: &str) -> Board {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{name}/board.toml"));
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn a_board_of_the_tree() {
        let mut board = board("qemu-m4");
        let files = Files::of(&board).unwrap();
        assert!(
            files
                .linker
                .contains("RAM : ORIGIN = 0x20300000, LENGTH = 0xfffc0")
        );
        assert!(
            files
                .constants
                .contains("model: firmware::Region { base: 0x21000000, len: 0x1000000 }")
        );
        board.regions.retain(|r| r.purpose != Use::Arena);
        assert_eq!(
            Files::of(&board).err().unwrap(),
            "there is no region 'arena'"
        );
    }

    #[test]
    fn what_hardware_has_besides() {
        assert!(
            !Files::of(&board("qemu-m4"))
                .unwrap()
                .constants
                .contains("BAUD")
        );
        let mut board = board("rp2350");
        let constants = Files::of(&board).unwrap().constants;
        assert!(
            constants.contains("pub const BAUD: u32 = 1000000;"),
            "{constants}"
        );
        assert!(
            constants.contains("SENSOR: Option<firmware::Sensor> = None;"),
            "{constants}"
        );
        let ina219 = |address| Power::Ina219 {
            bus: 0,
            address,
            shunt_microohm: 100_000,
            note: None,
        };
        board.power = ina219(0x41);
        let constants = Files::of(&board).unwrap().constants;
        let sensor = "Some(firmware::Sensor { bus: 0, address: 0x41, shunt_microohms: 100000 })";
        assert!(constants.contains(sensor), "{constants}");
        board.power = ina219(0x80);
        assert!(Files::of(&board).err().unwrap().contains("7-bit"));
        board.power = Power::Rapl { note: None };
        assert!(Files::of(&board).err().unwrap().contains("'rapl'"));
        board.power = Power::None { note: None };
        board.deploy = Deploy::ProbeRs {
            chip: "RP235x".into(),
            serial: None,
            baud: None,
        };
        assert!(Files::of(&board).err().unwrap().contains("'baud'"));
    }
}
