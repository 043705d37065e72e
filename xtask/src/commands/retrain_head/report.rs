//! What `retrain-head` prints.

use crate::output::{Report, Text};
use crate::units;
use converter::dataset::LeftOut;
use converter::jobs::evaluate::Evaluation;
use edge_runtime::client::judged::{self, Judged};
use serde::Serialize;

#[derive(Serialize)]
pub struct RetrainReport<'r> {
    /// The file that was written.
    pub out: String,
    pub classes: usize,
    pub labels: &'r [String],
    /// Pictures trained on, those held out included.
    pub train_images: usize,
    pub held_out_images: usize,
    pub held_out_top1: Option<f32>,
    pub held_out_balanced: Option<f32>,
    pub by_class: &'r [Judged],
    pub lost_classes: &'r [String],
    pub warnings: &'r [String],
    pub val_images: Option<usize>,
    pub val_top1: Option<f64>,
    /// Units of the hidden layer; 0 if there is none.
    pub hidden: u16,
    /// The best epoch; 0 is the start.
    pub epochs: u32,
    pub seconds: f64,
    pub training_ram_bytes: usize,
    pub seed: u64,
    pub left_out: Option<&'r LeftOut>,
    pub val_left_out: Option<&'r LeftOut>,
    /// Name of the model.
    #[serde(skip)]
    pub model: &'r str,
    #[serde(skip)]
    pub most_epochs: u32,
}

impl RetrainReport<'_> {
    /// Adds what was measured on the pictures of `--val`.
    pub fn measured(&mut self, result: &Evaluation) {
        self.val_images = Some(result.images);
        self.val_top1 = Some(result.top1);
    }

    fn best_epoch(&self) -> String {
        match self.epochs {
            0 => format!(
                "none of at most {} was better than the start, the means of the classes",
                self.most_epochs
            ),
            best => format!("{best} of at most {}", self.most_epochs),
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let held_out = match self.held_out_top1 {
            Some(top1) => units::percent(top1.into()) + &judged::scope(self.by_class),
            None => "none held out: too few pictures a class (8 are needed)".into(),
        };
        let hidden = match self.hidden {
            0 => "none".into(),
            units => format!("{units} units"),
        };
        let trained_on = self.train_images - self.held_out_images;
        let mut rows = vec![
            (
                "classes",
                format!("{} ({})", self.classes, self.labels.join(", ")),
            ),
            ("hidden layer", hidden),
            (
                "pictures",
                format!(
                    "{trained_on} trained on, {} held out to stop in time",
                    self.held_out_images
                ),
            ),
            ("best epoch", self.best_epoch()),
            ("held-out top-1", held_out),
        ];
        if self.held_out_images > 0 {
            let by_class = judged::by_class(self.by_class, units::percent);
            rows.push(("by class", by_class));
        }
        if let (Some(images), Some(top1)) = (self.val_images, self.val_top1) {
            let top1 = units::percent(top1);
            rows.push(("val top-1", format!("{top1} of {images} pictures of --val")));
        }
        let ram = units::bytes(self.training_ram_bytes as u64);
        rows.extend([
            (
                "training memory",
                format!("{ram} on a device, besides the stored features"),
            ),
            ("time", format!("{:.1} s", self.seconds)),
            ("written", self.out.clone()),
        ]);
        rows
    }
}

impl Report for RetrainReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!("New head for {}", self.model));
        out.pairs(self.rows());
    }
}
