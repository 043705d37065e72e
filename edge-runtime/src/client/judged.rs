//! How well a new head knows each of its classes, and what may be wrong with its samples.
//!
//! One accuracy over all held-out samples hides a class that has few of them, or none. Knows no device:
//! training on the host uses the same code.

use super::names;
use crate::device::samples::HELD_OUT_EVERY;
use serde::Serialize;

/// A class is rare if it has this many times fewer samples than the largest one.
const RARE: u32 = 5;

/// How well a new head knows one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Name of the class.
    pub class: String,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
    /// How many of those the head gets right; `None` if none is held out.
    pub right: Option<u32>,
    /// The same as a fraction.
    pub recall: Option<f32>,
}

impl Judged {
    /// A class with `samples` samples, of which `held_out` are held out and `right` of those are right.
    pub fn new(class: &str, samples: u32, held_out: u32, right: u32) -> Self {
        let right = (held_out > 0).then_some(right);
        Self {
            class: class.into(),
            samples,
            held_out,
            right,
            recall: right.map(|right| right as f32 / held_out as f32),
        }
    }

    /// True if fewer than half of its held-out samples are right; false if only one is held out, which says
    /// too little.
    fn is_poor(&self) -> bool {
        self.held_out > 1 && self.right.is_some_and(|right| 2 * right < self.held_out)
    }
}

/// Mean recall over the classes with held-out samples, each with the same weight; `None` if there are none.
pub fn balanced(classes: &[Judged]) -> Option<f32> {
    let recalls = classes.iter().filter_map(|c| c.recall);
    let (sum, count) = recalls.fold((0.0, 0.0), |(sum, count), r| (sum + r, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// An addition to a figure over all held-out samples, if some classes have none: how many classes it covers.
/// Else empty.
pub fn scope(classes: &[Judged]) -> String {
    let judged = classes.iter().filter(|c| c.held_out > 0).count();
    match judged == 0 || judged == classes.len() {
        true => String::new(),
        false => format!(", of {judged} of the {} classes", classes.len()),
    }
}

/// The recalls as text, each formatted by `percent`: of all classes, or of the worst if there are many.
pub fn by_class(classes: &[Judged], percent: impl Fn(f64) -> String) -> String {
    const SHOWN: usize = 12;
    let mut order: Vec<&Judged> = classes.iter().collect();
    if classes.len() > SHOWN {
        let recall = |c: &Judged| c.recall.unwrap_or(-1.0);
        order.sort_by(|a, b| recall(a).total_cmp(&recall(b)));
        order.truncate(SHOWN);
    }
    let one = |c: &&Judged| match c.recall {
        Some(recall) => {
            let name = c.class.escape_debug();
            format!("{name} {} of {}", percent(recall.into()), c.held_out)
        }
        None => format!("{} not judged", c.class.escape_debug()),
    };
    let shown: Vec<String> = order.iter().map(one).collect();
    match classes.len() - order.len() {
        0 => shown.join(", "),
        _ => format!("the worst: {}", shown.join(", ")),
    }
}

/// Warnings about samples and head, one sentence each.
pub fn warnings(classes: &[Judged]) -> Vec<String> {
    let counted = |c: &&Judged| format!("{} ({})", names::quoted(&c.class), c.samples);
    let some = |found: &[&Judged]| {
        let mut shown: Vec<String> = found.iter().take(8).map(counted).collect();
        if found.len() > shown.len() {
            shown.push(format!("{} more", found.len() - shown.len()));
        }
        shown.join(", ")
    };
    let mut all = vec![];
    let unjudged: Vec<&Judged> = classes.iter().filter(|c| c.held_out == 0).collect();
    if !unjudged.is_empty() {
        all.push(format!(
            "not judged, because none of their samples is held out: {}; the held-out figures say nothing of {}. Every {HELD_OUT_EVERY}th sample of a class is held out: give a class {HELD_OUT_EVERY} at least, better many more",
            some(&unjudged),
            match unjudged.len() {
                1 => "this class",
                _ => "these classes",
            }
        ));
    }
    let largest = classes.iter().max_by_key(|c| c.samples);
    let most = largest.map_or(0, |c| c.samples);
    let is_rare = |c: &&Judged| c.samples <= most / RARE;
    let rare: Vec<&Judged> = classes.iter().filter(is_rare).collect();
    if let Some(largest) = largest
        && !rare.is_empty()
    {
        all.push(format!(
            "much rarer than {}: {}; the head will seldom answer them: add samples of them, or take fewer of the others",
            counted(&largest),
            some(&rare),
        ));
    }
    let poor: Vec<&Judged> = classes.iter().filter(|c| c.is_poor()).collect();
    if !poor.is_empty() {
        let recall = |c: &&Judged| {
            let (name, right) = (names::quoted(&c.class), c.right.unwrap_or(0));
            format!("{name} ({right} of {})", c.held_out)
        };
        let mut shown: Vec<String> = poor.iter().take(8).map(recall).collect();
        if poor.len() > shown.len() {
            shown.push(format!("{} more", poor.len() - shown.len()));
        }
        all.push(format!(
            "fewer than half of the held-out samples are right: {}; add samples, and look for pictures in the wrong folder",
            shown.join(", ")
        ));
    }
    all
}

/// A warning that a new head lacks classes of the head before.
pub fn lost(classes: &[String]) -> Option<String> {
    let names = names::list(classes.iter().map(String::as_str));
    (!classes.is_empty()).then(|| {
        format!(
            "the new head lacks {} of the head before it: {names}",
            match classes.len() {
                1 => "a class".into(),
                count => format!("{count} classes"),
            }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(counts: &[(u32, u32, u32)]) -> Vec<Judged> {
        let class = |(i, (samples, held_out, right)): (usize, &(u32, u32, u32))| {
            Judged::new(&format!("c{i}"), *samples, *held_out, *right)
        };
        counts.iter().enumerate().map(class).collect()
    }

    #[test]
    fn a_rare_class_counts_as_much_as_another() {
        let judged = classes(&[(16, 2, 0), (200, 25, 25)]);
        assert_eq!(balanced(&judged), Some(0.5));
        assert_eq!(balanced(&classes(&[(3, 0, 0), (200, 25, 20)])), Some(0.8));
        assert_eq!(balanced(&classes(&[(3, 0, 0); 2])), None);
        assert_eq!(scope(&judged), "");
        let scope = scope(&classes(&[(3, 0, 0), (200, 25, 20)]));
        assert_eq!(scope, ", of 1 of the 2 classes");
        let text = by_class(&judged, |p| format!("{p}"));
        assert_eq!(text, "c0 0 of 2, c1 1 of 25");
    }

    #[test]
    fn what_is_warned_of() {
        let told = |counts: &[(u32, u32, u32)], words: &[&[&str]]| {
            let warnings = warnings(&classes(counts));
            assert_eq!(warnings.len(), words.len(), "{warnings:?}");
            for (warning, words) in warnings.iter().zip(words) {
                words
                    .iter()
                    .for_each(|w| assert!(warning.contains(w), "{w}: {warning}"));
            }
        };
        // Flowers, the whole of it and twenty of each.
        told(&[(248, 31, 27), (384, 48, 44)], &[]);
        told(&[(20, 2, 1), (20, 2, 2)], &[]);
        told(&[(10, 1, 0), (10, 1, 1)], &[]);
        told(&[(20, 2, 0), (20, 2, 2)], &[&["'c0' (0 of 2)"]]);
        told(
            &[(3, 0, 0), (200, 25, 25)],
            &[
                &["not judged", "'c0' (3)", "this class"],
                &["rarer than 'c1' (200)", "'c0' (3)"],
            ],
        );
        // Eight of each would have one held out, had it not made room for newer ones.
        told(&[(8, 0, 0); 2], &[&["'c0' (8), 'c1' (8)", "these classes"]]);
        told(&[(40, 5, 2), (100, 12, 6)], &[&["'c0' (2 of 5)"]]);
        told(&[(40, 5, 4), (200, 25, 25)], &[&["rarer"]]);
        told(&[(41, 5, 4), (200, 25, 25)], &[]);
        let many = warnings(&classes(&[(1, 0, 0); 30]));
        assert!(many[0].contains("'c7' (1), 22 more"), "{many:?}");
    }
}
