//! What each command does.

use crate::cli::{Cli, Command, Infer, RetrainHead, Serve};
use crate::device::{Job, ask, with_app};
use crate::error::Error;
use edge_runtime::device::client::{Client, Pipe};
use edge_runtime::device::protocol::{Progress, RetrainOptions};
use edge_runtime::head::store::Active;
use edge_runtime::linux::{Listener, serve};
use edge_runtime::model::{InputSpec, Quant};
use edge_runtime::picture::{Dataset, load, preprocess};
use edge_runtime::transport::Key;
use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Runs a command.
pub fn run(cli: Cli) -> Result<(), Error> {
    match cli.command {
        Command::Serve(args) => answer(&args),
        Command::Info(target) => ask(&target, Info),
        Command::Infer(args) => ask(&args.target, &args),
        Command::RetrainHead(args) => ask(&args.target, &args),
        Command::Commit(target) => ask(&target, Commit),
        Command::Rollback(target) => ask(&target, Rollback),
        Command::Samples(target) => ask(&target, Samples),
    }
}

fn answer(args: &Serve) -> Result<(), Error> {
    let key = args.key.as_deref().map(Key::read).transpose()?;
    // What is refused at once is refused before a state is made.
    let listener = Listener::bind(&args.listen, key.as_ref())?;
    with_app(&args.own, |app| {
        // Whoever started the program may wait for this line.
        let mut out = std::io::stdout();
        writeln!(out, "listening on {}", listener.address()?)?;
        out.flush()?;
        serve(app, &listener, key.as_ref(), &restart);
        Ok(())
    })
}

/// Becomes a new process of the same program: lock and sockets are closed by that, and the state is opened
/// as after a power cut.
fn restart() {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "edge".into());
    let error = std::process::Command::new(program).args(arguments).exec();
    eprintln!("error: cannot restart: {error}");
    std::process::exit(1);
}

fn print(rows: &[(&str, String)]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    for (name, value) in rows {
        writeln!(out, "{name:<16} {value}")?;
    }
    Ok(out.flush()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn head(active: Active) -> String {
    match active {
        Active::Factory => "the factory's".into(),
        other => format!("number {}", other.sequence()),
    }
}

fn kib(bytes: u32) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

fn percent(fraction: f32) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

struct Info;

impl Job for Info {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        let trunk = client.connect(None)?.trunk;
        let (name, shape) = client.model(|m| (m.name.to_string(), m.input))?;
        let state = client.state()?;
        let previous = state.previous.map_or("none".into(), head);
        print(&[
            ("model", name),
            ("trunk", hex(&trunk)),
            ("input", format!("{} x {} x {}", shape.h, shape.w, shape.c)),
            (
                "head",
                format!("{}, {} classes", head(state.active), state.head_classes),
            ),
            ("rollback to", previous),
            (
                "waiting head",
                if state.candidate { "one" } else { "none" }.into(),
            ),
            (
                "samples",
                format!(
                    "{} of at most {}, {} classes of at most {}",
                    state.samples, state.max_samples, state.classes, state.max_classes
                ),
            ),
            (
                "memory",
                format!(
                    "{}, of which inference takes {} and training {}, not at once",
                    kib(state.ram),
                    kib(state.arena),
                    kib(state.training)
                ),
            ),
        ])
    }
}

/// What turns pictures into inputs.
fn input_rule<P: Pipe>(client: &mut Client<P>) -> Result<(InputSpec, Quant), Error> {
    Ok(client.model(|m| (m.spec, m.quant))?)
}

fn send_picture<P: Pipe>(
    client: &mut Client<P>,
    path: &Path,
    (spec, quant): &(InputSpec, Quant),
) -> Result<(), Error> {
    let crop = load(path, spec)?;
    Ok(client.send_input(&preprocess::to_i8(&crop, spec, *quant))?)
}

impl Job for &Infer {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        let rule = input_rule(client)?;
        send_picture(client, &self.picture, &rule)?;
        let (micros, top) = client.infer(self.top)?;
        let mut out = std::io::stdout().lock();
        for class in top {
            let label = match class.label.as_str() {
                "" => format!("class {}", class.class),
                label => label.into(),
            };
            writeln!(out, "{:>7}  {label}", percent(class.probability))?;
        }
        writeln!(out, "{:.1} ms", micros as f64 / 1000.0)?;
        Ok(out.flush()?)
    }
}

impl Job for &RetrainHead {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        // Whatever is wrong with the folder is known before anything is deleted.
        let dataset = self.data.as_deref().map(labelled).transpose()?;
        if self.clear {
            client.clear_samples(None)?;
        }
        if let Some(dataset) = dataset {
            let rule = input_rule(client)?;
            for (i, item) in dataset.items.iter().enumerate() {
                let class = item.class.and_then(|c| dataset.classes.get(c));
                send_picture(client, &item.path, &rule)?;
                client.add_sample(class.map_or("", String::as_str), None)?;
                tell(format_args!("sample {} of {}", i + 1, dataset.items.len()));
            }
        }
        let defaults = RetrainOptions::default();
        let options = RetrainOptions {
            epochs: self.epochs.unwrap_or(defaults.epochs),
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            seed: self.seed,
            commit: !self.no_commit,
            force: self.force,
            ..defaults
        };
        let trained = client.retrain(options, &mut |progress| {
            if let Progress::Epoch { number, of, .. } = progress {
                tell(format_args!("epoch {number} of at most {of}"));
            }
        })?;
        let top1 = |top1: Option<f32>| top1.map_or("not known".into(), percent);
        let committed = match trained.committed {
            Some(sequence) => format!("as number {sequence}"),
            None if self.no_commit => "no; `edge commit` does it".into(),
            None => "no: worse than the head before; --force commits it all the same".into(),
        };
        print(&[
            ("classes", trained.classes.to_string()),
            ("samples", trained.samples.to_string()),
            ("held out", trained.held_out.to_string()),
            ("held-out top-1", top1(trained.held_out_top1)),
            ("head before", top1(trained.present_top1)),
            ("committed", committed),
            ("sha256", hex(&trained.sha256)),
            ("training memory", kib(trained.training_bytes)),
        ])
    }
}

fn labelled(dir: &Path) -> Result<Dataset, Error> {
    let dataset = Dataset::open(dir)?;
    if dataset.classes.is_empty() {
        return Err(Error::NoClasses(dir.into()));
    }
    Ok(dataset)
}

/// Progress, if somebody is looking.
fn tell(what: std::fmt::Arguments<'_>) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // Nobody minds if progress cannot be shown.
        let _ = write!(err, "\r{what}\x1b[K\r");
    }
}

struct Commit;

impl Job for Commit {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        let sequence = client.commit()?;
        print(&[("head", format!("number {sequence}"))])
    }
}

struct Rollback;

impl Job for Rollback {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        let active = client.rollback()?;
        print(&[("head", head(active))])
    }
}

struct Samples;

impl Job for Samples {
    fn run<P: Pipe>(self, client: &mut Client<P>) -> Result<(), Error> {
        let classes = client.samples()?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{:>8}  {:>8}  class", "samples", "held out")?;
        for class in classes {
            writeln!(
                out,
                "{:>8}  {:>8}  {}",
                class.samples, class.held_out, class.name
            )?;
        }
        Ok(out.flush()?)
    }
}
