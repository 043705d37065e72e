//! What the user calls this program: `cargo xtask` in Graft's own folder, `graft` where it is installed.
//!
//! Messages and help are written with `cargo xtask`, also those of the other crates. Here they get the name that the
//! user typed.

use std::borrow::Cow;

/// The name in Graft's own folder, as messages are written.
const WRITTEN: &str = "cargo xtask";

/// The name of the installed program.
const INSTALLED: &str = "graft";

/// A text with the name that the user typed.
pub fn in_text(text: &str) -> Cow<'_, str> {
    with_name(text, started_by_cargo())
}

/// `cargo run`, and so the alias `cargo xtask`, tells a program the folder of its package.
fn started_by_cargo() -> bool {
    std::env::var_os("CARGO_MANIFEST_DIR").is_some_and(|dir| dir == env!("CARGO_MANIFEST_DIR"))
}

fn with_name(text: &str, by_cargo: bool) -> Cow<'_, str> {
    match by_cargo || !text.contains(WRITTEN) {
        true => text.into(),
        false => text.replace(WRITTEN, INSTALLED).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_use_the_name_that_was_typed() {
        let hint = "no board 'x' (`cargo xtask boards` lists them)";
        assert_eq!(with_name(hint, true), hint);
        assert_eq!(
            with_name(hint, false),
            "no board 'x' (`graft boards` lists them)"
        );
    }
}
