//! Tables in terminals and in pipes.

use crate::support::Bench;
use serialport::{SerialPort, TTYPort};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::time::Duration;

/// Written after the command's output.
const END: &[u8] = b"\0";

/// What a command prints in a terminal of so many columns.
fn in_a_terminal(b: &Bench, args: &[&str], columns: &str) -> String {
    let (mut master, slave) = TTYPort::pair().unwrap();
    master.set_timeout(Duration::from_secs(60)).unwrap();
    let path = slave.name().unwrap();
    let mut terminal = OpenOptions::new().write(true).open(path).unwrap();
    drop(slave);
    let reader = std::thread::spawn(move || {
        let (mut all, mut buffer) = (vec![], [0; 1024]);
        while !all.ends_with(END) {
            let count = master.read(&mut buffer).unwrap();
            all.extend(&buffer[..count]);
        }
        String::from_utf8(all).unwrap()
    });
    let stdout = terminal.try_clone().unwrap();
    let mut command = b.command(args);
    command.env("COLUMNS", columns).stdout(stdout);
    assert!(command.status().unwrap().success(), "{args:?}");
    terminal.write_all(END).unwrap();
    let shown = reader.join().unwrap();
    shown.trim_end_matches('\0').replace('\r', "")
}

#[test]
fn tables_fit_the_terminal_and_are_whole_in_a_pipe() {
    let b = Bench::new();
    b.model("m.edge");
    let commands = [
        &["models"][..],
        &["boards"],
        &["boards", "rp2350"],
        &["doctor"],
        &["inspect", "m.edge"],
        &["fit", "m.edge", "--board", "rp2350"],
    ];
    for args in commands {
        let piped = b.command(args).env("COLUMNS", "80").output().unwrap();
        let piped = String::from_utf8(piped.stdout).unwrap();
        assert!(!piped.contains("not shown"), "{piped}");
        for columns in [80, 120] {
            let shown = in_a_terminal(&b, args, &columns.to_string());
            let longest = shown.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(columns), "{args:?}: {shown}");
            assert!(shown.lines().count() > 5, "{args:?}: {shown}");
        }
        // As wide as it is, a terminal shows what a pipe gets.
        let wide = in_a_terminal(&b, args, "1000");
        assert_eq!(wide, piped);
    }
}
