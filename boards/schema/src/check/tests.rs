use super::check;
use crate::tests::board;
use crate::{Board, Deploy, Kind, Linux, Region, Use};

/// A change that breaks a rule, and words that the error must have.
type Case = (fn(&mut Board), &'static [&'static str]);

fn region(board: &mut Board, purpose: Use) -> &mut Region {
    board
        .regions
        .iter_mut()
        .find(|r| r.purpose == purpose)
        .unwrap()
}

fn refused(name: &str, cases: &[Case]) {
    let sound = board(name);
    for (change, words) in cases {
        let mut board = sound.clone();
        change(&mut board);
        let e = check(&board).expect_err(words[0]).to_string();
        assert_eq!(e.lines().count(), 1, "{e}");
        for word in *words {
            assert!(e.contains(word), "no '{word}' in: {e}");
        }
    }
    assert_eq!(check(&sound), Ok(()));
}

#[test]
fn contradictions_of_microcontrollers() {
    refused(
        "nucleo-h743zi2",
        &[
            (|b| b.name = "A b\n".into(), &["name", "a-z"]),
            (|b| b.title = "two\nlines".into(), &["title", "one line"]),
            (|b| b.sources = vec!["x".into(); 65], &["sources", "65"]),
            (|b| b.cpu.cores = Some(0), &["cores", "0"]),
            (|b| b.cpu.clock_hz = Some(1), &["clock"]),
            (
                |b| {
                    b.deploy = Deploy::ProbeRs {
                        chip: "STM32H743ZITx".into(),
                        serial: None,
                        baud: Some(300),
                    };
                },
                &["baud", "300", "9600"],
            ),
            (|b| b.kind = Kind::Linux, &["linux", "[linux]"]),
            (|b| b.memories[0].size = 0, &["'flash'", "32 bits"]),
            (|b| b.memories[1].base = u64::MAX, &["'itcm'", "32 bits"]),
            (
                |b| b.memories[1].name = "flash".into(),
                &["'flash'", "same name"],
            ),
            (|b| b.memories[0].write = None, &["'flash'", "`write`"]),
            (|b| b.memories[0].write = Some(24), &["24", "power of two"]),
            (|b| b.memories[0].write = Some(64), &["64"]),
            (|b| b.memories[0].erase = Some(0), &["`erase` is 0"]),
            (|b| b.memories[0].erase = Some(3000), &["3000"]),
            (
                |b| b.memories[2].base = 0x8000,
                &["'itcm'", "'dtcm'", "0x8000"],
            ),
            (|b| b.regions.clear(), &["'firmware'", "missing"]),
            (
                |b| b.regions.push(b.regions[1].clone()),
                &["'model'", "several"],
            ),
            (
                |b| region(b, Use::Arena).memory = "sdram".into(),
                &["'arena'", "'sdram'"],
            ),
            (
                |b| region(b, Use::Arena).size += 16,
                &["'arena'", "inside", "'axi-sram'"],
            ),
            (
                |b| region(b, Use::Arena).size = u64::MAX,
                &["'arena'", "inside"],
            ),
            (|b| region(b, Use::Arena).base += 8, &["'arena'"]),
            (
                |b| region(b, Use::Heads).size -= 0x2_0000,
                &["'heads'", "even number"],
            ),
            (
                |b| region(b, Use::Model).size -= 0x1000,
                &["'model'", "131072"],
            ),
            (
                |b| region(b, Use::Model).base -= 0x2_0000,
                &["'firmware'", "'model'", "0x8020000"],
            ),
        ],
    );
    refused(
        "nucleo-h743zi2",
        &[
            (
                |b| {
                    let flash = region(b, Use::Samples).clone();
                    let arena = region(b, Use::Arena);
                    (arena.memory, arena.base, arena.size) = (flash.memory, flash.base, flash.size);
                },
                &["'arena'", "variables", "flash"],
            ),
            (
                |b| {
                    let heads = region(b, Use::Heads);
                    (heads.memory, heads.base) = ("sram123".into(), 0x3000_0000);
                },
                &["'heads'", "`erase`"],
            ),
        ],
    );
}

#[test]
fn the_stores_share_a_flash() {
    refused(
        "qemu-m4",
        &[(
            |b| {
                region(b, Use::Model).size -= 0x10_0000;
                let samples = region(b, Use::Samples);
                (samples.memory, samples.base) = ("psram".into(), 0x21f0_0000);
                samples.size = 0x10_0000;
            },
            &["'samples'", "'ssram1'", "driver"],
        )],
    );
}

#[test]
fn contradictions_of_linux_boards() {
    fn linux(board: &mut Board) -> &mut Linux {
        board.linux.as_mut().unwrap()
    }
    refused(
        "raspberry-pi-5",
        &[
            (|b| b.linux = None, &["[linux]"]),
            (|b| b.kind = Kind::Mcu, &["'mcu'", "no [linux]"]),
            (|b| linux(b).ram = Some(0), &["RAM", "0"]),
            (|b| linux(b).reserved = u64::MAX, &["reserved"]),
            (|b| linux(b).heads = 4096, &["head slots"]),
            (|b| linux(b).heads = 12288, &["8192"]),
            (|b| linux(b).samples = u64::MAX, &["sample store"]),
            (|b| b.memories = board("rp2350").memories, &["no memories"]),
        ],
    );
}
