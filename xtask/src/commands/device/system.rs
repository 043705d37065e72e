//! `log` and `reset`.

use super::Connection;
use crate::output;
use anyhow::Result;
use edge_runtime::client::ClientError;
use edge_runtime::device::{DeviceError, Event, EventKind, FaultKind};
use serde_json::{Value, json};

pub fn log(client: &mut Connection, json: bool) -> Result<()> {
    let (events, lost) = client.log()?;
    let value = json!({
        "lost": lost,
        "events": events.iter().map(event_value).collect::<Vec<_>>(),
    });
    output::print(json, value, || {
        let mut text = String::new();
        if lost > 0 {
            text += &format!("{lost} older events are lost\n");
        }
        for event in &events {
            let seconds = event.micros as f64 / 1e6;
            text += &format!("{seconds:>12.3} s  {}\n", event_text(&event.kind));
        }
        if text.is_empty() {
            text = "nothing since the log was read last".into();
        }
        text
    });
    Ok(())
}

fn event_value(event: &Event) -> Value {
    let mut value = match event.kind {
        EventKind::Started { samples, sequence } => {
            json!({"event": "started", "samples": samples, "head_sequence": sequence})
        }
        EventKind::Session { number } => json!({"event": "session", "number": number}),
        EventKind::Committed { sequence } => {
            json!({"event": "committed", "head_sequence": sequence})
        }
        EventKind::RolledBack { sequence } => {
            json!({"event": "rolled-back", "head_sequence": sequence})
        }
        EventKind::Trained { samples, unjudged } => {
            json!({"event": "trained", "samples": samples, "unjudged_classes": unjudged})
        }
        EventKind::FlashFailed { at } => json!({"event": "flash-failed", "at": at}),
        EventKind::Fault(fault) => json!({
            "event": "fault", "kind": fault_kind(fault.kind), "at": fault.at,
            "file": fault.file.as_str(), "in_a_row": fault.in_a_row,
        }),
    };
    value["microseconds"] = event.micros.into();
    value
}

fn event_text(kind: &EventKind) -> String {
    let head = |sequence: &u32| match sequence {
        0 => "the factory head".into(),
        n => format!("head {n}"),
    };
    match kind {
        EventKind::Started { samples, sequence } => {
            format!("started with {} and {samples} samples", head(sequence))
        }
        EventKind::Session { number } => format!("session {number:#010x} opened"),
        EventKind::Committed { sequence } => format!("{} committed", head(sequence)),
        EventKind::RolledBack { sequence } => format!("rolled back to {}", head(sequence)),
        EventKind::Trained {
            samples,
            unjudged: 0,
        } => format!("trained on {samples} samples"),
        EventKind::Trained { samples, unjudged } => {
            format!("trained on {samples} samples; classes that were not judged: {unjudged}")
        }
        EventKind::FlashFailed { at } => format!("the flash failed at offset {at}"),
        EventKind::Fault(fault) => {
            let at = match fault.kind {
                FaultKind::Panic => format!("{}:{}", fault.file.as_str().escape_debug(), fault.at),
                FaultKind::HardFault => format!("{:#010x}", fault.at),
                FaultKind::Exception => format!("exception {}", fault.at),
            };
            let kind = fault_kind(fault.kind);
            format!(
                "restarted after a {kind} at {at}, {} in a row",
                fault.in_a_row
            )
        }
    }
}

fn fault_kind(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Panic => "panic",
        FaultKind::HardFault => "hard-fault",
        FaultKind::Exception => "unhandled-exception",
    }
}

pub fn reset(client: &mut Connection, json: bool) -> Result<()> {
    match client.reset() {
        // The reply was lost, and the restarted device does not know the session any more.
        Ok(()) | Err(ClientError::Device(DeviceError::NoSession)) => (),
        Err(e) => return Err(e.into()),
    }
    output::print(json, json!({"reset": true}), || {
        "the device restarts".into()
    });
    Ok(())
}
