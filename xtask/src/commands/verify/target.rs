//! What `verify` can compare: the host's backends, and boards in QEMU.

use converter::board::schema::Deploy;
use converter::board::{self, Board};
use edge_runtime::backend::BackendKind;
use std::str::FromStr;

/// Something that runs a model and can be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum VerifyTarget {
    /// On the host.
    Backend(BackendKind),
    /// A board in QEMU.
    Board(Box<Board>),
}

impl VerifyTarget {
    /// As it is typed.
    pub fn name(&self) -> &str {
        match self {
            Self::Backend(kind) => kind.name(),
            Self::Board(board) => &board.name,
        }
    }
}

impl FromStr for VerifyTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Backend(kind));
        }
        let in_qemu = |b: &&Board| matches!(b.deploy, Deploy::Qemu { .. });
        let mut boards = board::all().iter().filter(in_qemu);
        match boards.clone().find(|b| b.name == text) {
            Some(board) => Ok(Self::Board(Box::new(board.clone()))),
            None => Err(format!(
                "no backend or board in QEMU '{text}'; there are: {}{}",
                BackendKind::names(),
                boards
                    .by_ref()
                    .map(|b| format!(", {}", b.name))
                    .collect::<String>()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_backends_and_boards_in_qemu() {
        assert_eq!(
            "tract".parse(),
            Ok(VerifyTarget::Backend(BackendKind::Tract))
        );
        assert_eq!("qemu-m7".parse::<VerifyTarget>().unwrap().name(), "qemu-m7");
        for wrong in ["", "nucleo-h743zi2", "qemu", "Engine"] {
            let error = wrong.parse::<VerifyTarget>().unwrap_err();
            assert!(error.contains("engine, tract, qemu-m"), "{error}");
        }
    }
}
