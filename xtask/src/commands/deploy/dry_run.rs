//! `--dry-run`: prints the steps and does none of them. Connects to nothing.

use super::build::ProgramBuild;
use super::layout::InstallPaths;
use super::{Package, ssh};
use crate::cli::deploy::{Deploy, Service};
use crate::output::{self, Report, Text};
use crate::units;
use anyhow::Result;
use edge_runtime::signature::beside;
use serde::Serialize;

/// Prints what would be done.
pub fn run(args: &Deploy, package: &Package, json: bool) -> Result<()> {
    let options = ssh::arguments(&args.ssh).join(" ");
    let mut steps = vec![
        format!("{} fits {}: yes", package.name, package.board.name),
        format!("connect: ssh {options} -- {}", args.host),
        "ask the device for its processor and system".into(),
    ];
    steps.push(match &args.program {
        Some(path) => format!("take the program {}", path.display()),
        None => format!(
            "build: {}",
            ProgramBuild::new(package.board.cpu.target.as_deref())?.describe()
        ),
    });
    let paths = match args.user {
        true => InstallPaths::user(args.prefix.as_ref(), "~"),
        false => InstallPaths::system(args.prefix.as_ref()),
    };
    let prefix = &paths.prefix;
    let become_root = if args.user {
        ""
    } else {
        ", as root or with sudo -n"
    };
    let signature = match (package.signature, beside(&args.model).display()) {
        (Some(_), path) => format!("copy the signature {path}"),
        (None, path) => format!(
            "no signature to copy: there is no {path}, and a device with --trust refuses the model"
        ),
    };
    steps.extend([
        format!("on the device{become_root}: lock {prefix}/deploy.lock, remove leftovers of a broken deploy"),
        format!("copy program and model ({}) to {prefix}/incoming.N", units::bytes(package.model.len() as u64)),
        signature,
        "on the device: compare SHA-256, run the new program on the model with an empty state".into(),
    ]);
    if args.make_key {
        steps.push(format!("make {} unless there is one", paths.key()));
    }
    if let Some(listen) = &args.listen {
        let (options, key) = (paths.options(), paths.key());
        let needs_key = match listen.is_local() || args.make_key {
            true => String::new(),
            false => format!(
                "; other machines can reach it, so without a key in {key} the deploy ends before it copies: --make-key makes one"
            ),
        };
        steps.push(format!("write {options}: listen on {listen}{needs_key}"));
    }
    let service = match args.service {
        Service::None => "the script",
        Service::Systemd => "systemd",
        Service::Auto => "systemd, or the script where none runs",
    };
    steps.extend([
        format!("move it to {prefix}/releases/, stop the program, switch {prefix}/current, start it by {service}; state in {}", paths.state),
        format!("ask it for its model for up to {} s; if it does not answer, switch back", args.wait),
        "keep this release and the one before, remove older ones".into(),
    ]);
    let report = DryRunReport {
        dry_run: true,
        steps,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct DryRunReport {
    /// Always true.
    dry_run: bool,
    steps: Vec<String>,
}

impl Report for DryRunReport {
    fn text(&self, out: &mut Text) {
        for (index, step) in self.steps.iter().enumerate() {
            out.line(format_args!("{}. {step}", index + 1));
        }
    }
}
