//! Another server to fetch from. Its address replaces scheme and host of a source's address.

use ureq::http::Uri;

/// Environment variable that names a mirror.
const VARIABLE: &str = "GRAFT_MIRROR";

/// The address that replaces scheme and host of every `https` source: `http` or `https`, a host, and
/// optionally a port and a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    base: String,
}

/// The address of the mirror is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}not the address of a mirror such as https://host/folder")]
pub struct MirrorError {
    origin: &'static str,
}

impl std::str::FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        let wrong = MirrorError { origin: "" };
        let url: Uri = text.trim().parse().map_err(|_| wrong.clone())?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        let host = url.host().is_some_and(|h| !h.is_empty());
        if !known || !host || url.query().is_some() || text.contains('#') {
            return Err(wrong);
        }
        Ok(Self {
            base: text.trim().trim_end_matches('/').into(),
        })
    }
}

impl Mirror {
    /// The mirror that `GRAFT_MIRROR` names, if it is set.
    pub fn from_env() -> Result<Option<Self>, MirrorError> {
        let wrong = MirrorError {
            origin: "GRAFT_MIRROR is ",
        };
        match std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(text) => match text.to_str().map(str::parse) {
                Some(Ok(mirror)) => Ok(Some(mirror)),
                _ => Err(wrong),
            },
        }
    }

    /// Where the mirror has the file of `url`; `None` if the result is not a valid address.
    pub(super) fn apply(&self, url: &Uri) -> Option<Uri> {
        let path = url.path_and_query().map_or("/", |p| p.as_str());
        format!("{}{path}", self.base).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_folder_are_replaced() {
        let url: Uri = "https://host.example:444/a/b.onnx?raw=1".parse().unwrap();
        for (mirror, expected) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/a/b.onnx?raw=1",
            ),
            ("https://m.example/", "https://m.example/a/b.onnx?raw=1"),
            (
                "https://u:p@m.example/x/y/",
                "https://u:p@m.example/x/y/a/b.onnx?raw=1",
            ),
            ("http://[::1]:9/x", "http://[::1]:9/x/a/b.onnx?raw=1"),
        ] {
            let mirror: Mirror = mirror.parse().unwrap();
            assert_eq!(mirror.apply(&url).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_mirror() {
        for text in [
            "",
            "m.example",
            "ftp://m.example",
            "/folder",
            "http://",
            "https:///x",
            "http://m/?a=b",
            "http://m/#x",
            "http://a b/",
        ] {
            assert!(text.parse::<Mirror>().is_err(), "'{text}'");
        }
    }
}
