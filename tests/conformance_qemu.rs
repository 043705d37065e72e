//! The conformance suite on Cortex-M in QEMU: the engine with the kernels of each core, on packed networks.
//!
//! The image (`boards/conformance`) is built and started once for each core; it gets one packed network after another
//! and sends the outputs of all layers. The first build takes a minute, so these tests run only when asked for (`cargo
//! test --workspace --test conformance_qemu -- --ignored`). They need QEMU and a compiler for the cores. Without them
//! a test says `skipped` and passes, unless the environment variable `CI` is `true`.

#![cfg(target_os = "linux")]

use conformance_message::{HEADER_LEN, command, kind};
use converter::pack;
use edge_runtime::backend::conformance::{Case, Kind, cases, check};
use edge_runtime::backend::{BackendError, Observer, Prepared, Runtime, Session, Values};
use edge_runtime::model::{AlignedBytes, ConvData, DType, Family, Layout, Model};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Cases of each kind of layer, and random networks.
const LAYERS: u32 = 40;
const NETWORKS: u32 = 40;
/// Further cases of depthwise convolutions.
const DEPTHWISE: u32 = 200;

const NAME: &str = "qemu";

/// A core in QEMU.
struct CortexM {
    family: Family,
    machine: Arc<Mutex<Machine>>,
    /// How many layers were packed, by layout and input shift.
    packed: Arc<Mutex<BTreeMap<(&'static str, u8), usize>>>,
}

impl Runtime for CortexM {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError> {
        let packed = pack::pack(model, self.family).map_err(|e| BackendError::Unsupported {
            backend: NAME,
            why: e.to_string(),
        })?;
        let parsed = Model::parse(&packed).map_err(|e| error("", &e))?;
        let mut counts = self.packed.lock().unwrap();
        for layer in parsed.layers() {
            if let Some(ConvData::Packed {
                layout,
                input_shift,
                ..
            }) = layer.conv_data()
            {
                *counts.entry((layout.name(), *input_shift)).or_default() += 1;
            }
        }
        Ok(Arc::new(Packed {
            names: model.layers().map(|l| l.name.to_string()).collect(),
            bytes: packed,
            machine: self.machine.clone(),
        }))
    }
}

/// A network packed for the core.
struct Packed {
    names: Vec<String>,
    bytes: AlignedBytes,
    machine: Arc<Mutex<Machine>>,
}

impl<'m> Prepared<'m> for Packed {
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError> {
        Ok(Box::new(Place {
            packed: self,
            last: Vec::new(),
        }))
    }

    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError> {
        Ok(Box::new(Place {
            packed: self,
            last: Vec::new(),
        }))
    }
}

/// Where it runs.
struct Place {
    packed: Arc<Packed>,
    last: Vec<i8>,
}

impl Place {
    fn start(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        let Values::I8(input) = input else {
            return Err(error("", &"int8 only"));
        };
        let mut machine = self.packed.machine.lock().unwrap();
        machine.load(&self.packed).map_err(|e| error("", &e))?;
        machine
            .send(command::RUN, bytemuck::cast_slice(input))
            .map_err(|e| error("", &e))?;
        let mut outside = None;
        loop {
            let message = machine.next().map_err(|e| error("", &e))?;
            let values: &[i8] = bytemuck::cast_slice(&message.content);
            match message.kind {
                kind::LAYER => observe(message.layer, Values::I8(values)),
                kind::DONE => {
                    self.last = values.to_vec();
                    let name = outside.and_then(|layer: usize| self.packed.names.get(layer));
                    return match name {
                        Some(name) => Err(error(name, &"it writes behind its output")),
                        None => Ok(()),
                    };
                }
                kind::OUTSIDE => outside = Some(message.layer),
                _ => return Err(error("", &message.text())),
            }
        }
    }
}

impl Session for Place {
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        self.start(input, &mut |_, _| ())?;
        Ok(Values::I8(&self.last))
    }
}

impl Observer for Place {
    fn backend(&self) -> &'static str {
        NAME
    }

    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        self.start(input, observe)
    }
}

fn error(layer: &str, why: &dyn std::fmt::Display) -> BackendError {
    BackendError::Engine {
        backend: NAME,
        layer: layer.to_string(),
        why: why.to_string(),
    }
}

/// The image in QEMU.
struct Machine {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// The bytes of what is loaded.
    loaded: Option<Arc<[u8]>>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the image says.
struct Message {
    kind: u32,
    layer: usize,
    content: Vec<u8>,
}

impl Message {
    fn text(&self) -> String {
        format!(
            "message {}: {}",
            self.kind,
            String::from_utf8_lossy(&self.content)
        )
    }
}

impl Machine {
    /// Builds the image and starts it; `None` if the tools for it are missing.
    fn start(core: &str) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/conformance/run");
        let run = |args: &[&str]| {
            let mut command = Command::new("sh");
            command.arg(&script).args(args);
            command
        };
        let built = run(&[core, "--build"])
            .stdin(Stdio::null())
            .status()
            .unwrap();
        if built.code() == Some(77) {
            let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
            assert!(!in_ci, "{core}: tools are missing");
            println!("skipped: {core}: tools are missing");
            return None;
        }
        assert!(built.success(), "{core}: the image does not build");
        let mut child = run(&[core])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self {
            child,
            input,
            output,
            loaded: None,
        })
    }

    fn load(&mut self, packed: &Packed) -> std::io::Result<()> {
        if self.loaded.as_deref() == Some(&packed.bytes[..]) {
            return Ok(());
        }
        self.loaded = None;
        self.send(command::LOAD, &packed.bytes)?;
        let answer = self.next()?;
        if answer.kind != kind::READY {
            return Err(std::io::Error::other(answer.text()));
        }
        self.loaded = Some(packed.bytes[..].into());
        Ok(())
    }

    fn send(&mut self, command: u32, content: &[u8]) -> std::io::Result<()> {
        for value in [command, content.len() as u32] {
            self.input.write_all(&value.to_le_bytes())?;
        }
        self.input.write_all(content)?;
        self.input.flush()
    }

    fn next(&mut self) -> std::io::Result<Message> {
        let mut header = [0; HEADER_LEN];
        self.output.read_exact(&mut header)?;
        let value = |i: usize| u32::from_le_bytes(header[4 * i..][..4].try_into().unwrap());
        let mut content = vec![0; value(2) as usize];
        self.output.read_exact(&mut content)?;
        Ok(Message {
            kind: value(0),
            layer: value(1) as usize,
            content,
        })
    }
}

/// All cases on a core. Its kernels must have been used, with and without shifted input.
fn run(core: &str, family: Family, layouts: &[Layout]) {
    let Some(machine) = Machine::start(core) else {
        return;
    };
    let packed = Arc::new(Mutex::new(BTreeMap::new()));
    let runtime = CortexM {
        family,
        machine: Arc::new(Mutex::new(machine)),
        packed: packed.clone(),
    };
    let (mut failures, mut wrong): (Vec<String>, Vec<&str>) = (vec![], vec![]);
    // Shifted input is rare; a depthwise convolution needs many cases until it has been there.
    let more = (LAYERS..LAYERS + DEPTHWISE)
        .map(|index| Case::layer(Kind::DepthwiseConv, DType::I8, index));
    for case in cases(DType::I8, LAYERS, NETWORKS).chain(more) {
        if let Err(failure) = check(&format!("qemu, {core}"), &runtime, &case)
            && !wrong.contains(&failure.operator)
        {
            wrong.push(failure.operator);
            failures.push(failure.to_string());
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.concat());
    let packed = packed.lock().unwrap();
    println!("{core}: packed layers by layout and shift: {packed:?}");
    for layout in layouts {
        for shift in [0, 8] {
            let count = packed.get(&(layout.name(), shift)).copied().unwrap_or(0);
            assert!(
                count >= 3,
                "{core}: {count} layers as {} shifted by {shift}",
                layout.name()
            );
        }
    }
}

#[test]
#[ignore = "builds an image for QEMU"]
fn cortex_m4() {
    run("m4", Family::Dsp, &[Layout::DspConv, Layout::DspDepthwise]);
}

#[test]
#[ignore = "builds an image for QEMU"]
fn cortex_m33() {
    run("m33", Family::Dsp, &[Layout::DspConv, Layout::DspDepthwise]);
}

#[test]
#[ignore = "builds an image for QEMU"]
fn cortex_m55() {
    run("m55", Family::Mve, &[Layout::MveConv, Layout::MveDepthwise]);
}
