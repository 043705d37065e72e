//! What the device says of itself: whether a program for this board can run there, and how it is installed.

use super::layout::{Folder, InstallPaths};
use super::program::{arch, arch_of_target};
use super::ssh::Said;
use crate::cli::deploy::{Deploy, Service};
use anyhow::{Result, anyhow, bail};
use converter::board::Board;

/// What `deploy` needs to know of the device.
pub struct DeviceFacts {
    /// Its processor, as [`arch`] names it.
    pub arch: String,
    /// Where everything is.
    pub paths: InstallPaths,
    /// The login is not root, and must be.
    pub sudo: bool,
    /// What starts the program: `systemd`, `systemd-user` or `none`.
    pub service: &'static str,
}

impl DeviceFacts {
    /// Reads what the script `facts.sh` said. An error says what to do.
    pub fn new(args: &Deploy, board: &Board, facts: &Said) -> Result<Self> {
        let host = &args.host;
        let system = facts.text("system");
        if system != "Linux" {
            bail!("{host}: the system is '{system}', and the device program is for Linux");
        }
        let lacks: Vec<&str> = facts.all("lacks").collect();
        if !lacks.is_empty() {
            bail!(
                "{host}: {} missing; install util-linux and coreutils, or a BusyBox with these",
                lacks.join(", ")
            );
        }
        let device = arch(facts.text("machine")).to_string();
        let target = board.cpu.target.as_deref().map(arch_of_target);
        if target.is_some_and(|t| t != device) {
            bail!(
                "{host}: its processor is {device}, and {} has {}; check --host and --board",
                board.name,
                board.cpu.target.as_deref().unwrap_or_default()
            );
        }
        let root = facts.text("uid") == "0";
        let paths = if args.user {
            let home: Folder = facts
                .text("home")
                .parse()
                .map_err(|e| anyhow!("{host}: the home folder: {e}; give --prefix"))?;
            InstallPaths::user(args.prefix.as_ref(), &home.to_string())
        } else {
            InstallPaths::system(args.prefix.as_ref())
        };
        if !args.user && !root && !facts.has("sudo") {
            bail!(
                "{host}: {} may not use sudo without a password; allow it, log in as root, or install with --user",
                facts.text("login")
            );
        }
        Ok(Self {
            arch: device,
            sudo: !args.user && !root,
            service: service(args, facts)?,
            paths,
        })
    }
}

/// What starts the program.
fn service(args: &Deploy, facts: &Said) -> Result<&'static str> {
    let (name, runs) = match args.user {
        true => ("systemd-user", facts.has("systemd_user")),
        false => ("systemd", facts.has("systemd")),
    };
    match args.service {
        Service::None => Ok("none"),
        Service::Auto if !runs => Ok("none"),
        Service::Systemd if !runs => {
            bail!("{}: no {name} runs there; leave --service out", args.host)
        }
        _ => Ok(name),
    }
}
