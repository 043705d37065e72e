//! Chooses the rule that a file means among those in common use, from the start of its graph or the range of
//! its first quantization.

use super::affine::{Lane, Start, Step};
use super::rule::{CENTRED, DATA_SETS, HALF, PixelRule, short};
use super::{Derived, Held};

/// Constants may differ by this part of a range: 128 stands for 127.5, and 256 for 255.
const NEAR: f64 = 0.02;

/// Rules by which pixels may enter a network that goes on normalizing, with their names in `--normalize`.
const PRESETS: [(&str, PixelRule); 4] = [
    ("raw", PixelRule::RAW),
    ("unit", PixelRule::UNIT),
    ("tf", PixelRule::TF),
    ("torchvision", PixelRule::TORCHVISION),
];

/// The rule for which the start of the graph gives normalized pixels.
pub fn of_start(start: &Start) -> Option<Derived> {
    let trained =
        |s: &Step| matches!(s, Step::BatchNorm { mean, variance } if saw_pixels(mean, variance));
    let raw = start.steps.first().is_some_and(trained);
    if start.is_plain() && !raw {
        return None;
    }
    let fits = |(name, _): &&(&str, PixelRule)| match *name {
        "raw" => raw || normalizes_raw(start),
        "unit" => normalizes_unit(start),
        "tf" => {
            gives(start, &PixelRule::TF, &[[0.0, 1.0], [0.0, 255.0]])
                || gives_data_set(start, &PixelRule::TF)
        }
        _ => gives(
            start,
            &PixelRule::TORCHVISION,
            &[[-1.0, 1.0], [0.0, 1.0], [0.0, 255.0]],
        ),
    };
    let mut found = PRESETS.iter().filter(fits);
    let (_, rule) = found.next().filter(|_| found.next().is_none())?;
    Some(Derived {
        rule: *rule,
        from: "the normalization at its input",
        certain: true,
        blue_first: blue_first(start),
        note: None,
    })
}

/// True if the network was trained on pixels from 0 to 255.
fn saw_pixels(mean: &[f32], variance: &[f32]) -> bool {
    let pixels = |(m, v): (&f32, &f32)| {
        (13.0..=242.0).contains(m) && (13.0..=128.0).contains(&v.max(0.0).sqrt())
    };
    mean.iter().zip(variance).all(pixels)
}

/// The mean and standard deviation that a channel is normalized with.
fn statistics(lane: &Lane) -> (f64, f64) {
    (-lane.offset / lane.gain, 1.0 / lane.gain)
}

fn all(start: &Start, fits: impl Fn(f64, f64) -> bool) -> bool {
    start.lanes.iter().map(statistics).all(|(m, s)| fits(m, s))
}

/// True if 0 to 255 becomes values around zero, or about 0 to 1.
fn normalizes_raw(start: &Start) -> bool {
    gives(
        start,
        &PixelRule::RAW,
        &[[0.0, 1.0], [-1.0, 1.0], [-0.5, 0.5]],
    ) || all(start, |m, s| m.abs() < 3.0 && (100.0..=260.0).contains(&s))
        || all(start, |m, s| {
            (13.0..=242.0).contains(&m) && (25.0..=260.0).contains(&s)
        })
        || all(start, |m, s| {
            (90.0..=140.0).contains(&m) && (s - 1.0).abs() < 0.01
        })
}

/// True if 0 to 1 becomes values around zero, or 0 to 255.
fn normalizes_unit(start: &Start) -> bool {
    // A decomposed batch norm is a factor and then an offset, with their own values for each channel.
    let same = start
        .lanes
        .windows(2)
        .all(|l| (l[0].gain, l[0].offset) == (l[1].gain, l[1].offset));
    let whole = start.lanes.len() == 3 && same;
    let constants = whole || start.steps == [Step::Shift, Step::Scale];
    let standard = |m, s| (0.05..=0.95).contains(&m) && (0.1..=0.51).contains(&s);
    let widens = |m, s: f64| (-0.01..=0.6).contains(&m) && (s * 255.0 - 1.0).abs() < 0.01;
    gives(
        start,
        &PixelRule::UNIT,
        &[[0.0, 255.0], [-1.0, 1.0], [-0.5, 0.5]],
    ) || gives_data_set(start, &PixelRule::UNIT)
        || all(start, widens)
        || all(start, |m, s| {
            (0.35..=0.6).contains(&m) && (s - 1.0).abs() < 1e-3
        })
        || constants && all(start, standard)
}

/// True if pixels that enter by `rule` come out as by one of `targets`.
fn gives(start: &Start, rule: &PixelRule, targets: &[[f64; 2]]) -> bool {
    let near =
        |lane: &Lane, target: &[f64; 2]| is_near(lane.image(rule.ends(lane.source)), *target);
    targets
        .iter()
        .any(|t| start.lanes.iter().all(|lane| near(lane, t)))
}

/// True if pixels that enter by `rule` come out as networks of a known data set expect them, in either order
/// of colours.
fn gives_data_set(start: &Start, rule: &PixelRule) -> bool {
    let data_sets = DATA_SETS.iter().map(|(_, rule)| rule);
    data_sets.chain([&PixelRule::TORCHVISION]).any(|wanted| {
        [false, true].into_iter().any(|turned| {
            let turned = turned && start.lanes.len() == 3;
            start.lanes.iter().all(|lane| {
                let colour = if turned { 2 - lane.source } else { lane.source };
                let wanted = wanted.ends(colour).map(f64::from);
                is_near(lane.image(rule.ends(lane.source)), wanted)
            })
        })
    })
}

fn is_near([a, b]: [f64; 2], [low, high]: [f64; 2]) -> bool {
    (a - low).abs().max((b - high).abs()) <= NEAR * (high - low)
}

/// True if the means are ImageNet's with blue first.
fn blue_first(start: &Start) -> bool {
    if start.lanes.len() != 3 {
        return false;
    }
    let mean = [103.94, 116.78, 123.68];
    start.lanes.iter().all(|lane| {
        let (m, _) = statistics(lane);
        [1.0, 255.0]
            .iter()
            .any(|scale| (m * scale - mean[lane.source]).abs() < 1.5)
    })
}

/// The rule whose range fits a quantization.
pub fn of_range(held: Held, channels: usize) -> Option<Derived> {
    // Calibration may have missed some pixel values, but it saw none outside the rule's range.
    const BEYOND: f32 = 0.02;
    const MISSED: f32 = 0.15;
    const EXACT: f32 = 0.015;
    // Rules of one scale for all pixels.
    const SYMMETRIC: f32 = 0.01;
    let loose = PRESETS.iter().map(|(_, rule)| (rule, MISSED));
    let grey = |rule: &PixelRule| rule.mean[0] == rule.mean[2];
    let exact = DATA_SETS
        .iter()
        .map(|(_, rule)| rule)
        .filter(|rule| grey(rule) == (channels == 1));
    let exact = exact
        .chain(&CENTRED)
        .chain([&HALF])
        .map(|rule| (rule, EXACT));
    // The part of the rule's range that the quantization lacks; `None` if it cannot be this rule.
    let lacks = |(rule, limit): (&'static PixelRule, f32)| {
        let [low, high] = rule.range(channels);
        let missing = match held.symmetric {
            true => [1.0 - held.high / high.max(-low); 2],
            false => [held.low - low, high - held.high].map(|v| v / (high - low)),
        };
        let limit = if held.symmetric { SYMMETRIC } else { limit };
        let may = missing.iter().all(|m| (-BEYOND..=limit).contains(m));
        let sum = missing[0].abs() + missing[1].abs();
        (may && sum <= limit.max(2.0 * EXACT)).then_some((rule, sum))
    };
    let mut found: Vec<(&PixelRule, f32)> = loose.chain(exact).filter_map(lacks).collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (rule, _) = *found.first()?;
    // Two rules can fit equally badly.
    let same = |other: &PixelRule| other.is_near(rule, channels, 0.06);
    if held.symmetric && !found.iter().all(|(other, _)| same(other)) {
        return None;
    }
    Some(Derived {
        rule: *rule,
        from: "the range of its first quantization",
        certain: false,
        blue_first: false,
        note: None,
    })
}

/// A note for the user if no rule follows.
pub fn doubt(start: &Start, held: Option<Held>) -> Option<String> {
    if let Some(held) = held {
        return Some(format!(
            "the range of its first quantization, {} to {}, fits no one rule known here",
            short(held.low, 3),
            short(held.high, 3)
        ));
    }
    let trained = start
        .steps
        .iter()
        .any(|s| matches!(s, Step::BatchNorm { .. }));
    (!start.is_plain() && !trained)
        .then(|| "the factors and offsets at its input fit no rule known here".into())
}
