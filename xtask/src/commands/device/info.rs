//! `info`: what is on the device.

use super::{Connection, input::InputRule};
use crate::{output, units};
use anyhow::Result;
use edge_runtime::client::Identity;
use edge_runtime::client::report::Info;
use edge_runtime::head::store::Active;

pub fn run(client: &mut Connection, identity: &Identity, json: bool) -> Result<()> {
    // A rule that makes no sense is an error here, not only with the first picture.
    InputRule::ask(client)?;
    let info = Info::ask(client, identity)?;
    let s = client.state()?;
    output::report(json, &info, || {
        let bytes = |n: u32| units::bytes(n.into());
        let waiting = match s.candidate {
            true => "; another one waits for commit",
            false => "",
        };
        let previous = match &s.previous {
            Some(active) => format!("; rollback leads to {}", active_text(active)),
            None => String::new(),
        };
        let [h, w, c] = info.model.input;
        let name = format!(
            "{}, input {h}x{w}x{c}, {} features",
            info.model.name.escape_debug(),
            info.model.features
        );
        let signed = match s.signed {
            true => "; takes signed ones only",
            false => "",
        };
        let mut rows = vec![
            ("model", name),
            ("trunk", info.model.trunk_sha256.clone()),
            (
                "head",
                format!(
                    "{}, {} classes{previous}{waiting}{signed}",
                    active_text(&s.active),
                    s.head_classes
                ),
            ),
            (
                "samples",
                format!(
                    "{} of {} in {} classes; up to {} can be trained",
                    s.samples, s.max_samples, s.classes, s.max_classes
                ),
            ),
            (
                "RAM",
                format!(
                    "{}; of that {} for activations, {} for training the stored classes, in turn, with up to {} hidden units",
                    bytes(s.ram),
                    bytes(s.arena),
                    bytes(s.training),
                    info.ram.most_hidden
                ),
            ),
            (
                "flash",
                format!("{} for heads and samples", bytes(s.flash.len)),
            ),
        ];
        if let Some(stack) = s.stack {
            let text = format!(
                "{} of {} used at most",
                bytes(stack.used),
                bytes(stack.size)
            );
            rows.push(("stack", text));
        }
        output::pairs(&rows)
    });
    Ok(())
}

/// A head in the device's stores, for people.
pub fn active_text(active: &Active) -> String {
    match active {
        Active::Factory => "the factory head".into(),
        Active::Slot { sequence, .. } => format!("head {sequence}"),
    }
}
