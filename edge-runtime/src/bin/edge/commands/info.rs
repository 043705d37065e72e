//! `info`: model, head, samples, memory.

use crate::device::Job;
use crate::error::Error;
use crate::output::{Output, head, kib, pairs};
use edge_runtime::client::report;
use edge_runtime::client::{Client, Pipe};

/// Asks what is on the device.
pub struct Info;

impl Job for Info {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        let identity = client.connect(None)?;
        let info = report::Info::ask(client, &identity)?;
        let state = client.state()?;
        output.print(&info, || {
            let [h, w, c] = info.model.input;
            let (active, ram) = (head(state.active), &info.ram);
            pairs(&[
                ("model", info.model.name.escape_debug().to_string()),
                ("trunk", info.model.trunk_sha256.clone()),
                ("input", format!("{h} x {w} x {c}")),
                ("head", format!("{active}, {} classes", info.head.classes)),
                ("rollback to", state.previous.map_or("none".into(), head)),
                (
                    "waiting head",
                    if state.candidate { "one" } else { "none" }.into(),
                ),
                (
                    "takes",
                    match state.signed {
                        true => "heads with a valid signature",
                        false => "heads of anyone who may connect",
                    }
                    .into(),
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
                        "{}, of which inference takes {} and training {}, not at once; up to {} hidden units with these classes",
                        kib(ram.bytes),
                        kib(ram.arena_bytes),
                        kib(ram.training_bytes),
                        ram.most_hidden
                    ),
                ),
            ])
        })
    }
}
