//! Every family that this processor can run, the portable one among them, against loops that follow the
//! definitions of `docs/reference/arithmetic.md` word by word.

mod conv;
mod elementwise;
mod layout;
mod norm;
mod pool;

use super::*;
use crate::random::Random;
use crate::tensor::{Shape, Window};
use proptest::prelude::*;

/// Pseudo-random int8 values; one time in four only -128, 0 and 127.
fn values(len: usize, seed: u64) -> Vec<i8> {
    let mut values = vec![0; len];
    Random::new(seed).i8s(&mut values, i8::MIN, seed.is_multiple_of(4));
    values
}

fn window() -> impl Strategy<Value = Window> {
    let pair = |r: core::ops::RangeInclusive<u32>| (r.clone(), r).prop_map(|(a, b)| [a, b]);
    (
        pair(1..=4),
        pair(1..=3),
        pair(1..=2),
        pair(0..=3),
        pair(0..=3),
    )
        .prop_map(|(kernel, stride, dilation, pad_before, pad_after)| Window {
            kernel,
            stride,
            dilation,
            pad_before,
            pad_after,
        })
}

/// A window over an input, if it fits.
fn geometry(input: Shape, window: Window, channels: u32) -> Option<Geometry> {
    let (h, w) = (
        window.output_len(0, input.h)?,
        window.output_len(1, input.w)?,
    );
    let geometry = Geometry {
        input,
        output: Shape::new(h, w, channels),
        window,
    };
    assert!(geometry.fits(geometry.input.len(), geometry.output.len()));
    Some(geometry)
}

/// Element of the input under tap `(ky, kx)` of output `(y, x)`, or `None` in the padding.
fn at(g: &Geometry, input: &[i8], [y, x]: [u32; 2], [ky, kx]: [u32; 2], c: u32) -> Option<i8> {
    let w = &g.window;
    let row = (y * w.stride[0] + ky * w.dilation[0]).checked_sub(w.pad_before[0])?;
    let col = (x * w.stride[1] + kx * w.dilation[1]).checked_sub(w.pad_before[1])?;
    let inside = row < g.input.h && col < g.input.w;
    inside.then(|| input[((row * g.input.w + col) * g.input.c + c) as usize])
}

/// Rows, columns and channels in the order of memory.
fn positions(s: Shape) -> impl Iterator<Item = ([u32; 2], u32)> {
    (0..s.h).flat_map(move |y| (0..s.w).flat_map(move |x| (0..s.c).map(move |c| ([y, x], c))))
}

fn taps(w: &Window) -> impl Iterator<Item = [u32; 2]> + use<> {
    let [kh, kw] = w.kernel;
    (0..kh).flat_map(move |ky| (0..kw).map(move |kx| [ky, kx]))
}

/// `value * m / 2^n`, rounded half up, plus the zero point, clamped; exactly.
fn scaled(value: i64, m: i32, n: u8, zero_point: i8, clamp: [i8; 2]) -> i8 {
    let exact = (value as i128 * m as i128 + (1 << (n - 1))).div_euclid(1 << n);
    let [low, high] = clamp.map(i128::from);
    (exact + zero_point as i128).clamp(low, high) as i8
}

const FULL: [i8; 2] = [i8::MIN, i8::MAX];

#[test]
fn portable_is_always_available_and_last() {
    let names: Vec<&str> = available().map(|k| k.name()).collect();
    assert_eq!(names.last(), Some(&"portable"));
    assert_eq!(names[0], native().name());
    #[cfg(target_arch = "x86_64")]
    assert_eq!(
        names.contains(&"avx2"),
        std::arch::is_x86_feature_detected!("avx2")
    );
}

#[test]
fn unknown_families_are_refused_by_name() {
    let error = force("sse9").unwrap_err().to_string();
    assert!(
        error.starts_with("this processor runs no kernels 'sse9'; it runs: ")
            && error.ends_with("portable"),
        "{error}"
    );
}

#[test]
fn impossible_geometries_are_told() {
    let window = Window {
        kernel: [3, 3],
        pad_before: [1, 1],
        pad_after: [1, 1],
        ..Window::POINT
    };
    let shape = Shape::new(8, 6, 4);
    let good = Geometry {
        input: shape,
        output: shape,
        window,
    };
    assert!(good.fits(192, 192));
    assert!(!good.fits(191, 192) && !good.fits(192, 193));
    type Change = fn(&mut Geometry);
    // With the number of elements that a careless product gives.
    let changes: [(&str, Change); 13] = [
        ("no rows of the kernel", |g| g.window.kernel[0] = 0),
        ("no columns of the kernel", |g| g.window.kernel[1] = 0),
        ("stride 0", |g| g.window.stride[0] = 0),
        ("vertical dilation 0", |g| g.window.dilation[0] = 0),
        ("horizontal dilation 0", |g| g.window.dilation[1] = 0),
        ("fewer rows", |g| g.output.h -= 1),
        ("more columns", |g| g.output.w += 1),
        ("another stride", |g| g.window.stride[1] = 2),
        ("no channels", |g| g.input.c = 0),
        ("no filters", |g| g.output.c = 0),
        ("an input beyond 32 bits", |g| g.input.c = 1 << 28),
        ("a large pad", |g| {
            g.window.pad_before[0] = 1 << 30;
            g.window.stride[0] = 1 << 20;
            g.output.h = 1025;
        }),
        ("a kernel larger than the padded input", |g| {
            g.window.kernel[0] = 11
        }),
    ];
    for (what, change) in changes {
        let mut bad = good;
        change(&mut bad);
        let [input, output] =
            [bad.input, bad.output].map(|s| s.h.wrapping_mul(s.w).wrapping_mul(s.c));
        assert!(!bad.fits(input as usize, output as usize), "{what}");
    }
}
