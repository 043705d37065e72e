//! The arguments of `deploy`.

use crate::commands::deploy::layout::{Folder, Listen};
use crate::commands::deploy::ssh::Destination;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Deploy {
    /// The model; must be int8
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// A board (`cargo xtask boards`), or a board.toml of your own
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: String,
    /// The board's address, as ssh takes it: HOST, USER@HOST or a name of ~/.ssh/config
    #[arg(long, value_name = "USER@HOST")]
    pub host: Destination,
    /// A device program that is already built [default: build it for the board's processor]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Install below the home directory of the login; needs no sudo
    #[arg(long)]
    pub user: bool,
    /// Where program and model go [default: /opt/graft, with --user ~/.local/share/graft]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<Folder>,
    /// What starts the program: systemd, or with `none` the script PREFIX/bin/graft-edge
    #[arg(long, value_enum, default_value_t = Service::Auto)]
    pub service: Service,
    /// Where the program listens on the device: HOST:PORT or unix:PATH; an address that other
    /// machines can reach needs a key [default: as before; the first time 127.0.0.1:4700]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Listen>,
    /// Make a key on the device, if it has none; hosts need it to connect to an address that is not loopback
    #[arg(long, requires = "listen")]
    pub make_key: bool,
    /// How long to wait for the new version to answer before the previous one is started again
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub wait: u32,
    /// Print the steps, and do none of them
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub ssh: SshArgs,
}

/// Options that are passed on to ssh.
#[derive(Debug, Args)]
#[command(next_help_heading = "Passed on to ssh")]
pub struct SshArgs {
    /// Port of the ssh server
    #[arg(short = 'p', long = "ssh-port", value_name = "PORT")]
    pub port: Option<u16>,
    /// File with the private key of the login
    #[arg(short = 'i', long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// An option as in ssh_config, e.g. ProxyJump=gate; may be given many times
    #[arg(long = "ssh-option", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
}

/// What starts the program on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// systemd where it runs, else none
    Auto,
    /// A unit of the system, or of the login with --user
    Systemd,
    /// A script; what calls it when the device starts is up to you
    None,
}
