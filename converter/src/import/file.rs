//! Reads a file of any supported format, chosen by its extension.

use super::{ImportError, Imported, StateDict, onnx, pth, safetensors, tflite};
use std::path::Path;

/// What a file holds, read.
#[derive(Clone, Debug)]
pub enum Content {
    /// A whole network.
    Network(Box<Imported>),
    /// Named tensors, for a network of the zoo.
    Weights(StateDict),
}

/// What a file of some name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole network.
    Network,
    /// Named tensors.
    Weights,
}

/// What a file holds, by its extension in upper or lower case; `None` if no importer reads it.
pub fn kind(path: &Path) -> Option<Kind> {
    reader(path).map(|(kind, _)| kind)
}

type Reader = fn(&Path) -> Result<Content, ImportError>;

fn reader(path: &Path) -> Option<(Kind, Reader)> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "onnx" => (Kind::Network, |p| onnx::read(p).map(network)),
        "tflite" => (Kind::Network, |p| tflite::read(p).map(network)),
        "pth" | "pt" | "th" => (Kind::Weights, |p| pth::read(p).map(Content::Weights)),
        "safetensors" => (Kind::Weights, |p| {
            safetensors::read(p).map(Content::Weights)
        }),
        _ => return None,
    })
}

fn network(imported: Imported) -> Content {
    Content::Network(Box::new(imported))
}

/// Reads an `.onnx`, `.tflite`, `.pth`, `.pt`, `.th` or `.safetensors` file.
pub fn read(path: &Path) -> Result<Content, ImportError> {
    let unknown = || {
        ImportError::new("neither a network nor a file of weights, by its name")
            .file(path.display().to_string())
            .hint("known are .onnx, .tflite, .pth, .pt, .th and .safetensors")
    };
    let (_, read) = reader(path).ok_or_else(unknown)?;
    // Opening a pipe would block until somebody writes into it. A missing file is reported by the importer.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(ImportError::new("not a regular file").file(path.display().to_string()));
    }
    read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_by_extension() {
        for name in ["a.onnx", "a.TFLITE"] {
            assert_eq!(kind(Path::new(name)), Some(Kind::Network), "{name}");
        }
        for name in ["b.c.pth", "d.th", "e.safetensors"] {
            assert_eq!(kind(Path::new(name)), Some(Kind::Weights), "{name}");
        }
        for name in ["resnet50", "squeezenet1.0", "a.edge", ".onnx"] {
            assert_eq!(kind(Path::new(name)), None, "{name}");
        }
        let e = read(Path::new("a.h5")).unwrap_err().to_string();
        assert!(e.starts_with("a.h5: ") && e.contains(".tflite"), "{e}");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a.onnx");
        std::fs::create_dir(&folder).unwrap();
        let e = read(&folder).unwrap_err().to_string();
        assert!(e.contains("a.onnx: not a regular file"), "{e}");
        // The right importer complains about the missing file.
        let e = read(Path::new("missing.tflite")).unwrap_err().to_string();
        assert!(e.starts_with("missing.tflite: cannot be read"), "{e}");
    }
}
