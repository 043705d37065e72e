//! A reference with a wrong rule is noticed as well: the right backend then seems to be wrong, in that operator.

use crate::LAYERS;
use edge_runtime::backend::EngineRuntime;
use edge_runtime::backend::conformance::reference::Rules;
use edge_runtime::backend::conformance::{Case, Kind, check_by};
use edge_runtime::model::{DType, Op};

/// Rounds halves down.
struct HalfDown;

impl Rules for HalfDown {
    fn round(&self, _: &Op, value: i128, shift: u8) -> i128 {
        (value + (1 << (shift - 1)) - 1) >> shift
    }
}

/// Rounds halves away from zero, as TensorFlow Lite does.
struct HalfAway;

impl Rules for HalfAway {
    fn round(&self, _: &Op, value: i128, shift: u8) -> i128 {
        value.signum() * ((value.abs() + (1 << (shift - 1))) >> shift)
    }
}

/// Rounds twice: first to four more bits.
struct Twice;

impl Rules for Twice {
    fn round(&self, _: &Op, value: i128, shift: u8) -> i128 {
        let half = |shift: u8| if shift == 0 { 0 } else { 1 << (shift - 1) };
        let first = shift.saturating_sub(4);
        let value = (value + half(first)) >> first;
        (value + half(shift - first)) >> (shift - first)
    }
}

/// Padding reads zero, and takes part in pools.
struct Zeros;

impl Rules for Zeros {
    fn padding(&self, _: &Op, _: i8) -> i8 {
        0
    }

    fn pool_padding(&self, _: &Op, zero_point: i8) -> Option<i8> {
        Some(zero_point)
    }
}

/// Results wrap.
struct Wraps;

impl Rules for Wraps {
    fn clamp(&self, _: &Op, value: i128, _: i8, _: i8) -> i8 {
        value as i8
    }
}

/// The largest value is lost when it is copied.
struct Loses;

impl Rules for Loses {
    fn copy(&self, _: &Op, value: i8) -> i8 {
        value.min(126)
    }
}

/// Operators with a rounding.
const ROUNDING: [(Kind, &str); 10] = [
    (Kind::Conv, "conv"),
    (Kind::GroupedConv, "conv"),
    (Kind::DepthwiseConv, "depthwise-conv"),
    (Kind::AvgPool, "avg-pool"),
    (Kind::Add, "add"),
    (Kind::Concat, "concat"),
    (Kind::Mul, "mul"),
    (Kind::PRelu, "prelu"),
    (Kind::Norm, "local-response-norm"),
    (Kind::EvenNorm, "local-response-norm"),
];

#[track_caller]
fn assert_found(rules: &dyn Rules, kinds: &[(Kind, &str)]) {
    for (kind, operator) in kinds {
        let wrong = |index| {
            let case = Case::layer(*kind, DType::I8, index);
            check_by(rules, "engine", &EngineRuntime::new(), &case).err()
        };
        // Copies and tables before the layer may be named first, if they are what is wrong.
        let found = (0..LAYERS)
            .filter_map(wrong)
            .find(|f| f.operator == *operator);
        let found = found.unwrap_or_else(|| panic!("{kind:?} hides it"));
        assert!(found.to_string().contains(operator), "{found}");
    }
}

#[test]
fn a_wrong_rounding_of_the_reference_is_found() {
    assert_found(&HalfDown, &ROUNDING);
    assert_found(&HalfAway, &ROUNDING);
    assert_found(&Twice, &ROUNDING);
}

#[test]
fn a_wrong_clamp_of_the_reference_is_found() {
    assert_found(&Wraps, &ROUNDING);
}

#[test]
fn a_wrong_padding_of_the_reference_is_found() {
    let padding = [
        (Kind::Conv, "conv"),
        (Kind::GroupedConv, "conv"),
        (Kind::DepthwiseConv, "depthwise-conv"),
        (Kind::MaxPool, "max-pool"),
        (Kind::AvgPool, "avg-pool"),
        (Kind::Pad, "pad"),
    ];
    assert_found(&Zeros, &padding);
}

#[test]
fn a_wrong_copy_of_the_reference_is_found() {
    let copies = [
        (Kind::Map, "map"),
        (Kind::Slice, "slice"),
        (Kind::Shuffle, "shuffle"),
    ];
    assert_found(&Loses, &copies);
}
