//! The scripts that run on the device, and how they get there. Plain POSIX sh.
//!
//! A session is one `sh` that reads scripts from its standard input. Each script ends with the line [`END`], and runs
//! only when all of it has arrived: if the connection breaks, no half script runs. A script prints lines that begin
//! with `graft: `, and at the end `graft: finished`. A login shell may print other lines.

use super::layout::InstallPaths;

/// Asks the device for its processor and system.
pub const FACTS: &str = include_str!("facts.sh");

/// Takes the lock and makes a folder for the files that are sent.
pub const BEGIN: &str = include_str!("begin.sh");

/// Switches to the version that was sent.
pub const ACTIVATE: &str = include_str!("activate.sh");

/// Starts and stops the program on the device.
const CONTROL: &str = include_str!("../../../../boards/linux/graft-edge.sh");

/// The systemd unit for the whole system.
const UNIT: &str = include_str!("../../../../boards/linux/graft-edge.service");

/// The systemd unit for one login.
const USER_UNIT: &str = include_str!("../../../../boards/linux/graft-edge.user.service");

/// The line after a script.
pub const END: &str = "#end of script";

/// The shell program that reads and runs scripts. It has no `'` and no `!`, so that every login shell passes it on
/// unchanged.
pub const READER: &str = r##"s=; n=$(printf "\nx"); n=${n%x}; while IFS= read -r l; do case $l in "#end of script") eval "$s"; s=;; *) s=$s$l$n;; esac; done"##;

/// Comes before every script.
const PREAMBLE: &str = "\
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf 'graft: %s\\n' \"$*\"; }
fail() { say error \"$*\"; exit 1; }
";

/// A text quoted as one word for a shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A script with the values of its variables, ready to be sent.
pub fn whole(script: &str, variables: &[(&str, &str)]) -> String {
    let mut text = String::from(PREAMBLE);
    for (name, value) in variables {
        text += &format!("{name}={}\n", quote(value));
    }
    // Only the session may read what comes after the script.
    text + script + "main </dev/null\nsay finished\n" + END + "\n"
}

/// The script that starts and stops the program, for an installation.
pub fn control(paths: &InstallPaths, service: &str) -> String {
    let variables = [
        ("prefix", paths.prefix.as_str()),
        ("state", &paths.state),
        ("user", paths.user),
        ("service", service),
        ("options", &paths.options()),
    ];
    let mut text = String::from("#!/bin/sh\n");
    for (name, value) in variables {
        text += &format!("{name}={}\n", quote(value));
    }
    text + "\n" + CONTROL
}

/// The unit for systemd.
pub fn unit(paths: &InstallPaths) -> String {
    let prefix = &paths.prefix;
    let start = format!(
        "ExecStart={prefix}/current/edge serve --model {prefix}/current/model.edge --state {} $GRAFT_OPTIONS",
        paths.state
    );
    let options = format!("EnvironmentFile=-{}", paths.options());
    let template = if paths.user.is_empty() {
        USER_UNIT
    } else {
        UNIT
    };
    let lines = template.lines().map(|line| match line.split_once('=') {
        Some(("ExecStart", _)) => start.as_str(),
        Some(("EnvironmentFile", _)) => options.as_str(),
        _ => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What a session that gets this input says.
    fn session(input: &str) -> String {
        let mut shell = Command::new("sh")
            .args(["-c", READER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn values_arrive_as_they_are() {
        let odd = "a'b\"c $(id) `id` \\n \\\\ ; & | * !\n  second line  ";
        let script = "main() { printf '<%s>' \"$v\"; }\n";
        assert_eq!(
            session(&whole(script, &[("v", odd)])),
            format!("<{odd}>graft: finished\n")
        );
    }

    #[test]
    fn one_script_after_the_other_and_no_half() {
        let first = whole("main() { say one; cat; kept=2; }\n", &[]);
        let second = whole("main() { say $kept; }\n", &[]);
        let both = first.clone() + &second;
        assert_eq!(
            session(&both),
            "graft: one\ngraft: finished\ngraft: 2\ngraft: finished\n"
        );
        let cut = &both[..both.len() - END.len() - 1];
        assert_eq!(session(cut), "graft: one\ngraft: finished\n");
        let failing = whole("main() { fail no; }\n", &[]);
        assert_eq!(session(&(failing + &second)), "graft: error no\n");
    }

    #[test]
    fn the_scripts_are_scripts() {
        let paths = InstallPaths::system(None);
        let texts = [FACTS, BEGIN, ACTIVATE].map(|s| whole(s, &[]));
        for text in texts.iter().chain([&control(&paths, "none")]) {
            let mut shell = Command::new("sh")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = shell.stdin.take().unwrap();
            stdin.write_all(text.as_bytes()).unwrap();
            drop(stdin);
            assert!(shell.wait().unwrap().success(), "{text}");
        }
        assert!(!READER.contains(['\'', '!']));
    }

    #[test]
    fn units_start_the_current_release() {
        for paths in [
            InstallPaths::system(None),
            InstallPaths::user(None, "/home/pi"),
        ] {
            let unit = unit(&paths);
            let start = format!("\nExecStart={}/current/edge serve --model ", paths.prefix);
            assert!(unit.contains(&start), "{unit}");
            let options = format!("\nEnvironmentFile=-{}/options\n", paths.config);
            assert!(unit.contains(&options), "{unit}");
            assert_eq!(unit.contains("\nUser=graft\n"), !paths.user.is_empty());
        }
    }
}
