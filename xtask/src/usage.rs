//! Help, and mistakes in the arguments: one line like any error, which names the help of the command that was
//! meant.

use crate::cli::Cli;
use crate::output;
use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory};
use std::process::ExitCode;

/// Prints what clap has to say about these arguments (without the program's name).
pub fn report(error: &clap::Error, args: impl Iterator<Item = String>) -> ExitCode {
    if !error.use_stderr() {
        output::write(&error.to_string());
        return output::exit_code(ExitCode::SUCCESS);
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let mut message: Vec<&str> = lines
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"))
        .collect();
    if message.is_empty() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        message = vec!["error: a command is needed"];
    }
    let mut root = Cli::command();
    root.build();
    let command = meant(&root, args).join(" ");
    eprintln!("{} (`{command} --help` shows how)", message.join(" "));
    ExitCode::from(2)
}

/// The names of the program and of the commands that the arguments lead to, as far as they are known.
fn meant(root: &Command, args: impl Iterator<Item = String>) -> Vec<&str> {
    let (mut command, mut names) = (root, vec![root.get_name()]);
    let mut args = args.take_while(|arg| arg != "--");
    while let Some(arg) = args.next() {
        let is_option = |option: &&Arg| match arg.strip_prefix("--") {
            Some(long) => option.get_long() == Some(long),
            None => option.get_short().is_some_and(|s| arg == format!("-{s}")),
        };
        let option = command.get_arguments().find(is_option);
        if option.is_some_and(|o| o.get_action().takes_values()) {
            // What follows is its value, even if it reads like a command.
            args.next();
        } else if let Some(next) = command.find_subcommand(&arg) {
            command = next;
            names.push(next.get_name());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_was_meant() {
        let mut root = Cli::command();
        root.build();
        for (args, command) in [
            ("", "cargo xtask"),
            ("bogus", "cargo xtask"),
            ("bench", "cargo xtask bench"),
            ("--json bench --board x", "cargo xtask bench"),
            ("device --port infer", "cargo xtask device"),
            ("device --port=x infer", "cargo xtask device infer"),
            ("convert net -o run", "cargo xtask convert"),
            ("convert -- run", "cargo xtask convert"),
        ] {
            let args = args.split_whitespace().map(String::from);
            assert_eq!(meant(&root, args).join(" "), command);
        }
    }
}
