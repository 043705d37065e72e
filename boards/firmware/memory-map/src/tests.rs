use super::*;
use board_schema::Power;

fn board(name: &str) -> Board {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../{name}/board.toml"));
    board_schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_board_in_qemu() {
    let mut board = board("qemu-m4");
    let memory = linker::memory(&board).unwrap();
    assert!(memory.contains("RAM : ORIGIN = 0x20300000, LENGTH = 0xfffc0"));
    let constants = constants::firmware(&board).unwrap();
    assert!(constants.contains("model: app::MemoryRange { base: 0x21000000, len: 0x1000000 }"));
    assert!(constants.contains("__INTERRUPTS") && !constants.contains("BAUD"));
    let runner = constants::runner(&board).unwrap();
    assert!(runner.contains("model: (0x21000000, 0x1000000)"));
    let names = files(&board).unwrap().into_iter().map(|(name, _)| name);
    let expected = ["memory.x", "board.rs", "runner.rs", "device.x"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    board.regions.retain(|r| r.purpose != Use::Arena);
    let error = files(&board).unwrap_err();
    assert_eq!(error, "there is no region 'arena'");
}

#[test]
fn a_board_of_hardware() {
    let mut board = board("rp2350");
    let constants = constants::firmware(&board).unwrap();
    assert!(constants.contains("pub const BAUD: u32 = 1000000;"));
    assert!(constants.contains("SENSOR: Option<app::Sensor> = None;"));
    assert!(!constants.contains("__INTERRUPTS"));
    let ina219 = |address| Power::Ina219 {
        bus: 0,
        address,
        shunt_microohm: 100_000,
        note: None,
    };
    board.power = ina219(0x41);
    let constants = constants::firmware(&board).unwrap();
    let sensor = "Some(app::Sensor { bus: 0, address: 0x41, shunt_microohms: 100000 })";
    assert!(constants.contains(sensor), "{constants}");
    board.power = ina219(0x80);
    assert!(files(&board).unwrap_err().contains("7-bit"));
    board.power = Power::Rapl { note: None };
    assert!(files(&board).unwrap_err().contains("'rapl'"));
    board.power = Power::None { note: None };
    board.deploy = Deploy::ProbeRs {
        chip: "RP235x".into(),
        serial: None,
        baud: None,
    };
    assert!(files(&board).unwrap_err().contains("'baud'"));
}
