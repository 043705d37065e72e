//! Graft's command line: `cargo xtask COMMAND`. Parses, calls a crate, prints; nothing else.

mod cli;
mod commands;
mod firmware;
mod input;
mod output;
mod peak;
mod probe_rs;
mod progress;
mod qemu;
mod runner;
mod units;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {}", output::one_line(&e));
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to stdout as they are; a mistake in the arguments is one line like any error.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let mut message: Vec<&str> = lines
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"))
        .collect();
    if message.is_empty()
        || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        message = vec!["error: a command is needed"];
    }
    eprintln!("{} (`cargo xtask --help` shows how)", message.join(" "));
    ExitCode::from(2)
}
