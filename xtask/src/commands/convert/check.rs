//! What the converter's check of its own work looks like.

use crate::units;
use converter::jobs::convert::self_check;
use edge_runtime::model::{Comparison, Doubt, SelfCheck};
use serde_json::{Value, json};

/// For machines. `verdict` is `good` or `doubtful`.
pub fn value(check: &SelfCheck) -> Value {
    let comparison = |c: Comparison| {
        json!({
            "images": c.images, "first_class": c.top1, "cosine": c.cosine, "scale": c.scale, "error": c.error,
        })
    };
    let doubts = Doubt::ALL.into_iter().filter(|d| check.has(*d));
    json!({
        "verdict": verdict(check),
        "images": check.images,
        "spread": check.spread,
        "int8_against_float": check.float.map(comparison),
        "against_source": check.source.map(comparison),
        "doubts": doubts.map(Doubt::name).collect::<Vec<_>>(),
        "advice": self_check::advice(check),
    })
}

/// For people: what was compared, and the verdict. `which` pictures it was made on.
pub fn rows(check: &SelfCheck, which: &str) -> Vec<(&'static str, String)> {
    let comparison = |c: Comparison| {
        format!(
            "same first class on {} of {} {which}, cosine {:.4}, scale {:.2}",
            units::percent(c.top1 as f64),
            c.images,
            c.cosine,
            c.scale
        )
    };
    let mut rows = vec![];
    rows.extend(check.float.map(|c| ("int8 against float", comparison(c))));
    rows.extend(check.source.map(|c| ("against the source", comparison(c))));
    rows.push(("self-check", verdict_text(check)));
    rows
}

/// The verdict, and what led to it.
pub fn verdict_text(check: &SelfCheck) -> String {
    match verdict(check) {
        "good" => "good".into(),
        _ => format!("DOUBTFUL: {}", self_check::advice(check).join("; ")),
    }
}

fn verdict(check: &SelfCheck) -> &'static str {
    if check.doubts == 0 {
        "good"
    } else {
        "doubtful"
    }
}
