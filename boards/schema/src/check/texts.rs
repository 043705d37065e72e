//! Texts and lists: a name that commands can take, texts that print as one line, lists of bounded length.

use super::{MAX_ITEMS, MAX_TEXT, Problem};
use crate::{Board, Deploy, Power};

/// Checks all texts and lists.
pub fn check(board: &Board) -> Result<(), Problem> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if !(1..=40).contains(&board.name.len()) || !board.name.chars().all(allowed) {
        return Err(Problem::Name(board.name.chars().take(40).collect()));
    }
    for (list, count) in [
        ("sources", board.sources.len()),
        ("accelerator", board.accelerators.len()),
        ("unsupported_operators", board.unsupported_operators.len()),
        ("memory", board.memories.len()),
        ("region", board.regions.len()),
        ("cpu.features", board.cpu.features.len()),
    ] {
        if count > MAX_ITEMS {
            return Err(Problem::Items { list, count });
        }
    }
    let prints = |s: &str| (1..=MAX_TEXT).contains(&s.len()) && !s.contains(char::is_control);
    match texts(board).into_iter().find(|(_, text)| !prints(text)) {
        Some((key, _)) => Err(Problem::Text(key)),
        None => Ok(()),
    }
}

/// All texts of a board but its name, each with its key.
fn texts(board: &Board) -> Vec<(&'static str, &str)> {
    let mut texts: Vec<(&'static str, &str)> =
        vec![("title", &board.title), ("cpu.core", &board.cpu.core)];
    texts.extend(board.cpu.target.iter().map(|t| ("cpu.target", t.as_str())));
    texts.extend(board.power.note().map(|note| ("power.note", note)));
    for (key, list) in [
        ("cpu.features", &board.cpu.features),
        ("sources", &board.sources),
        ("unsupported_operators", &board.unsupported_operators),
    ] {
        texts.extend(list.iter().map(|text| (key, text.as_str())));
    }
    for accelerator in &board.accelerators {
        texts.push(("accelerator.name", &accelerator.name));
        let apis = accelerator.apis.iter();
        texts.extend(apis.map(|api| ("accelerator.apis", api.as_str())));
    }
    let memories = board.memories.iter();
    texts.extend(memories.map(|m| ("memory.name", m.name.as_str())));
    let regions = board.regions.iter();
    texts.extend(regions.map(|r| ("region.memory", r.memory.as_str())));
    match &board.power {
        Power::Ina3221 { rail, sysfs, .. } => {
            texts.extend([("power.rail", rail.as_str()), ("power.sysfs", sysfs)]);
        }
        Power::RaspberryPiPmic { command, .. } => texts.push(("power.command", command)),
        _ => {}
    }
    match &board.deploy {
        Deploy::ProbeRs { chip, serial, .. } => {
            texts.push(("deploy.chip", chip));
            texts.extend(serial.iter().map(|s| ("deploy.serial", s.as_str())));
        }
        Deploy::Qemu { machine, globals } => {
            texts.push(("deploy.machine", machine));
            texts.extend(globals.iter().map(|g| ("deploy.globals", g.as_str())));
        }
        _ => {}
    }
    texts
}
