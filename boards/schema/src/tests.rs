//! What several tests need, and the tests of [`parse`](crate::parse()).

use crate::{Board, ParseError, parse};
use std::path::Path;

/// The text of a board of the tree.
pub fn text(name: &str) -> String {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(boards.join(name).join("board.toml")).unwrap()
}

/// A board of the tree.
pub fn board(name: &str) -> Board {
    parse(&text(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn errors_name_line_and_key() {
    let text = text("rp2350");
    // What to replace by what, if the error has the line of the change, and words of the error.
    for (from, to, has_line, words) in [
        ("cores = 2", "cores = -2", true, &["-2"][..]),
        ("cores = 2", "corse = 2", true, &["corse"]),
        ("kind = \"flash\"", "kind = \"rom\"", true, &["rom"]),
        (
            "size = 0x40_0000",
            "size = 99999999999999999999",
            true,
            &["99999999999999999999"],
        ),
        (
            "size = 0x40_0000",
            "size = 0x7fff_ffff_ffff_ffff",
            false,
            &["'flash'", "32 bits"],
        ),
        ("title = ", "titel = ", true, &["titel"]),
        ("title = ", "# title = ", false, &["title"]),
        ("\"probe-rs\"", "\"magic\"", false, &["magic"]),
        ("chip = \"RP235x\"", "", false, &["chip"]),
        ("[cpu]", "[cpu", true, &[]),
    ] {
        let at = text.find(from).unwrap();
        let changed = text.replacen(from, to, 1);
        let error = parse(&changed).unwrap_err();
        let said = error.in_file("board.toml");
        assert!(said.starts_with("board.toml"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in words {
            assert!(
                said.contains(word),
                "{from} as {to}: no '{word}' in: {said}"
            );
        }
        if has_line {
            let expected = 1 + text[..at].matches('\n').count();
            let found = matches!(error, ParseError::Syntax { line, .. } if line == expected);
            assert!(found, "{from} as {to}: line {expected}, {said}");
        }
    }
}
