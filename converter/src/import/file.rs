//! One file of any format that is read here, by its extension.

use super::{ImportError, Imported, StateDict, onnx, pth, safetensors, tflite};
use std::path::Path;

/// What a file gives.
#[derive(Clone, Debug)]
pub enum Content {
    /// A whole network.
    Network(Box<Imported>),
    /// Named tensors, for an architecture of the zoo.
    Weights(StateDict),
}

type Reader = fn(&Path) -> Result<Content, ImportError>;

/// The reader of files with this extension; case does not matter.
fn reader(path: &Path) -> Option<Reader> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "onnx" => |p| onnx::read(p).map(|i| Content::Network(Box::new(i))),
        "tflite" => |p| tflite::read(p).map(|i| Content::Network(Box::new(i))),
        "pth" | "pt" | "th" => |p| pth::read(p).map(Content::Weights),
        "safetensors" => |p| safetensors::read(p).map(Content::Weights),
        _ => return None,
    })
}

/// True if the name is that of a file which [`read`] can read.
pub fn is_readable(path: &Path) -> bool {
    reader(path).is_some()
}

/// Reads an `.onnx`, `.tflite`, `.pth`, `.pt`, `.th` or `.safetensors` file.
pub fn read(path: &Path) -> Result<Content, ImportError> {
    let unknown = || {
        ImportError::new("neither a network nor a file of weights, by its name")
            .file(path.display().to_string())
            .hint("known are .onnx, .tflite, .pth, .pt, .th and .safetensors")
    };
    reader(path).ok_or_else(unknown)?(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_by_extension() {
        for name in ["a.onnx", "a.TFLITE", "b.c.pth", "d.th", "e.safetensors"] {
            assert!(is_readable(Path::new(name)), "{name}");
        }
        for name in ["resnet50", "squeezenet1.0", "a.edge", ".onnx"] {
            assert!(!is_readable(Path::new(name)), "{name}");
        }
        let e = read(Path::new("a.h5")).unwrap_err().to_string();
        assert!(e.starts_with("a.h5: ") && e.contains(".tflite"), "{e}");
        // The right reader: its own complaint about a file that is not there.
        let e = read(Path::new("missing.tflite")).unwrap_err().to_string();
        assert!(e.starts_with("missing.tflite: cannot be read"), "{e}");
    }
}
