//! What the converter's check of its own work looks like.

use crate::units;
use converter::jobs::convert::self_check;
use edge_runtime::model::{Comparison, Doubt, SelfCheck};
use serde::Serialize;

/// The check of a model. `convert` and `inspect` print it.
#[derive(Serialize)]
pub struct CheckReport {
    /// `good` or `doubtful`.
    verdict: &'static str,
    images: u32,
    spread: f32,
    int8_against_float: Option<Compared>,
    against_source: Option<Compared>,
    doubts: Vec<&'static str>,
    advice: Vec<String>,
}

/// Logits of two models on the same pictures.
#[derive(Serialize)]
struct Compared {
    images: u32,
    first_class: f32,
    cosine: f32,
    scale: f32,
    error: f32,
}

impl From<&SelfCheck> for CheckReport {
    fn from(check: &SelfCheck) -> Self {
        let doubts = Doubt::ALL.into_iter().filter(|d| check.has(*d));
        Self {
            verdict: match check.doubts {
                0 => "good",
                _ => "doubtful",
            },
            images: check.images,
            spread: check.spread,
            int8_against_float: check.float.map(Compared::from),
            against_source: check.source.map(Compared::from),
            doubts: doubts.map(Doubt::name).collect(),
            advice: self_check::advice(check),
        }
    }
}

impl From<Comparison> for Compared {
    fn from(c: Comparison) -> Self {
        Self {
            images: c.images,
            first_class: c.top1,
            cosine: c.cosine,
            scale: c.scale,
            error: c.error,
        }
    }
}

impl CheckReport {
    /// What was compared, and the verdict. `pictures` says on which pictures.
    pub fn rows(&self, pictures: &str) -> Vec<(&'static str, String)> {
        let mut rows = vec![];
        let mut compared = |name, c: &Option<Compared>| {
            rows.extend(c.iter().map(|c| (name, c.text(pictures))));
        };
        compared("int8 against float", &self.int8_against_float);
        compared("against the source", &self.against_source);
        rows.push(("self-check", self.verdict_text()));
        rows
    }

    /// The verdict, and the reasons for doubt.
    pub fn verdict_text(&self) -> String {
        match self.doubts.is_empty() {
            true => "good".into(),
            false => format!("DOUBTFUL: {}", self.advice.join("; ")),
        }
    }
}

impl Compared {
    fn text(&self, pictures: &str) -> String {
        format!(
            "same first class on {} of {} {pictures}, cosine {:.4}, scale {:.2}",
            units::percent(self.first_class.into()),
            self.images,
            self.cosine,
            self.scale
        )
    }
}
