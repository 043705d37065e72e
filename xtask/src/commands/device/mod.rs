//! `device`: requests to a device over its connection.
//!
//! - [`port`]: the connection;
//! - [`info`], [`input`] (`infer`), [`samples`], [`retrain`], [`head`], [`measure`] (`bench`, `power`), [`system`] (`log`,
//!   `reset`), [`load`], [`eval`]: the requests.

mod eval;
mod head;
mod info;
mod input;
mod load;
mod measure;
pub mod port;
mod retrain;
mod samples;
mod system;

use super::{parse, read};
use crate::cli::device::{Device, DeviceCommand};
use anyhow::Result;
use edge_runtime::client::{Client, ClientError, Identity, Patience};
use edge_runtime::device::DeviceError;
use edge_runtime::transport::Key;
use port::OpenPort;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A connected device.
type Connection = Client<OpenPort>;

pub fn run(args: &Device, json: bool) -> Result<()> {
    let expect = match &args.model {
        Some(path) => Some(*parse(path, &read(path)?)?.trunk_sha256()),
        None => None,
    };
    let patience = Patience {
        timeout: Duration::from_millis(args.timeout.into()),
        attempts: args.attempts,
    };
    let key = args.key.as_deref().map(Key::read).transpose()?;
    let open = || -> Result<Connection> {
        let line = args.port.open(key.as_ref())?;
        Ok(Client::new(line, session(), patience))
    };
    let connect = || -> Result<(Connection, Identity)> {
        let mut client = open()?;
        let identity = client.connect(expect);
        let identity = identity.map_err(|e| args.port.explain(key.as_ref(), e))?;
        Ok((client, identity))
    };
    // Even if its application does not run, a device can be restarted and given a model.
    let begin = || -> Result<Connection> {
        let mut client = open()?;
        match client.connect(expect) {
            Ok(_) | Err(ClientError::Device(DeviceError::NotReady(_))) => Ok(client),
            Err(e) => Err(args.port.explain(key.as_ref(), e)),
        }
    };
    // Files are checked before the device gets any request.
    match &args.command {
        DeviceCommand::Info => {
            let (mut client, identity) = connect()?;
            info::run(&mut client, &identity, json)
        }
        DeviceCommand::Infer(args) => input::infer(&mut connect()?.0, args, json),
        DeviceCommand::AddSample(args) => samples::add(&mut connect()?.0, args, json),
        DeviceCommand::Samples => samples::list(&mut connect()?.0, json),
        DeviceCommand::ClearSamples(args) => samples::clear(&mut connect()?.0, args, json),
        DeviceCommand::RetrainHead(args) => {
            let data = args.data.as_deref().map(retrain::open).transpose()?;
            retrain::run(&mut connect()?.0, args, data.as_ref(), json)
        }
        DeviceCommand::Commit => head::commit(&mut connect()?.0, json),
        DeviceCommand::Rollback => head::rollback(&mut connect()?.0, json),
        DeviceCommand::ExportHead(args) => {
            converter::util::output::check(&args.file, &[])?;
            head::export(&mut connect()?.0, args, json)
        }
        DeviceCommand::ImportHead(args) => {
            let file = head::HeadFile::read(args)?;
            head::import(connect()?, args, &file, json)
        }
        DeviceCommand::Bench(args) => measure::bench(&mut connect()?.0, args, json),
        DeviceCommand::Power => measure::power(&mut connect()?.0, json),
        DeviceCommand::Log => system::log(&mut connect()?.0, json),
        DeviceCommand::Reset => system::reset(&mut begin()?, json),
        DeviceCommand::Load(load) => {
            let file = load::ModelFile::read(load, &args.port)?;
            let client = begin()?;
            load::run(&open, client, load, file, json)
        }
        DeviceCommand::Eval(args) => {
            let data = super::folder::open(&args.data)?;
            eval::run(&mut connect()?.0, args, data, json)
        }
    }
}

/// A session number that is unlikely to be that of another recent run of this program.
pub fn session() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = now.as_secs() as u32;
    seconds.rotate_left(12) ^ now.subsec_nanos() ^ std::process::id().rotate_left(20)
}
