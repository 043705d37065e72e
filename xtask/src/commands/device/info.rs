//! `info`: what is on the device.

use super::{Connection, input::InputRule};
use crate::{output, units};
use anyhow::Result;
use edge_runtime::device::client::Identity;
use edge_runtime::device::protocol::VERSION;
use edge_runtime::head::store::Active;
use edge_runtime::model::DType;
use serde_json::{Value, json};

pub fn run(client: &mut Connection, identity: &Identity, json: bool) -> Result<()> {
    let trunk = units::hex(&identity.trunk);
    let (model, name, readable) = client.model(|m| {
        let value = json!({
            "name": m.name,
            "trunk_sha256": trunk,
            "dtype": if m.dtype == DType::I8 { "int8" } else { "float32" },
            "input": [m.input.h, m.input.w, m.input.c],
            "features": m.features,
            "pool": m.pool.to_string(),
            "random_weights": m.random_weights,
        });
        let name = format!(
            "{}, input {}, {} features",
            m.name.escape_debug(),
            m.input,
            m.features
        );
        (value, name, InputRule::checked(m).map(|_| ()))
    })?;
    readable?;
    let s = client.state()?;
    let value = json!({
        "protocol": VERSION,
        "model": model,
        "head": {
            "active": active_name(&s.active),
            "sequence": s.active.sequence(),
            "classes": s.head_classes,
            "previous": s.previous.as_ref().map(active_value),
            "waiting_for_commit": s.candidate,
            "signature_needed": s.signed,
            "max_bytes": s.max_head,
        },
        "samples": {
            "stored": s.samples, "capacity": s.max_samples,
            "classes": s.classes, "max_classes": s.max_classes,
        },
        "flash": {
            "bytes": s.flash.len,
            "erase_bytes": s.flash.erase_size,
            "write_bytes": s.flash.write_size,
        },
        "stack": s.stack.map(|stack| json!({"used_bytes": stack.used, "bytes": stack.size})),
        "ram": {"bytes": s.ram, "arena_bytes": s.arena, "training_bytes": s.training},
    });
    output::print(json, value, || {
        let bytes = |n: u32| units::bytes(n.into());
        let waiting = match s.candidate {
            true => "; another one waits for commit",
            false => "",
        };
        let previous = match &s.previous {
            Some(active) => format!("; rollback leads to {}", active_text(active)),
            None => String::new(),
        };
        let mut rows = vec![
            ("model", name),
            ("trunk", trunk),
            (
                "head",
                format!(
                    "{}, {} classes{previous}{waiting}",
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
                    "{}; of that {} for activations, {} for training the stored classes, in turn",
                    bytes(s.ram),
                    bytes(s.arena),
                    bytes(s.training)
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

/// `factory` or `slot`.
pub fn active_name(active: &Active) -> &'static str {
    match active {
        Active::Factory => "factory",
        Active::Slot { .. } => "slot",
    }
}

/// A head in the device's stores, for machines.
pub fn active_value(active: &Active) -> Value {
    json!({"active": active_name(active), "head_sequence": active.sequence()})
}

/// The same for people.
pub fn active_text(active: &Active) -> String {
    match active {
        Active::Factory => "the factory head".into(),
        Active::Slot { sequence, .. } => format!("head {sequence}"),
    }
}
