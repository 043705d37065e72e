//! What `simulate` prints when it listens.

use crate::output::{Report, Text};
use crate::units;
use edge_runtime::client::report::Listening;
use serde::Serialize;

#[derive(Serialize)]
pub struct SimulateReport<'d> {
    #[serde(flatten)]
    pub listening: Listening,
    pub board: &'d str,
    /// What the board has for the application; `None` if that is not known.
    pub ram_limit_bytes: Option<u64>,
    /// Why no model runs.
    #[serde(skip)]
    pub not_ready: Option<String>,
}

impl Report for SimulateReport<'_> {
    fn text(&self, out: &mut Text) {
        let Listening {
            listening,
            model,
            ram_bytes,
            flash_bytes,
            most_classes,
            ..
        } = &self.listening;
        let board = self.board;
        match (model, &self.not_ready) {
            (Some(model), _) => out.line(format_args!(
                "{model} on a simulated {board}: {} of RAM, {} of flash for heads and samples, up to {most_classes} classes",
                units::bytes(*ram_bytes as u64),
                units::bytes((*flash_bytes).into()),
            )),
            (None, reason) => out.line(format_args!(
                "a simulated {board}: {}",
                reason.as_deref().unwrap_or("no model runs")
            )),
        }
        out.line(format_args!("listening on {listening}"));
    }
}
