//! What each command does.

mod heads;
mod infer;
mod info;
mod retrain;
mod samples;
mod serve;

use crate::cli::{Cli, Command};
use crate::device::ask;
use crate::error::Error;
use crate::output::Output;
use edge_runtime::kernels;

/// Runs a command.
pub fn run(cli: Cli) -> Result<(), Error> {
    let output = Output { json: cli.json };
    if let Some(family) = &cli.kernels {
        kernels::force(family)?;
    }
    match cli.command {
        Command::Serve(args) => serve::run(&args, output),
        Command::Info(target) => ask(&target, output, info::Info),
        Command::Infer(args) => ask(&args.target, output, &args),
        Command::RetrainHead(args) => ask(&args.target, output, &args),
        Command::Commit(target) if target.connect.is_none() => Err(Error::NoWaitingHead),
        Command::Commit(target) => ask(&target, output, heads::Commit),
        Command::Rollback(target) => ask(&target, output, heads::Rollback),
        Command::Samples(target) => ask(&target, output, samples::Samples),
    }
}
