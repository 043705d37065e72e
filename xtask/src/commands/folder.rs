//! Folders of pictures. Files that are left out are reported at once, before the long work begins.

use anyhow::Result;
use converter::dataset::Dataset;
use std::path::Path;

/// As [`Dataset::open`].
pub fn open(dir: &Path) -> Result<Dataset> {
    Ok(with_note(Dataset::open(dir)?))
}

/// As [`Dataset::pictures`].
pub fn pictures(dir: &Path) -> Result<Dataset> {
    Ok(with_note(Dataset::pictures(dir)?))
}

/// Prints a note about files that are left out.
fn with_note(dataset: Dataset) -> Dataset {
    if let Some(left_out) = &dataset.left_out {
        eprintln!("note: {left_out}");
    }
    dataset
}
