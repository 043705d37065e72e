//! The paths of an installation on the device, and where its program listens. Knows no connection.

use std::fmt;
use std::str::FromStr;

/// The characters of paths on the device. These paths are used in scripts, units and links, where other characters
/// may have a meaning.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/._+@-".contains(c)
}

/// An absolute path on the device, of plain characters and without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(String);

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let parts = path.strip_prefix('/');
        if parts.is_none_or(|p| p.split('/').any(odd)) || !path.chars().all(is_plain) {
            return Err("an absolute path of letters, digits, '.', '_', '+', '@' and '-' is needed, without '..'".into());
        }
        Ok(Self(path.into()))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a program listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Host and port.
    Tcp(String, u16),
    /// A socket's path.
    Unix(Folder),
}

impl Default for Listen {
    /// The address that `edge serve` takes by default.
    fn default() -> Self {
        Self::Tcp("127.0.0.1".into(), 4700)
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return path.parse().map(Self::Unix);
        }
        let wrong = || "HOST:PORT or unix:PATH is needed, e.g. 127.0.0.1:4700".to_string();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let good = match inner {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && !host.starts_with('-')
                    && host
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
            }
        };
        match good && port != 0 {
            true => Ok(Self::Tcp(host.into(), port)),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Listen {
    /// True if other machines cannot reach it. Of host names only `localhost` counts as local.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) if host == "localhost" => true,
            Self::Tcp(host, _) => ip(host).is_some_and(|ip| ip.is_loopback()),
        }
    }

    /// The address at which the device itself can connect to it.
    pub fn seen_from_the_device(&self) -> Self {
        match self {
            Self::Tcp(host, port) => match ip(host) {
                Some(ip) if ip.is_unspecified() && ip.is_ipv4() => {
                    Self::Tcp("127.0.0.1".into(), *port)
                }
                Some(ip) if ip.is_unspecified() => Self::Tcp("[::1]".into(), *port),
                _ => self.clone(),
            },
            unix => unix.clone(),
        }
    }
}

fn ip(host: &str) -> Option<std::net::IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// The program's options, as the file `options` on the device has them: `--listen ADDRESS --key FILE` and others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// Where it listens, if the file says so.
    pub listen: Option<Listen>,
    /// Path of the key.
    pub key: Option<Folder>,
    /// All other words.
    pub others: Vec<String>,
}

impl ServeOptions {
    /// Parses the line of the file.
    pub fn read(line: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} has no value"));
            match word {
                "--listen" => options.listen = Some(value()?.parse()?),
                "--key" => options.key = Some(value()?.parse()?),
                other if other.chars().all(is_plain) => options.others.push(other.into()),
                other => return Err(format!("'{}' is not understood", other.escape_debug())),
            }
        }
        Ok(options)
    }

    /// The arguments of `edge info` on the device.
    pub fn connect(&self) -> String {
        let listen = self.listen.clone().unwrap_or_default();
        let key = self.key.as_ref().map(|k| format!(" --key {k}"));
        format!(
            "{}{}",
            listen.seen_from_the_device(),
            key.unwrap_or_default()
        )
    }
}

impl fmt::Display for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listen = self.listen.iter().map(|l| format!("--listen {l}"));
        let key = self.key.iter().map(|k| format!("--key {k}"));
        let words: Vec<String> = listen.chain(key).chain(self.others.clone()).collect();
        f.write_str(&words.join(" "))
    }
}

/// The paths of an installation on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallPaths {
    /// Releases, links, scripts.
    pub prefix: String,
    /// Home of the program's user: the state is in it.
    pub home: String,
    /// Heads and samples.
    pub state: String,
    /// Options and key.
    pub config: String,
    /// The user that the program runs as; empty for the login's.
    pub user: &'static str,
}

impl InstallPaths {
    /// An installation for the whole system, with the paths of docs/guide/linux-program.md.
    pub fn system(prefix: Option<&Folder>) -> Self {
        Self {
            prefix: prefix.map_or("/opt/graft".into(), Folder::to_string),
            home: "/var/lib/graft".into(),
            state: "/var/lib/graft/state".into(),
            config: "/etc/graft".into(),
            user: "graft",
        }
    }

    /// An installation for one login, all in one folder. `home`: the login's home folder.
    pub fn user(prefix: Option<&Folder>, home: &str) -> Self {
        let prefix = prefix.map_or(format!("{home}/.local/share/graft"), Folder::to_string);
        Self {
            home: prefix.clone(),
            state: format!("{prefix}/state"),
            config: prefix.clone(),
            user: "",
            prefix,
        }
    }

    /// The file with the program's options.
    pub fn options(&self) -> String {
        format!("{}/options", self.config)
    }

    /// The key.
    pub fn key(&self) -> String {
        format!("{}/key", self.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_surprises() {
        let folder = |text: &str| text.parse::<Folder>().map(|f| f.to_string());
        assert_eq!(folder("/opt/graft/").unwrap(), "/opt/graft");
        for bad in [
            "", "/", "//", "opt", "/a b", "/a;b", "/a'b", "/a/../b", "/a//b", "/$x", "/a\n", "/%h",
            "-x", "/ä",
        ] {
            assert!(folder(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_and_who_reaches_them() {
        for (text, local, own) in [
            ("127.0.0.1:4700", true, "127.0.0.1:4700"),
            ("localhost:1", true, "localhost:1"),
            ("[::1]:5", true, "[::1]:5"),
            ("0.0.0.0:4700", false, "127.0.0.1:4700"),
            ("[::]:4700", false, "[::1]:4700"),
            ("pi.local:4700", false, "pi.local:4700"),
            ("unix:/run/graft/edge", true, "unix:/run/graft/edge"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.to_string(), text);
            assert_eq!(listen.is_local(), local, "{text}");
            assert_eq!(listen.seen_from_the_device().to_string(), own);
        }
        for bad in [
            "",
            "4700",
            ":4700",
            "host",
            "host:0",
            "host:70000",
            "a b:1",
            "-x:1",
            "$(x):1",
            "::1:4700",
            "[x]:1",
            "unix:",
            "unix:edge",
            "unix:/a b",
        ] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn options_keep_what_they_do_not_know() {
        let line = "--classes 12 --listen 0.0.0.0:4700 --key /etc/graft/key";
        let options = ServeOptions::read(line).unwrap();
        assert_eq!(options.connect(), "127.0.0.1:4700 --key /etc/graft/key");
        let written = options.to_string();
        assert_eq!(ServeOptions::read(&written).unwrap(), options);
        assert!(written.ends_with("--classes 12"), "{written}");
        assert_eq!(ServeOptions::default().connect(), "127.0.0.1:4700");
        for bad in ["--listen", "--listen x", "--key $(id)", "`id`", "a;b"] {
            assert!(ServeOptions::read(bad).is_err(), "{bad}");
        }
    }
}
