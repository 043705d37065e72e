//! The application on this device: model, state, clock and sensor put together.

use crate::cli::{DeviceArgs, LocalArgs};
use crate::error::Error;
use crate::output::Output;
use crate::progress::Steps;
use edge_runtime::backend::{BackendError, BackendKind, Session};
use edge_runtime::client::{Client, ClientError, Patience, Pipe};
use edge_runtime::device::NotReady;
use edge_runtime::device::app::AppError;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::load::{Limits, Loader, ModelStore};
use edge_runtime::device::memory::{MemoryPlan, PlanError};
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Flash;
use edge_runtime::linux::{
    AppWithLoader, FileFlash, HWMON, Hwmon, LocalPipe, ModelSlot, MonotonicClock, State,
    memory_total,
};
use edge_runtime::model::{Model, ModelFile};
use edge_runtime::signature::{PublicKey, Trust, find_signature};
use edge_runtime::transport::{Connection, Key, missing_key};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The application as it runs here.
pub type LinuxApp<'a> = App<'a, FileFlash, MonotonicClock, Hwmon>;

/// Opens state and model, and calls `act` with the application, its loader, and the length of the state's
/// flash in bytes. Without a model that runs there is only a loader, so that a host can load one. A model
/// without the required signature is an error.
pub fn with_app_and_loader<R>(
    own: &LocalArgs,
    act: impl FnOnce(AppWithLoader<'_, FileFlash, MonotonicClock, Hwmon>, u32) -> Result<R, Error>,
) -> Result<R, Error> {
    let bytes = match ModelFile::map(&own.model) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(source) => {
            let path = own.model.clone();
            return Err(Error::ReadModel { path, source });
        }
    };
    let slot = ModelSlot::new(&own.model, own.trust.signature.as_deref());
    let trust = match &bytes {
        Some(bytes) => trust(own, &slot, bytes)?,
        None => key(own)?,
    };
    let (flash, areas, _lock) = State::open(&own.state, own.samples_mib)?.into_parts();
    // The state is locked, so no other process replaces the model.
    slot.clear();
    settle(own, &slot, &trust, bytes.as_deref().unwrap_or_default())?;
    let geometry = flash.geometry();
    let limits = Limits {
        capacity: slot.capacity(),
        keeps_old: slot.keeps_old(),
        geometry,
        areas,
        ram: memory_total(),
        classes: own.classes,
        trust,
    };
    let config = Config {
        areas,
        classes: own.classes,
        trust,
        stack: None,
        load: Some(limits),
    };
    let model = match &bytes {
        Some(bytes) => Model::parse(bytes)
            .map(|model| model.backed_by(bytes))
            .map_err(|e| (NotReady::from(&e), e.to_string())),
        None => Err((NotReady::NoModel, "there is no such file".into())),
    };
    let plan =
        model.and_then(
            |model| match MemoryPlan::new(&model, &geometry, &areas, own.classes) {
                Ok(plan) => Ok((model, plan)),
                Err(e) => Err((NotReady::from(&e), e.to_string())),
            },
        );
    let need = plan.as_ref().map_or(0, |(_, plan)| plan.total());
    let mut memory = vec![];
    let plan = plan.and_then(|plan| match memory.try_reserve_exact(need) {
        Ok(()) => Ok(plan),
        Err(e) => {
            let (have, need) = (limits.ram, need);
            Err((
                NotReady::from(&PlanError::Ram { have, need }),
                e.to_string(),
            ))
        }
    });
    memory.resize(memory.capacity().min(need), 0);
    let (clock, meter) = (MonotonicClock::start(), Hwmon::find(Path::new(HWMON)));
    let mut trunk = None;
    let app = match &plan {
        Ok((model, _)) => App::new(model, flash, clock, meter, &mut memory, &config)
            .map_err(|e| (NotReady::from(&e), e.to_string())),
        Err(e) => Err(e.clone()),
    };
    // Only for a model that the application takes: with any other it waits for a better one.
    let app = match (app, &plan) {
        (Ok(mut app), Ok((model, _))) => {
            app.run_on(trunk.insert(session(own, model)?).as_mut());
            Ok(app)
        }
        (app, _) => app,
    };
    let (app, reason) = match app {
        Ok(app) => (Some(app), NotReady::NoModel),
        Err((reason, text)) => {
            let path = own.model.display();
            eprintln!("edge: {path}: {text}; waits for a host that loads a model");
            (None, reason)
        }
    };
    act(
        AppWithLoader::new(app, Loader::new(slot, limits, reason)),
        geometry.len,
    )
}

/// Opens model and state, and hands the application to `act`. The state stays locked until `act` returns.
pub fn with_app<R>(
    own: &LocalArgs,
    act: impl FnOnce(LinuxApp<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let bytes = ModelFile::map(&own.model).map_err(|source| Error::ReadModel {
        path: own.model.clone(),
        source,
    })?;
    // Nothing in the model is trusted before its signature is checked.
    let slot = ModelSlot::new(&own.model, own.trust.signature.as_deref());
    let trust = trust(own, &slot, &bytes)?;
    let model = Model::parse(&bytes).map_err(|source| Error::Model {
        path: own.model.clone(),
        source,
    })?;
    let model = model.backed_by(&bytes);
    let (flash, areas, _lock) = State::open(&own.state, own.samples_mib)?.into_parts();
    settle(own, &slot, &trust, &bytes)?;
    let config = Config {
        areas,
        classes: own.classes,
        trust,
        stack: None,
        load: None,
    };
    let plan = MemoryPlan::new(&model, &flash.geometry(), &areas, own.classes);
    let mut memory = vec![0; plan.map_err(AppError::from)?.total()];
    let (clock, meter) = (MonotonicClock::start(), Hwmon::find(Path::new(HWMON)));
    let mut trunk;
    let mut app = App::new(&model, flash, clock, meter, &mut memory, &config)?;
    trunk = session(own, &model)?;
    app.run_on(trunk.as_mut());
    act(app)
}

/// A session of the backend that is asked for, or of the fastest.
fn session<'m>(own: &LocalArgs, model: &Model<'m>) -> Result<Box<dyn Session + 'm>, BackendError> {
    let fastest = BackendKind::fastest_for(model);
    let backend = own.backend.unwrap_or(fastest);
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = own.threads.map_or_else(cores, usize::from);
    backend.runtime_on(threads).prepare(model)?.session()
}

/// The key that this device trusts, after the signature of its model was checked.
fn trust(own: &LocalArgs, slot: &ModelSlot, model: &[u8]) -> Result<Trust, Error> {
    let trust = key(own)?;
    // A power cut may have left the signature under its temporary name.
    let waits = slot.waiting();
    if !trust.is_required() || waits.is_some_and(|s| trust.check_model(model, Some(&s)).is_ok()) {
        return Ok(trust);
    }
    let signature = find_signature(&own.model, own.trust.signature.as_deref())?;
    let judged = trust.check_model(model, signature.as_ref());
    judged.map_err(|source| Error::Untrusted {
        path: own.model.clone(),
        source,
    })?;
    Ok(trust)
}

/// Finishes what a power cut interrupted while a model was loaded.
fn settle(own: &LocalArgs, slot: &ModelSlot, trust: &Trust, model: &[u8]) -> Result<(), Error> {
    if !trust.is_required() {
        return Ok(());
    }
    let settled = slot.settle(|signature| trust.check_model(model, Some(signature)).is_ok());
    settled.map_err(|source| Error::ReadModel {
        path: own.model.clone(),
        source,
    })
}

/// The key that this device is configured to trust.
fn key(own: &LocalArgs) -> Result<Trust, Error> {
    Ok(match &own.trust.trust {
        Some(key) => Trust::Signed(PublicKey::read(key)?),
        None => Trust::Anyone,
    })
}

/// What a command does with a client over any pipe.
pub trait Job {
    /// Asks and prints.
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error>;
}

/// Connects a client to the device that `target` names, and runs a job with it.
pub fn ask(target: &DeviceArgs, output: Output, job: impl Job) -> Result<(), Error> {
    if let Some(address) = &target.connect {
        let key = target.key.as_deref().map(Key::read).transpose()?;
        let line = Connection::connect(address, key.as_ref())?;
        let mut client = Client::new(line, session_number(), Patience::default());
        if let Err(e) = client.connect(None) {
            let refused = match &e {
                ClientError::Pipe(e) if key.is_none() => missing_key(address, e),
                _ => None,
            };
            return Err(refused.map_or_else(|| e.into(), Error::from));
        }
        return job.run(&mut client, output);
    }
    let own = LocalArgs {
        model: target.model.clone().unwrap_or_default(),
        state: target.state.clone().unwrap_or_default(),
        samples_mib: target.samples_mib,
        classes: target.classes,
        backend: target.backend,
        threads: target.threads,
        trust: target.trust.clone(),
    };
    with_app(&own, |app| {
        let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
        let mut steps = Steps::new();
        let mut watch = |progress| steps.training(progress);
        let pipe = LocalPipe::new(app, &mut rx, &mut tx, &mut watch);
        let mut client = Client::new(pipe, session_number(), Patience::default());
        client.connect(None)?;
        job.run(&mut client, output)
    })
}

/// A number that no other session had lately.
fn session_number() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.map_or(0, |d| d.as_micros() as u32);
    micros ^ std::process::id().rotate_left(16)
}
