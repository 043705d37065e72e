//! The converter's check of its own work, on pictures. Does the output depend on the picture? Does int8 agree
//! with float? Does the model of a quantized network compute what the numbers of its source say?
//!
//! This module only compares logits; [`crate::jobs::convert`] runs the models.

use edge_runtime::head::math::argmax;
use edge_runtime::model::{Comparison, Doubt, OutputFunction, SelfCheck};

/// Logits, one row per picture.
pub type Logits = Vec<Vec<f32>>;

/// Fewest pictures that can tell what changes from picture to picture.
pub const ENOUGH: usize = 4;

/// If a smaller part than this of the output changes from picture to picture, the network hardly sees the
/// pictures. With pixels on a scale that is 255 times too large, 0.6 to 1.4 % change (CIFAR ResNets); with
/// the right pixels, 30 % and more.
const MIN_SPREAD: f32 = 0.03;

/// The same for numbers that are not logits: their mean may be far from zero.
const MIN_SPREAD_OF_NUMBERS: f32 = 0.001;

/// Largest error of int8 against float, see [`Comparison::error`]. Networks that keep their accuracy have
/// 0.03 to 0.15.
const FLOAT_ERROR: f32 = 0.5;

/// Largest error against what the numbers of a quantized source say. The rounding of each layer makes up to
/// 0.15.
const SOURCE_ERROR: f32 = 0.3;

/// The factors between int8 and float that rounding can explain.
const SCALE: std::ops::RangeInclusive<f32> = 0.8..=1.25;

/// Judges the logits of a model. `float` are those of the float model, if it is int8; `source` are those that
/// the numbers of a quantized source give, maybe only for the first pictures. In a network of `random`
/// weights, nothing is doubtful. `function` is what turns the logits into probabilities.
pub fn judge(
    model: &Logits,
    float: Option<&Logits>,
    source: Option<&Logits>,
    random: bool,
    function: OutputFunction,
) -> SelfCheck {
    let least = match function {
        OutputFunction::None => MIN_SPREAD_OF_NUMBERS,
        _ => MIN_SPREAD,
    };
    let float = float.map(|f| compare(model, f));
    let source = source.map(|s| compare(&model[..s.len()], s));
    let spread = match function {
        OutputFunction::Softmax => spread(&centred(model)),
        _ => spread(model),
    };
    let finite = model.iter().flatten().all(|v| v.is_finite());
    let far = |c: Comparison, most: f32| c.error.is_nan() || c.error > most;
    let mut doubts = 0;
    let mut doubt = |doubt: Doubt, is: bool| doubts |= if is && !random { doubt as u8 } else { 0 };
    doubt(Doubt::NotFinite, !finite);
    let constant = finite && model.len() >= ENOUGH && spread < least;
    doubt(Doubt::Constant, constant);
    // Without a part that depends on the picture, only rounding errors would be compared.
    let float_at_hand = float.filter(|_| finite && !constant);
    let source_at_hand = source.filter(|_| finite && !constant);
    let off = |c: Comparison| !SCALE.contains(&c.scale);
    doubt(
        Doubt::Float,
        float_at_hand.is_some_and(|c| far(c, FLOAT_ERROR)),
    );
    doubt(Doubt::Scale, float_at_hand.is_some_and(off));
    doubt(
        Doubt::Source,
        source_at_hand.is_some_and(|c| far(c, SOURCE_ERROR) || off(c)),
    );
    SelfCheck {
        images: model.len() as u32,
        spread,
        float,
        source,
        doubts,
    }
}

/// What the user can try if int8 does not follow float.
fn remedy(check: &SelfCheck) -> &'static str {
    match check.source {
        Some(_) => {
            "the ranges are the source's own: see that the pixel values are what it was quantized for (--normalize), or convert the float network"
        }
        None => "try --calib DIR with more pictures like yours, or --range percentile:99.99",
    }
}

/// What is doubtful and what to try, one line each.
pub fn advice(check: &SelfCheck) -> Vec<String> {
    let text = |doubt| {
        match doubt {
        Doubt::NotFinite => "the output is not a finite number: the weights are broken, or pictures are not what the network was trained on (see --normalize)".into(),
        Doubt::Constant => format!(
            "the output hardly depends on the picture ({:.2} % of it changes): the pixel values are probably wrong; try --normalize torchvision, unit, tf or raw, or check --mean and --std",
            100.0 * check.spread
        ),
        Doubt::Float => format!(
            "int8 is far from float ({}); {}",
            check.float.map(numbers).unwrap_or_default(),
            remedy(check)
        ),
        Doubt::Scale => format!(
            "int8 is larger or smaller than float by a factor ({}); {}",
            check.float.map(numbers).unwrap_or_default(),
            remedy(check)
        ),
        Doubt::Source => format!(
            "the model does not compute what the numbers of its quantized source say ({}); convert the float network instead, and please report this file",
            check.source.map(numbers).unwrap_or_default()
        ),
    }
    };
    Doubt::ALL
        .into_iter()
        .filter(|d| check.has(*d))
        .map(text)
        .collect()
}

/// A comparison in words.
pub fn numbers(c: Comparison) -> String {
    format!(
        "same first class on {:.1} % of {}, cosine {:.4}, scale {:.2}, error {:.0} %",
        100.0 * c.top1,
        c.images,
        c.cosine,
        c.scale,
        100.0 * c.error
    )
}

/// Compares the logits of `model` with those of `reference`, picture by picture.
pub fn compare(model: &[Vec<f32>], reference: &[Vec<f32>]) -> Comparison {
    let pairs = || model.iter().zip(reference);
    let n = model.len().max(1) as f64;
    let same = pairs().filter(|(a, b)| argmax(a) == argmax(b)).count() as f64;
    let cosines: f64 = pairs().map(|(a, b)| cosine(a, b)).sum();
    let (changes, wanted) = (changes(model), changes(reference));
    let (own, power) = (dot(&changes, &wanted), dot(&wanted, &wanted));
    let difference: f64 = pairs()
        .flat_map(|(a, b)| a.iter().zip(b))
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    let ratio = |a: f64, b: f64| match (a == 0.0, b == 0.0) {
        (true, true) => 0.0,
        _ => a / b,
    };
    let scale = if power == 0.0 && own == 0.0 {
        1.0
    } else {
        own / power
    };
    Comparison {
        images: model.len() as u32,
        top1: (same / n) as f32,
        cosine: (cosines / n) as f32,
        scale: scale as f32,
        error: ratio(difference.sqrt(), power.sqrt()) as f32,
    }
}

/// The logits of each picture minus their mean, which a softmax does not depend on; a single logit stays as
/// it is.
fn centred(logits: &Logits) -> Logits {
    let row = |row: &Vec<f32>| -> Vec<f32> {
        let mean = row.iter().sum::<f32>() / row.len().max(1) as f32;
        row.iter()
            .map(|v| if row.len() > 1 { v - mean } else { *v })
            .collect()
    };
    logits.iter().map(row).collect()
}

/// The part of the root mean square of the logits that changes from picture to picture.
fn spread(logits: &Logits) -> f32 {
    let all: Vec<f64> = logits.iter().flatten().map(|v| f64::from(*v)).collect();
    let (changes, power) = (changes(logits), dot(&all, &all));
    if power == 0.0 {
        0.0
    } else {
        (dot(&changes, &changes) / power).sqrt() as f32
    }
}

/// All logits minus the mean of their class over the pictures. They stay as they are if there are too few
/// pictures for a mean.
fn changes(logits: &[Vec<f32>]) -> Vec<f64> {
    let classes = logits.first().map_or(0, Vec::len);
    let mut means = vec![0f64; classes];
    if logits.len() >= ENOUGH {
        for row in logits {
            means
                .iter_mut()
                .zip(row)
                .for_each(|(m, v)| *m += f64::from(*v) / logits.len() as f64);
        }
    }
    let row = |row: &Vec<f32>| -> Vec<f64> {
        row.iter()
            .zip(&means)
            .map(|(v, m)| f64::from(*v) - m)
            .collect()
    };
    logits.iter().flat_map(row).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|v| f64::from(*v)).collect() };
    let (a, b) = (wide(a), wide(b));
    let norms = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if norms == 0.0 {
        1.0
    } else {
        dot(&a, &b) / norms
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of eight pictures and three classes that depend on the picture.
    fn logits(scale: f32, offset: f32) -> Logits {
        let at = |p: usize, c: usize| ((p * 5 + c * 3) as f32).sin() * scale + offset * c as f32;
        (0..8).map(|p| (0..3).map(|c| at(p, c)).collect()).collect()
    }

    fn doubts(check: &SelfCheck) -> Vec<Doubt> {
        Doubt::ALL.into_iter().filter(|d| check.has(*d)).collect()
    }

    #[test]
    fn a_model_that_is_right_leaves_no_doubt() {
        let (a, b) = (logits(2.0, 0.3), logits(2.02, 0.3));
        let check = judge(
            &a,
            Some(&b),
            Some(&b[..4].to_vec()),
            false,
            OutputFunction::Softmax,
        );
        assert_eq!((doubts(&check), advice(&check)), (vec![], vec![]));
        let float = check.float.unwrap();
        assert_eq!(float.top1, 1.0);
        assert!(
            (float.scale - 2.0 / 2.02).abs() < 1e-6 && float.error < 0.02,
            "{float:?}"
        );
    }

    #[test]
    fn a_constant_output_is_doubted() {
        let check = judge(
            &logits(0.002, 1.0),
            None,
            None,
            false,
            OutputFunction::Softmax,
        );
        assert_eq!(doubts(&check), [Doubt::Constant]);
        assert!(
            advice(&check)[0].contains("--normalize"),
            "{:?}",
            advice(&check)
        );
        assert_eq!(
            judge(
                &vec![vec![0.0; 3]; 8],
                None,
                None,
                false,
                OutputFunction::Softmax
            )
            .doubts,
            Doubt::Constant as u8
        );
        assert_eq!(
            judge(
                &logits(0.002, 1.0),
                None,
                None,
                true,
                OutputFunction::Softmax
            )
            .doubts,
            0
        );
    }

    #[test]
    fn the_cosine_hides_a_factor_that_the_scale_shows() {
        let check = judge(
            &logits(2.6, 0.0),
            Some(&logits(1.0, 0.0)),
            None,
            false,
            OutputFunction::Softmax,
        );
        let float = check.float.unwrap();
        assert!(
            float.cosine > 0.9999 && (float.scale - 2.6).abs() < 1e-3,
            "{float:?}"
        );
        assert!(check.has(Doubt::Scale));
        assert!(
            advice(&check).iter().any(|a| a.contains("scale 2.60")),
            "{:?}",
            advice(&check)
        );
    }

    #[test]
    fn opposite_and_broken_outputs_are_doubted() {
        let check = judge(
            &logits(-1.0, 0.0),
            Some(&logits(1.0, 0.0)),
            None,
            false,
            OutputFunction::Softmax,
        );
        assert!(check.has(Doubt::Float) && check.has(Doubt::Scale));
        let check = judge(
            &logits(1.0, 0.0),
            None,
            Some(&logits(-1.0, 0.0)),
            false,
            OutputFunction::Softmax,
        );
        assert_eq!(doubts(&check), [Doubt::Source]);
        let check = judge(
            &vec![vec![f32::NAN; 2]; 8],
            None,
            None,
            false,
            OutputFunction::Softmax,
        );
        assert_eq!(doubts(&check), [Doubt::NotFinite]);
    }
}
