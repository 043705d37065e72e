//! `log` and `reset`.

use super::Connection;
use super::info::head_name;
use crate::output::{self, Report, Text};
use anyhow::Result;
use edge_runtime::client::ClientError;
use edge_runtime::device::{DeviceError, Event, EventKind, FaultKind};
use serde::Serialize;

pub fn log(client: &mut Connection, json: bool) -> Result<()> {
    let (events, lost) = client.log()?;
    let events = events.iter().map(LogEntry::from).collect();
    output::print(json, &LogReport { lost, events });
    Ok(())
}

#[derive(Serialize)]
struct LogReport {
    /// Events that newer ones overwrote before they were read.
    lost: u32,
    events: Vec<LogEntry>,
}

#[derive(Serialize)]
struct LogEntry {
    microseconds: u64,
    #[serde(flatten)]
    event: LogEvent,
}

/// An event of the device's log, under the names of the JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum LogEvent {
    Started {
        samples: u32,
        head_sequence: u32,
    },
    Session {
        number: u32,
    },
    Committed {
        head_sequence: u32,
    },
    RolledBack {
        head_sequence: u32,
    },
    Trained {
        samples: u32,
        unjudged_classes: u32,
    },
    FlashFailed {
        at: u32,
    },
    Fault {
        kind: &'static str,
        at: u32,
        file: String,
        in_a_row: u32,
    },
}

impl From<&Event> for LogEntry {
    fn from(event: &Event) -> Self {
        Self {
            microseconds: event.micros,
            event: LogEvent::from(&event.kind),
        }
    }
}

impl From<&EventKind> for LogEvent {
    fn from(kind: &EventKind) -> Self {
        match kind {
            EventKind::Started { samples, sequence } => Self::Started {
                samples: *samples,
                head_sequence: *sequence,
            },
            EventKind::Session { number } => Self::Session { number: *number },
            EventKind::Committed { sequence } => Self::Committed {
                head_sequence: *sequence,
            },
            EventKind::RolledBack { sequence } => Self::RolledBack {
                head_sequence: *sequence,
            },
            EventKind::Trained { samples, unjudged } => Self::Trained {
                samples: *samples,
                unjudged_classes: *unjudged,
            },
            EventKind::FlashFailed { at } => Self::FlashFailed { at: *at },
            EventKind::Fault(fault) => Self::Fault {
                kind: match fault.kind {
                    FaultKind::Panic => "panic",
                    FaultKind::HardFault => "hard-fault",
                    FaultKind::Exception => "unhandled-exception",
                },
                at: fault.at,
                file: fault.file.as_str().into(),
                in_a_row: fault.in_a_row,
            },
        }
    }
}

impl Report for LogReport {
    fn text(&self, out: &mut Text) {
        if self.lost > 0 {
            out.line(format_args!("{} older events are lost", self.lost));
        }
        for LogEntry {
            microseconds,
            event,
        } in &self.events
        {
            let seconds = *microseconds as f64 / 1e6;
            out.line(format_args!("{seconds:>12.3} s  {}", event.text()));
        }
        if self.lost == 0 && self.events.is_empty() {
            out.line("nothing since the log was read last");
        }
    }
}

impl LogEvent {
    fn text(&self) -> String {
        match self {
            Self::Started {
                samples,
                head_sequence,
            } => {
                let head = head_name(*head_sequence);
                format!("started with {head} and {samples} samples")
            }
            Self::Session { number } => format!("session {number:#010x} opened"),
            Self::Committed { head_sequence } => {
                format!("{} committed", head_name(*head_sequence))
            }
            Self::RolledBack { head_sequence } => {
                format!("rolled back to {}", head_name(*head_sequence))
            }
            Self::Trained {
                samples,
                unjudged_classes: 0,
            } => format!("trained on {samples} samples"),
            Self::Trained {
                samples,
                unjudged_classes,
            } => format!(
                "trained on {samples} samples; classes that were not judged: {unjudged_classes}"
            ),
            Self::FlashFailed { at } => format!("the flash failed at offset {at}"),
            Self::Fault {
                kind,
                at,
                file,
                in_a_row,
            } => {
                let place = match *kind {
                    "panic" => format!("{}:{at}", file.escape_debug()),
                    "hard-fault" => format!("{at:#010x}"),
                    _ => format!("exception {at}"),
                };
                format!("restarted after a {kind} at {place}, {in_a_row} in a row")
            }
        }
    }
}

pub fn reset(client: &mut Connection, json: bool) -> Result<()> {
    match client.reset() {
        // The reply was lost, and the restarted device does not know the session any more.
        Ok(()) | Err(ClientError::Device(DeviceError::NoSession)) => (),
        Err(e) => return Err(e.into()),
    }
    output::print(json, &ResetReport { reset: true });
    Ok(())
}

#[derive(Serialize)]
struct ResetReport {
    /// Always true.
    reset: bool,
}

impl Report for ResetReport {
    fn text(&self, out: &mut Text) {
        out.line("the device restarts");
    }
}
