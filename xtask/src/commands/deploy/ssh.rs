//! The connection to the device: the user's own ssh, with its keys, configuration and agent.
//!
//! All sessions share one control connection, so that a password is asked for once. The programs on the device end
//! when their standard input ends, and so whenever this process ends, for whatever reason.

use super::script::{self, READER, quote};
use crate::cli::deploy::SshArgs;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes in a line that a device sends, at most.
const MAX_LINE: u64 = 16 << 10;

/// Lines that a script prints, at most.
const MAX_LINES: usize = 10_000;

/// Bytes that are written to ssh at a time.
const CHUNK: usize = 64 << 10;

/// How long to wait for a connection to close.
const PARTING: Duration = Duration::from_secs(5);

/// The host, as ssh takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || "'\"`$\\;&|<>(){}*?!#".contains(c);
        if text.is_empty() || text.starts_with('-') || text.contains(odd) {
            return Err("a host as ssh takes it is needed: HOST or USER@HOST".into());
        }
        Ok(Self(text.into()))
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The arguments of every call of ssh, without the host.
pub fn arguments(args: &SshArgs) -> Vec<String> {
    let mut all = vec![];
    // If an option is given twice, ssh takes the first, so the user's own options come first.
    for option in &args.options {
        all.extend(["-o".into(), option.clone()]);
    }
    if let Some(port) = args.port {
        all.extend(["-p".into(), port.to_string()]);
    }
    if let Some(identity) = &args.identity {
        all.extend(["-i".into(), identity.display().to_string()]);
    }
    let fixed = [
        "ConnectTimeout=30",
        "ServerAliveInterval=15",
        "ClearAllForwardings=yes",
        "RemoteCommand=none",
        "RequestTTY=no",
        "ControlPersist=no",
    ];
    for option in fixed {
        all.extend(["-o".into(), option.into()]);
    }
    all
}

/// An open connection.
pub struct Ssh {
    host: Destination,
    arguments: Vec<String>,
    /// Holds the control socket; only this user may enter it.
    dir: tempfile::TempDir,
    master: Remote,
}

impl Ssh {
    /// Connects; ssh may ask for a password at the terminal.
    pub fn connect(host: &Destination, args: &SshArgs) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("graft-").tempdir();
        let dir = dir.context("cannot create a temporary folder")?;
        let arguments = arguments(args);
        let mut command = Command::new("ssh");
        command.args(&arguments).args(["-M", "-S"]);
        command.arg(dir.path().join("c")).arg("--").arg(&host.0);
        command.arg("echo graft: connected; exec cat");
        let mut ssh = Self {
            host: host.clone(),
            arguments,
            dir,
            master: Remote::start(command)?,
        };
        match ssh.master.line() {
            Ok(Some(line)) if line == "connected" => Ok(ssh),
            Ok(_) => bail!("{host}: {}", ssh.master.complaint("cannot log in")),
            Err(e) => Err(e).with_context(|| host.to_string()),
        }
    }

    /// Another ssh through the same connection. If that is closed, it fails; it never connects by itself.
    fn through(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-S"]);
        ssh.arg(self.dir.path().join("c"))
            .args(&self.arguments)
            .arg("--");
        ssh.arg(&self.host.0).arg(command);
        ssh
    }

    /// Starts a shell on the device that runs scripts, as root with `sudo`.
    pub fn session(&self, sudo: bool) -> Result<Session> {
        let sudo = if sudo { "sudo -n " } else { "" };
        let command = format!("exec {sudo}sh -c {}", quote(READER));
        Ok(Session {
            host: self.host.to_string(),
            remote: Remote::start(self.through(&command))?,
            broken: false,
        })
    }

    /// Writes a file on the device, into a folder that exists. Calls `moved` with each number of bytes that was sent.
    pub fn upload(&self, bytes: &[u8], path: &str, moved: &dyn Fn(u64)) -> Result<()> {
        let broken = || format!("{}: the connection broke while copying", self.host);
        let mut remote = Remote::start(self.through(&format!("exec cat >{}", quote(path))))?;
        for chunk in bytes.chunks(CHUNK) {
            if remote.write(chunk).is_err() {
                bail!("{}: {}", broken(), remote.complaint("ssh has ended"));
            }
            moved(chunk.len() as u64);
        }
        remote.stdin = None;
        let status = remote.child.wait().with_context(broken)?;
        if !status.success() {
            bail!("{}: {}", broken(), remote.complaint("ssh has ended"));
        }
        Ok(())
    }
}

/// A shell on the device that runs one script after the other.
pub struct Session {
    host: String,
    remote: Remote,
    broken: bool,
}

impl Session {
    /// Runs a script and returns what it printed. Its steps go to `step` at once instead. If the script fails, the
    /// error is the script's own message.
    pub fn run(
        &mut self,
        script: &str,
        variables: &[(&str, &str)],
        step: &dyn Fn(&str),
    ) -> Result<Said> {
        let text = script::whole(script, variables);
        // A failure shows below, when the answer is read.
        let _ = self.remote.write(text.as_bytes());
        let mut said = Said(vec![]);
        while let Some(line) = self.remote.line().with_context(|| self.host.clone())? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "finished" => return Ok(said),
                "error" => bail!("{}: {rest}", self.host),
                "step" => step(rest),
                _ => said.0.push((word.into(), rest.into())),
            }
            if said.0.len() > MAX_LINES {
                bail!("{}: the device sends too much output", self.host);
            }
        }
        self.broken = true;
        let complaint = self.remote.complaint("the connection broke");
        bail!("{}: {complaint}", self.host)
    }

    /// True if the connection broke while a script ran.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

/// What a script printed: keywords, each with a text.
pub struct Said(Vec<(String, String)>);

impl Said {
    /// The text of a keyword.
    pub fn get(&self, word: &str) -> Option<&str> {
        let said = self.0.iter().find(|(w, _)| w == word);
        said.map(|(_, text)| text.as_str())
    }

    /// The text of a keyword; empty if there is none.
    pub fn text(&self, word: &str) -> &str {
        self.get(word).unwrap_or_default()
    }

    /// True if the keyword was printed.
    pub fn has(&self, word: &str) -> bool {
        self.get(word).is_some()
    }

    /// All texts of a keyword.
    pub fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        let of_word = self.0.iter().filter(move |(w, _)| w == word);
        of_word.map(|(_, text)| text.as_str())
    }
}

/// A running ssh.
struct Remote {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// Returns the last line of its error output.
    stderr: Option<JoinHandle<String>>,
}

impl Remote {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(|e| {
            anyhow::Error::new(e).context("cannot run ssh; install OpenSSH's client")
        })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = BufReader::new(stdout.context("ssh has no output")?);
        let stderr = child.stderr.take();
        let stderr = stderr.map(|stderr| std::thread::spawn(move || last_line(stderr)));
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes).and_then(|()| stdin.flush()),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// The next line of a script, or `None` at the end. Other lines, of the login shell, are skipped.
    fn line(&mut self) -> Result<Option<String>> {
        for _ in 0..MAX_LINES {
            let mut bytes = vec![];
            let mut limited = self.stdout.by_ref().take(MAX_LINE);
            if limited.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            let text = printable(&String::from_utf8_lossy(&bytes));
            if let Some(line) = text.strip_prefix("graft: ") {
                return Ok(Some(line.to_string()));
            }
        }
        bail!("the device sends too much output")
    }

    /// Ends it, and returns the last line of its error output, or `otherwise` if there is none.
    fn complaint(&mut self, otherwise: &str) -> String {
        self.part();
        let said = self.stderr.take().and_then(|thread| thread.join().ok());
        match said {
            Some(line) if !line.is_empty() => line,
            _ => otherwise.into(),
        }
    }

    /// Closes its input and waits for it to end, for a limited time.
    fn part(&mut self) {
        self.stdin = None;
        let end = Instant::now() + PARTING;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.part();
    }
}

/// Reads to the end and returns the last line that is not empty.
fn last_line(stderr: impl Read) -> String {
    let mut reader = BufReader::new(stderr);
    let mut last = String::new();
    loop {
        let mut bytes = vec![];
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let line = printable(&String::from_utf8_lossy(&bytes));
                if !line.is_empty() {
                    last = line;
                }
            }
        }
    }
}

/// Removes control characters, which could change the terminal.
fn printable(line: &str) -> String {
    let clean: String = line.trim().chars().filter(|c| !c.is_control()).collect();
    clean.trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_no_options() {
        for good in [
            "pi",
            "pi@raspberrypi.local",
            "root@[::1]",
            "ssh://pi@h:22",
            "fe80::1%eth0",
        ] {
            assert!(good.parse::<Destination>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-oProxyCommand=id",
            "a b",
            "pi@h;id",
            "$(id)",
            "a\nb",
            "`id`",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_users_options_come_first() {
        let args = SshArgs {
            port: Some(22),
            identity: Some("key".into()),
            options: vec!["ConnectTimeout=1".into()],
        };
        let all = arguments(&args).join(" ");
        assert!(
            all.starts_with("-o ConnectTimeout=1 -p 22 -i key -o "),
            "{all}"
        );
    }

    #[test]
    fn complaints_are_one_harmless_line() {
        assert_eq!(last_line(&b"one\n\x1b[31mtwo\x07\r\n\n"[..]), "[31mtwo");
        assert_eq!(last_line(&b""[..]), "");
    }
}
