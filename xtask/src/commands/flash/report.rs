//! What `flash` prints.

use crate::firmware::Image;
use crate::output::{Report, Text};
use crate::units;
use serde::Serialize;

/// A board that was flashed and answers.
#[derive(Serialize)]
pub struct FlashReport<'b> {
    pub board: &'b str,
    /// Where it runs.
    pub place: String,
    /// For `device --port`.
    pub port: String,
    pub firmware: FirmwareSize,
    pub signature_needed: bool,
    /// `None` if there is no model on the board.
    pub model: Option<RunningModel>,
    #[serde(skip)]
    pub title: &'b str,
}

/// A model that runs on the board.
#[derive(Serialize)]
pub struct RunningModel {
    pub name: String,
    pub max_classes: u32,
    pub ram_bytes: u32,
}

/// What the firmware takes.
#[derive(Serialize)]
pub struct FirmwareSize {
    flash_bytes: u64,
    /// Static variables.
    ram_bytes: u64,
}

impl FirmwareSize {
    pub fn of(image: &Image) -> Self {
        Self {
            flash_bytes: image.size.flash,
            ram_bytes: image.size.ram,
        }
    }

    fn text(&self) -> String {
        let [flash, ram] = [self.flash_bytes, self.ram_bytes].map(units::bytes);
        format!("{flash} of flash, {ram} of RAM for static variables")
    }
}

impl Report for FlashReport<'_> {
    fn text(&self, out: &mut Text) {
        let model = match &self.model {
            None => "none; flash one".into(),
            Some(model) => format!("{}, up to {} classes", model.name, model.max_classes),
        };
        out.line(format_args!("{} ({})", self.title, self.board));
        out.pairs([
            ("firmware", self.firmware.text()),
            ("model", model),
            ("runs in", self.place.clone()),
        ]);
        let board = self.board;
        out.next([
            format!("device --port board:{board} info"),
            format!("monitor --board {board}"),
        ]);
    }
}

/// Firmware that was built and checked.
#[derive(Serialize)]
pub struct BuildReport<'b> {
    pub board: &'b str,
    /// The file.
    pub elf: String,
    pub firmware: FirmwareSize,
    #[serde(skip)]
    pub title: &'b str,
}

impl Report for BuildReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!("{} ({})", self.title, self.board));
        out.pairs([
            ("firmware", self.firmware.text()),
            ("file", self.elf.clone()),
        ]);
    }
}

/// A board in QEMU that was ended.
#[derive(Serialize)]
pub struct StopReport<'b> {
    pub board: &'b str,
    /// False if it did not run.
    pub stopped: bool,
}

impl Report for StopReport<'_> {
    fn text(&self, out: &mut Text) {
        let how = if self.stopped {
            "has ended"
        } else {
            "did not run"
        };
        out.line(format_args!("{} {how}", self.board));
    }
}
