//! Reads the pixel format from a model's metadata (ONNX's `MetadataProps.md`).

use super::pb::StringStringEntryProto;
use crate::import::pixels::{Derived, PixelRule, Pixels};

/// Adds to `pixels` what `entries` say, unless the graph says it.
pub fn add(pixels: &mut Pixels, entries: &[StringStringEntryProto]) {
    let value = |key: &str| {
        let entry = entries.iter().find(|e| e.key.eq_ignore_ascii_case(key));
        entry.map(|e| e.value.to_ascii_lowercase())
    };
    let rule = match value("Image.NominalPixelRange").as_deref() {
        Some("nominalrange_0_255") => PixelRule::RAW,
        Some("normalized_0_1") => PixelRule::UNIT,
        Some("normalized_1_1") => PixelRule::TF,
        _ => return,
    };
    let guessed = |d: &Derived| !d.certain && pixels.held.is_none();
    if !pixels.derived.as_ref().is_none_or(guessed) {
        return;
    }
    pixels.derived = Some(Derived {
        rule,
        from: "Image.NominalPixelRange in its metadata",
        certain: true,
        blue_first: value("Image.BitmapPixelFormat").is_some_and(|v| v.starts_with("bgr")),
        note: None,
    });
}
