//! Class names: which ones a device accepts, and how lists of them are printed.

use crate::device::samples::MAX_CLASS_NAME;
use std::collections::HashSet;

/// Most names in a list; of the others only the number is given.
const SHOWN: usize = 8;

/// Why a class cannot have a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name of a class is empty")]
    Empty,
    /// The name is too long for the sample store.
    #[error(
        "the class name {} has {} bytes, and the samples of a device take {MAX_CLASS_NAME} at most; take a shorter one (letters beyond ASCII have 2 to 4 bytes)",
        quoted(.0), .0.len()
    )]
    TooLong(String),
    /// The name has control characters, which break lines and terminals.
    #[error("the class name {} has a control character; take a name without", quoted(.0))]
    Control(String),
    /// Two classes have the same name.
    #[error(
        "two classes have the name {}; rename one of the folders (names that are not UTF-8 are read as \u{fffd})",
        quoted(.0)
    )]
    Twice(String),
}

/// A name in quotes. Characters that a terminal does not print are escaped.
pub fn quoted(name: &str) -> String {
    format!("'{}'", name.escape_debug())
}

/// The first names in quotes, and how many more there are.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(SHOWN).map(quoted).collect();
    let more = match names.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

/// Checks that the sample store of a device accepts a name.
///
/// # Errors
/// [`NameError`], if the device would refuse it.
pub fn check(name: &str) -> Result<(), NameError> {
    let own = || name.to_string();
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.len() > MAX_CLASS_NAME {
        Err(NameError::TooLong(own()))
    } else if name.contains(char::is_control) {
        Err(NameError::Control(own()))
    } else {
        Ok(())
    }
}

/// Checks that no name occurs twice.
///
/// # Errors
/// [`NameError::Twice`].
pub fn check_distinct(names: &[String]) -> Result<(), NameError> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(NameError::Twice(name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_takes() {
        // 10 characters of three bytes and two of one; one byte more.
        let most = "日".repeat(10) + "ab";
        assert_eq!(check(&most), Ok(()));
        let long = most + "c";
        let error = check(&long).unwrap_err().to_string();
        assert!(
            error.contains("'日日") && error.contains("33 bytes"),
            "{error}"
        );
        assert_eq!(check(""), Err(NameError::Empty));
        let error = check("a\u{1b}[31m").unwrap_err().to_string();
        assert!(error.contains(r"'a\u{1b}[31m'"), "{error}");
        let names = ["a", "b", "a"].map(String::from);
        assert_eq!(check_distinct(&names), Err(NameError::Twice("a".into())));
        assert_eq!(check_distinct(&names[..2]), Ok(()));
    }

    #[test]
    fn a_long_list_ends() {
        assert_eq!(list(["a", "b\n"]), r"'a', 'b\n'");
        assert!(list(["x"; 11]).ends_with("'x' and 3 more"));
    }
}
