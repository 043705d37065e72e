//! `deploy`: program and model to a Linux board, over ssh. One file per concern:
//!
//! - [`device`]: whether the device can take it;
//! - [`layout`]: the paths on it, and where its program listens;
//! - [`script`] and the `.sh` files: what runs there;
//! - [`ssh`]: the connection;
//! - [`build`] and [`mod@program`]: what is sent;
//! - [`report`] and [`mod@dry_run`]: what is printed.
//!
//! The device switches by itself, in one script that it has received completely before it begins. Whenever the
//! connection breaks, either the old version runs or the new one.

pub mod build;
mod device;
mod dry_run;
pub mod layout;
mod program;
mod report;
mod script;
pub mod ssh;

use super::{fit, parse, read};
use crate::cli::deploy::Deploy;
use crate::progress::Bars;
use crate::{interrupt, output, units};
use anyhow::{Context, Result, anyhow, bail};
use build::ProgramBuild;
use converter::board::fit::{CLASSES, judge};
use converter::board::schema::Deploy as Method;
use converter::board::{self, Board, Needs, Request};
use converter::util::progress::Progress;
use device::DeviceFacts;
use edge_runtime::model::{AlignedBytes, DType};
use edge_runtime::signature::{SIGNATURE_LEN, find_signature};
use layout::{Folder, InstallPaths, ServeOptions};
use program::{Program, arch_of_target};
use report::DeployReport;
use sha2::{Digest, Sha256};
use ssh::{Said, Session, Ssh};
use std::sync::atomic::Ordering;

/// Bytes of disk that the trial run of a program needs, besides program and model.
const TRIAL: u64 = 10 << 20;

pub fn run(args: &Deploy, json: bool) -> Result<()> {
    let package = Package::new(args)?;
    if args.dry_run {
        return dry_run::run(args, &package, json);
    }
    // ssh gets the signal as well and ends; then `deploy` fails and cleans up.
    let interrupted = interrupt::catch_ctrl_c();
    deploy(args, &package, json).map_err(|e| match interrupted.load(Ordering::Relaxed) {
        true => anyhow!(
            "interrupted; {} runs the version from before, or the new one if it was switching already",
            args.host
        ),
        false => e,
    })
}

/// A board and a model that fits it.
struct Package {
    board: Board,
    model: AlignedBytes,
    /// The signature in `FILE.sig` beside the model, if there is one: a device with `--trust` needs it.
    signature: Option<[u8; SIGNATURE_LEN]>,
    model_sha256: [u8; 32],
    trunk: String,
    name: String,
}

impl Package {
    fn new(args: &Deploy) -> Result<Self> {
        let board = board::find(&args.board)?;
        if board.linux.is_none() || !matches!(board.deploy, Method::Ssh | Method::Local) {
            bail!(
                "{} is no Linux board: it is flashed ({}), not deployed to over ssh",
                board.name,
                board.deploy
            );
        }
        let bytes = read(&args.model)?;
        let model = parse(&args.model, &bytes)?;
        if model.dtype() != DType::I8 {
            bail!(
                "the device program runs int8 models, and this one is float; convert it with --int8"
            );
        }
        let request = Request {
            classes: CLASSES,
            ..Request::default()
        };
        fit::require(&judge(&Needs::of(&model, bytes.len()), &board, &request))?;
        Ok(Self {
            model_sha256: Sha256::digest(&bytes[..]).into(),
            trunk: units::hex(model.trunk_sha256()),
            name: model.manifest().name.escape_debug().to_string(),
            signature: find_signature(&args.model, None)?,
            model: bytes,
            board,
        })
    }

    /// Size of a new sample store in MiB, as the board's description says.
    fn samples_mib(&self) -> u64 {
        let samples = self.board.linux.map_or(0, |l| l.samples);
        (samples >> 20).max(1)
    }

    /// The name of the release: a checksum of program, model and signature.
    fn release(&self, program: &Program) -> String {
        let both = Sha256::new().chain_update(program.sha256);
        let signature = self.signature.iter().flatten().copied();
        let signature: Vec<u8> = signature.collect();
        let all = both.chain_update(self.model_sha256).chain_update(signature);
        let sha256 = all.finalize();
        units::hex(&sha256[..8])
    }
}

fn deploy(args: &Deploy, package: &Package, json: bool) -> Result<()> {
    let bars = Bars::new();
    bars.stage(&format!("connecting to {}", args.host), 0);
    let ssh = Ssh::connect(&args.host, &args.ssh)?;
    let facts = ssh.session(false)?.run(script::FACTS, &[], &|_| ())?;
    let device = DeviceFacts::new(args, &package.board, &facts)?;
    // Cargo shows progress of its own.
    drop(bars);
    let program = program(args, package, &device.arch)?;
    let bars = Bars::new();

    let mut session = ssh.session(device.sudo)?;
    let paths = &device.paths;
    let places = [
        ("prefix", paths.prefix.as_str()),
        ("state", &paths.state),
        ("config", &paths.config),
    ];
    let begun = session.run(script::BEGIN, &places, &|_| ())?;
    let before = ServeOptions::read(begun.text("options"))
        .map_err(|e| anyhow!("{}: {} on the device: {e}", args.host, paths.options()))?;
    let options = options(args, paths, &before, begun.has("key"))?;
    room(args, package, &program, &begun)?;
    let incoming: Folder = begun
        .text("incoming")
        .parse()
        .map_err(|e: String| anyhow!("{}: the folder for what is sent: {e}", args.host))?;
    for (what, bytes, name) in [
        ("copying the program", &program.bytes[..], "edge"),
        ("copying the model", &package.model[..], "model.edge"),
    ] {
        bars.transfer(what, 0, Some(bytes.len() as u64));
        ssh.upload(bytes, &format!("{incoming}/{name}"), &|n| bars.moved(n))?;
    }
    if let Some(signature) = &package.signature {
        ssh.upload(signature, &format!("{incoming}/model.edge.sig"), &|_| ())?;
    }
    let order = Order {
        release: package.release(&program),
        args,
        package,
        program: &program,
        device: &device,
        before,
        options,
    };
    let said = order.activate(&mut session, &|step| bars.stage(step, 0))?;
    drop(bars);
    let report = DeployReport::new(&order, &begun, &said);
    output::print(json, &report);
    output::warn(said.all("warning"));
    match report.started {
        true => Ok(()),
        false => Err(order.not_started(&begun, &said)),
    }
}

/// What the device will run.
struct Order<'a> {
    args: &'a Deploy,
    package: &'a Package,
    program: &'a Program,
    device: &'a DeviceFacts,
    release: String,
    /// The program's options before.
    before: ServeOptions,
    /// The program's new options.
    options: ServeOptions,
}

impl Order<'_> {
    /// Makes the device switch to the new version.
    fn activate(&self, session: &mut Session, step: &dyn Fn(&str)) -> Result<Said> {
        let (paths, service) = (&self.device.paths, self.device.service);
        let options_line = match self.args.listen {
            Some(_) => format!("GRAFT_OPTIONS={}\n", self.options),
            None => String::new(),
        };
        let variables = [
            ("prefix", paths.prefix.as_str()),
            ("home", &paths.home),
            ("state", &paths.state),
            ("config", &paths.config),
            ("user", paths.user),
            ("service", service),
            ("id", &self.release),
            ("program_sha256", &units::hex(&self.program.sha256)),
            ("model_sha256", &units::hex(&self.package.model_sha256)),
            ("trunk_sha256", &self.package.trunk),
            ("samples_mib", &self.package.samples_mib().to_string()),
            ("make_key", if self.args.make_key { "yes" } else { "" }),
            ("options_line", &options_line),
            ("connect", &self.options.connect()),
            ("connect_before", &self.before.connect()),
            ("wait_seconds", &self.args.wait.to_string()),
            ("control_script", &script::control(paths, service)),
            ("unit", &script::unit(paths)),
        ];
        let said = session.run(script::ACTIVATE, &variables, step);
        said.map_err(|e| match session.is_broken() {
            true => e.context(
                "the device ends by itself what it began, and runs the new version or the one before",
            ),
            false => e,
        })
    }

    /// The error if the new version does not answer: why, and what runs instead.
    fn not_started(&self, begun: &Said, said: &Said) -> anyhow::Error {
        let why = match said.text("why") {
            "" => String::new(),
            line => format!(" ({line})"),
        };
        let runs = match (said.get("rolled_back"), begun.get("current")) {
            (Some("yes"), Some(old)) => format!("release {old} runs again"),
            (Some(_), Some(old)) => {
                format!("release {old} was started again and does not answer either")
            }
            _ => "there is no other version to go back to, it is stopped".into(),
        };
        anyhow!(
            "{}: release {} did not answer within {} s{why}; {runs}",
            self.args.host,
            self.release,
            self.args.wait
        )
    }
}

/// The device program: the file that was given, or a new build.
fn program(args: &Deploy, package: &Package, device: &str) -> Result<Program> {
    let path = match &args.program {
        Some(path) => path.clone(),
        None => {
            let build = ProgramBuild::new(package.board.cpu.target.as_deref())?;
            if arch_of_target(&build.target) != device {
                bail!(
                    "{}: its processor is {device}, and this machine builds for {}; name the device's own board",
                    args.host,
                    build.target
                );
            }
            build.build()?
        }
    };
    Program::read(&path, device)
}

/// The program's new options; an error for those that the program would refuse.
fn options(
    args: &Deploy,
    paths: &InstallPaths,
    before: &ServeOptions,
    has_key: bool,
) -> Result<ServeOptions> {
    let Some(listen) = &args.listen else {
        return Ok(before.clone());
    };
    let will_have = has_key || args.make_key;
    if !listen.is_local() && !will_have {
        bail!("other machines can reach {listen}, and the device has no key; add --make-key");
    }
    let key = (args.make_key || !listen.is_local()).then(|| paths.key());
    let key = key.map(|k| k.parse()).transpose();
    Ok(ServeOptions {
        listen: Some(listen.clone()),
        key: key.map_err(|e| anyhow!("{e}"))?,
        ..before.clone()
    })
}

/// An error if the device's disk is too full. Called before anything is copied.
fn room(args: &Deploy, package: &Package, program: &Program, begun: &Said) -> Result<()> {
    let mut needs = vec![(
        "free_kib",
        (program.bytes.len() + package.model.len()) as u64 + TRIAL,
    )];
    if !begun.has("state") {
        let linux = package.board.linux.context("no Linux board")?;
        needs.push(("state_free_kib", linux.heads + linux.samples));
        needs[0].1 += linux.heads + linux.samples;
    }
    for (word, bytes) in needs {
        // If df's answer cannot be read, a full disk is noticed by the copy itself.
        let Ok(kib) = begun.text(word).parse::<u64>() else {
            continue;
        };
        let free = kib.saturating_mul(1024);
        if free < bytes {
            bail!(
                "{}: {} are free there, and program, model and stores need {}",
                args.host,
                units::bytes(free),
                units::bytes(bytes)
            );
        }
    }
    Ok(())
}
