//! `deploy`: program and model to a Linux board, over ssh. One file per concern:
//!
//! - [`device`]: whether the device can take it;
//! - [`layout`]: what is where on it;
//! - [`script`] and the `.sh` files: what runs there;
//! - [`ssh`]: the connection;
//! - [`build`] and [`mod@program`]: what is sent;
//! - [`report`] and [`mod@dry_run`]: what came of it, or would.
//!
//! The device switches by itself, in one script that it has whole before it begins: whenever the connection
//! breaks, the old version runs or the new one does.

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
use crate::units;
use anyhow::{Context, Result, anyhow, bail};
use build::Plan;
use converter::board::fit::{CLASSES, judge};
use converter::board::schema::Deploy as Method;
use converter::board::{self, Board, Needs, Request};
use converter::util::progress::Progress;
use device::Device;
use edge_runtime::model::{AlignedBytes, DType};
use edge_runtime::signature::{SIGNATURE_LEN, find_signature};
use layout::{Folder, Layout, Options};
use program::{Program, arch_of_target};
use report::Outcome;
use sha2::{Digest, Sha256};
use ssh::{Said, Session, Ssh};
use std::sync::atomic::{AtomicBool, Ordering};

/// Disk that trying a program takes, besides program and model.
const TRIAL: u64 = 10 << 20;

/// Somebody pressed Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub fn run(args: &Deploy, json: bool) -> Result<()> {
    let package = Package::new(args)?;
    if args.dry_run {
        return dry_run::run(args, &package, json);
    }
    // ssh gets the signal as well and ends; what follows cleans up.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    deploy(args, &package, json).map_err(|e| match INTERRUPTED.load(Ordering::Relaxed) {
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
    /// What lies in `FILE.sig` beside the model, if it is there: a device with `--trust` wants it.
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

    /// Size of the sample store, when it is made: the board's.
    fn samples_mib(&self) -> u64 {
        let samples = self.board.linux.map_or(0, |l| l.samples);
        (samples >> 20).max(1)
    }

    /// Program, model and signature as one release.
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
    let device = Device::new(args, &package.board, &facts)?;
    // Cargo has its own progress.
    drop(bars);
    let program = program(args, package, &device.arch)?;
    let bars = Bars::new();

    let mut session = ssh.session(device.sudo)?;
    let layout = &device.layout;
    let places = [
        ("prefix", layout.prefix.as_str()),
        ("state", &layout.state),
        ("config", &layout.config),
    ];
    let begun = session.run(script::BEGIN, &places, &|_| ())?;
    let before = Options::read(begun.text("options"))
        .map_err(|e| anyhow!("{}: {} on the device: {e}", args.host, layout.options()))?;
    let options = options(args, layout, &before, begun.has("key"))?;
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
    Outcome {
        order: &order,
        begun,
        said,
    }
    .report(json)
}

/// What the device is to run from now on.
struct Order<'a> {
    args: &'a Deploy,
    package: &'a Package,
    program: &'a Program,
    device: &'a Device,
    release: String,
    /// The program's options until now.
    before: Options,
    /// And from now on.
    options: Options,
}

impl Order<'_> {
    /// Lets the device switch.
    fn activate(&self, session: &mut Session, step: &dyn Fn(&str)) -> Result<Said> {
        let (layout, service) = (&self.device.layout, self.device.service);
        let options_line = match self.args.listen {
            Some(_) => format!("GRAFT_OPTIONS={}\n", self.options),
            None => String::new(),
        };
        let variables = [
            ("prefix", layout.prefix.as_str()),
            ("home", &layout.home),
            ("state", &layout.state),
            ("config", &layout.config),
            ("user", layout.user),
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
            ("control_script", &script::control(layout, service)),
            ("unit", &script::unit(layout)),
        ];
        let said = session.run(script::ACTIVATE, &variables, step);
        said.map_err(|e| match session.is_broken() {
            true => e.context(
                "the device ends by itself what it began, and runs the new version or the one before",
            ),
            false => e,
        })
    }
}

/// The program: what was given, or built.
fn program(args: &Deploy, package: &Package, device: &str) -> Result<Program> {
    let path = match &args.program {
        Some(path) => path.clone(),
        None => {
            let plan = Plan::new(package.board.cpu.target.as_deref())?;
            if arch_of_target(&plan.target) != device {
                bail!(
                    "{}: its processor is {device}, and this machine builds for {}; name the device's own board",
                    args.host,
                    plan.target
                );
            }
            plan.build()?
        }
    };
    Program::read(&path, device)
}

/// The program's options from now on; refuses what the program would refuse.
fn options(args: &Deploy, layout: &Layout, before: &Options, has_key: bool) -> Result<Options> {
    let Some(listen) = &args.listen else {
        return Ok(before.clone());
    };
    let will_have = has_key || args.make_key;
    if !listen.is_local() && !will_have {
        bail!("other machines can reach {listen}, and the device has no key; add --make-key");
    }
    let key = (args.make_key || !listen.is_local()).then(|| layout.key());
    let key = key.map(|k| k.parse()).transpose();
    Ok(Options {
        listen: Some(listen.clone()),
        key: key.map_err(|e| anyhow!("{e}"))?,
        ..before.clone()
    })
}

/// Refuses a device whose disk is too full, before anything is copied.
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
        // Where df says nothing that we understand, the copy itself will tell.
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
