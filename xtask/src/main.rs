//! Graft's command line: `cargo xtask COMMAND` in this workspace, `graft COMMAND` where it is installed.
//!
//! It parses arguments ([`cli`]), calls a crate ([`commands`]) and prints ([`output`]).

mod cli;
mod commands;
mod firmware;
mod input;
mod interrupt;
mod output;
mod peak;
mod probe_rs;
mod progress;
mod qemu;
mod runner;
mod units;
mod usage;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let args = std::env::args_os().skip(1);
            return usage::report(&e, args.map(|a| a.to_string_lossy().into_owned()));
        }
    };
    interrupt::remove_temporary_files(&cli.command);
    match commands::run(cli) {
        Ok(()) => output::exit_code(ExitCode::SUCCESS),
        Err(e) => {
            output::error(&e);
            ExitCode::FAILURE
        }
    }
}
