//! `info`: what is on the device.

use super::{Connection, input::InputRule};
use crate::output::{self, Report, Text};
use crate::units;
use anyhow::Result;
use edge_runtime::client::Identity;
use edge_runtime::client::report::{Heads, Info};
use serde::Serialize;

pub fn run(client: &mut Connection, identity: &Identity, json: bool) -> Result<()> {
    // An input rule that makes no sense is reported here, not only with the first picture.
    InputRule::ask(client)?;
    output::print(json, &InfoReport(Info::ask(client, identity)?));
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct InfoReport(Info);

impl Report for InfoReport {
    fn text(&self, out: &mut Text) {
        let Info {
            model,
            head,
            samples,
            flash,
            stack,
            ram,
            ..
        } = &self.0;
        let bytes = |n: u32| units::bytes(n.into());
        let [h, w, c] = model.input;
        let mut rows = vec![
            (
                "model",
                format!(
                    "{}, input {h}x{w}x{c}, {} features",
                    model.name.escape_debug(),
                    model.features
                ),
            ),
            ("trunk", model.trunk_sha256.clone()),
            ("head", heads(head)),
            (
                "samples",
                format!(
                    "{} of {} in {} classes; up to {} can be trained",
                    samples.stored, samples.capacity, samples.classes, samples.max_classes
                ),
            ),
            (
                "RAM",
                format!(
                    "{}; of that {} for activations, {} for training the stored classes, in turn, with up to {} hidden units",
                    bytes(ram.bytes),
                    bytes(ram.arena_bytes),
                    bytes(ram.training_bytes),
                    ram.most_hidden
                ),
            ),
            (
                "flash",
                format!("{} for heads and samples", bytes(flash.bytes)),
            ),
        ];
        rows.extend(stack.map(|stack| {
            let (used, size) = (bytes(stack.used_bytes), bytes(stack.bytes));
            ("stack", format!("{used} of {size} used at most"))
        }));
        out.pairs(rows);
    }
}

fn heads(head: &Heads) -> String {
    let mut text = format!("{}, {} classes", head_name(head.sequence), head.classes);
    if let Some(previous) = &head.previous {
        let name = head_name(previous.head_sequence);
        text += &format!("; rollback leads to {name}");
    }
    if head.waiting_for_commit {
        text += "; another one waits for commit";
    }
    if head.signature_needed {
        text += "; takes signed ones only";
    }
    text
}

/// A head in the device's store by its sequence number, for people.
pub fn head_name(sequence: u32) -> String {
    match sequence {
        0 => "the factory head".into(),
        number => format!("head {number}"),
    }
}
