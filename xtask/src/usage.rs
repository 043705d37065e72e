//! Help, and mistakes in the arguments: one line like any error, which names the help of the command that was
//! meant.

use crate::cli::Cli;
use crate::output::{self, name};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};
use std::process::ExitCode;

/// Prints what clap has to say about these arguments (without the program's name).
pub fn report(error: &clap::Error, args: impl Iterator<Item = String>) -> ExitCode {
    if !error.use_stderr() {
        output::write(&name::in_text(&error.to_string()));
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
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => Some(argument),
        Some(ContextValue::Strings(arguments)) => arguments.first(),
        _ => None,
    };
    let command = command_meant(&root, args, argument);
    let message = format!("{} (`{command} --help` shows how)", message.join(" "));
    eprintln!("{}", name::in_text(&message));
    ExitCode::from(2)
}

/// The command that the arguments lead to, as far as it is known; the one that has `argument`, if one of those on
/// the way does.
fn command_meant(
    root: &Command,
    args: impl Iterator<Item = String>,
    argument: Option<&String>,
) -> String {
    let (mut command, mut way) = (root, vec![root]);
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
            way.push(next);
        }
    }
    let has_it = |c: &&Command| {
        // `--port <PORT>` is how clap shows an argument; one in the wrong place is `--port`.
        let mut known = c.get_arguments().map(Arg::to_string);
        known.any(|a| Some(&a) == argument || a.split(' ').next() == argument.map(String::as_str))
    };
    let len = way.iter().rposition(has_it).map_or(way.len(), |i| i + 1);
    let names: Vec<&str> = way[..len].iter().map(|c| c.get_name()).collect();
    names.join(" ")
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
            assert_eq!(command_meant(&root, args, None), command);
        }
        let args = || ["device", "infer"].map(String::from).into_iter();
        let of = |argument: &str| command_meant(&root, args(), Some(&argument.to_string()));
        assert_eq!(of("--port <PORT>"), "cargo xtask device");
        assert_eq!(of("--port"), "cargo xtask device");
        assert_eq!(of("<PICTURE>"), "cargo xtask device infer");
        assert_eq!(of("--bogus"), "cargo xtask device infer");
    }
}
