//! For tests: the shared models and reference outputs, if they are on this machine.

use super::values::chunks;
use std::path::{Path, PathBuf};

/// The folder of data, if the environment variable GRAFT_SHARED names the shared folder. Otherwise prints
/// that the test is skipped.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("GRAFT_SHARED").map(|f| Path::new(&f).join("data"));
    if folder.is_none() {
        eprintln!("skipped: GRAFT_SHARED does not name the shared folder");
    }
    folder
}

/// The elements of a `.npy` file whose type is `kind` (`<f4`, `|i1`, `|u1`), as bytes.
pub fn npy_bytes(path: &Path, kind: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    assert!(String::from_utf8_lossy(&bytes[..header]).contains(&format!("'{kind}'")));
    bytes[10 + header..].to_vec()
}

/// The f32 numbers of a `.npy` file.
pub fn npy(path: &Path) -> Vec<f32> {
    chunks(&npy_bytes(path, "<f4"), f32::from_le_bytes)
}
