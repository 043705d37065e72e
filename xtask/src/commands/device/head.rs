//! `commit`, `rollback`, `export-head`, `import-head`.

use super::Connection;
use super::info::head_name;
use crate::cli::device::{ExportHead, ImportHead};
use crate::output::{self, Report, Text};
use crate::units;
use anyhow::{Context, Result, bail};
use edge_runtime::client::Identity;
use edge_runtime::client::report::{ActiveHead, Committed};
use edge_runtime::device::DeviceError;
use edge_runtime::head::Head;
use edge_runtime::model::{AlignedBytes, header};
use edge_runtime::signature::{SIGNATURE_LEN, find_signature};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest head file that is read, in bytes. The heads of devices are far smaller.
const MAX_HEAD: u64 = 256 << 20;

/// A head to import, and its signature.
pub struct HeadFile {
    head: AlignedBytes,
    sha256: String,
    signature: Option<[u8; SIGNATURE_LEN]>,
}

impl HeadFile {
    /// Reads and checks both files.
    pub fn read(args: &ImportHead) -> Result<Self> {
        let head = read(&args.file)?;
        let name = || args.file.display().to_string();
        if head.starts_with(&header::MAGIC) {
            bail!(
                "{}: this is a whole model; a head is what `device export-head` writes, and its model comes to the device by `load`, `flash` or `deploy`",
                name()
            );
        }
        Head::parse_alone(&head).with_context(name)?;
        let signature = find_signature(&args.file, args.signature.as_deref())?;
        Ok(Self {
            sha256: sha256(&head),
            head,
            signature,
        })
    }
}

fn read(path: &Path) -> Result<AlignedBytes> {
    let cannot = || format!("{}: cannot read the file", path.display());
    let mut bytes = vec![];
    let file = File::open(path).with_context(cannot)?;
    file.take(MAX_HEAD + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    if bytes.len() as u64 > MAX_HEAD {
        bail!(
            "{}: longer than the {MAX_HEAD} bytes it can have",
            path.display()
        );
    }
    Ok(AlignedBytes::copy_of(&bytes))
}

/// The SHA-256 that a checked head file carries.
fn sha256(head: &[u8]) -> String {
    units::hex(head.get(64..96).unwrap_or_default())
}

/// The active head of the device, checked.
pub fn fetch(client: &mut Connection) -> Result<AlignedBytes> {
    let bytes = AlignedBytes::copy_of(&client.export_head()?);
    Head::parse_alone(&bytes).context("what the device sent as its head")?;
    Ok(bytes)
}

pub fn commit(client: &mut Connection, json: bool) -> Result<()> {
    let sequence = client.commit()?;
    let committed = Committed {
        head_sequence: sequence,
    };
    output::print(json, &CommitReport(committed));
    Ok(())
}

pub fn rollback(client: &mut Connection, json: bool) -> Result<()> {
    let active = client.rollback()?;
    output::print(json, &RollbackReport(ActiveHead::from(&active)));
    Ok(())
}

pub fn export(client: &mut Connection, args: &ExportHead, json: bool) -> Result<()> {
    let bytes = fetch(client)?;
    converter::util::output::write(&args.file, &bytes)?;
    let head = Head::parse_alone(&bytes)?;
    let report = ExportReport {
        file: args.file.display().to_string(),
        bytes: bytes.len(),
        classes: head.classes(),
        features: head.features(),
        head_sha256: sha256(&bytes),
        trunk_sha256: units::hex(head.trunk_sha256()),
    };
    output::print(json, &report);
    Ok(())
}

/// An error if the device would refuse the head when it is committed, or if it is too long for a slot, like the head
/// of a network with many classes.
fn room(
    client: &mut Connection,
    identity: &Identity,
    args: &ImportHead,
    file: &HeadFile,
) -> Result<()> {
    let state = client.state()?;
    let most = state.max_head as usize;
    let name = || args.file.display().to_string();
    if Head::parse_alone(&file.head)?.trunk_sha256() != identity.trunk {
        return Err(DeviceError::ForeignHead).with_context(name);
    }
    if state.signed && file.signature.is_none() {
        return Err(DeviceError::Unsigned).with_context(name);
    }
    if file.head.len() > most {
        bail!(
            "{}: a head of {} classes has {} bytes, and the device has room for {most}; the head that came with its model needs no import: `rollback` goes back to it",
            args.file.display(),
            Head::parse_alone(&file.head)?.classes(),
            file.head.len()
        );
    }
    Ok(())
}

pub fn import(
    (mut client, identity): (Connection, Identity),
    args: &ImportHead,
    file: &HeadFile,
    json: bool,
) -> Result<()> {
    let client = &mut client;
    room(client, &identity, args, file)?;
    client.import_head(&file.head, file.signature.as_ref())?;
    let sequence = match args.commit {
        true => Some(client.commit()?),
        false => None,
    };
    let report = ImportReport {
        file: args.file.display().to_string(),
        bytes: file.head.len(),
        head_sha256: &file.sha256,
        signed: file.signature.is_some(),
        committed: sequence.is_some(),
        head_sequence: sequence,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct CommitReport(Committed);

impl Report for CommitReport {
    fn text(&self, out: &mut Text) {
        out.line(format_args!("head {} is active", self.0.head_sequence));
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct RollbackReport(ActiveHead);

impl Report for RollbackReport {
    fn text(&self, out: &mut Text) {
        let head = head_name(self.0.head_sequence);
        out.line(format_args!("{head} is active"));
    }
}

#[derive(Serialize)]
struct ExportReport {
    file: String,
    bytes: usize,
    classes: usize,
    features: usize,
    head_sha256: String,
    trunk_sha256: String,
}

impl Report for ExportReport {
    fn text(&self, out: &mut Text) {
        let Self { file, classes, .. } = self;
        let bytes = units::bytes(self.bytes as u64);
        out.line(format_args!("{file}: a head of {classes} classes, {bytes}"));
    }
}

#[derive(Serialize)]
struct ImportReport<'f> {
    file: String,
    bytes: usize,
    head_sha256: &'f str,
    signed: bool,
    committed: bool,
    /// `None` until it is committed.
    head_sequence: Option<u32>,
}

impl Report for ImportReport<'_> {
    fn text(&self, out: &mut Text) {
        match self.head_sequence {
            Some(sequence) => out.line(format_args!("head {sequence} is active")),
            None => out.line("the head is on the device; `commit` checks it and makes it active"),
        }
    }
}
