//! Recognizes files that stand in the place of a model.

use super::ImportError;

/// Fails for an empty file and for a Git LFS pointer.
pub fn refuse_placeholders(bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::new("the file is empty").hint("export or fetch it again"));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(
            ImportError::new("a Git LFS pointer, not the file itself").hint("run git lfs pull")
        );
    }
    Ok(())
}
