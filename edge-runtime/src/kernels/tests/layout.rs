//! Operators that move elements.

use super::*;
use crate::model::Rescale;

proptest! {
    #[test]
    fn shuffles_follow_their_definition((n, groups, per_group) in (1usize..5, 1usize..5, 1usize..5), seed: u64) {
        let p = ShuffleParams { channels: groups * per_group, groups };
        let x = values(n * p.channels, seed);
        for kernels in available() {
            let mut out = vec![0; x.len()];
            kernels.shuffle(&p, &x, &mut out);
            for (i, q) in out.iter().enumerate() {
                let (pixel, j) = (i / p.channels, i % p.channels);
                let from = j % groups * per_group + j / groups;
                prop_assert_eq!(*q, x[pixel * p.channels + from], "{}", kernels.name());
            }
        }
    }

    #[test]
    fn slice_undoes_pad(
        (h, w, c) in (1u32..6, 1u32..6, 1u32..6), before in [0u32..3, 0..3, 0..3], after in [0u32..3, 0..3, 0..3], seed: u64,
    ) {
        let small = Shape::new(h, w, c);
        let large = Shape::new(h + before[0] + after[0], w + before[1] + after[1], c + before[2] + after[2]);
        let x: Vec<i8> = values(small.len(), seed).into_iter().map(|v| if v == 9 { 8 } else { v }).collect();
        for kernels in available() {
            let (mut padded, mut back) = (vec![0; large.len()], vec![0; small.len()]);
            kernels.pad(&PadParams { input: small, output: large, before, zero_point: 9 }, &x, &mut padded);
            let slice = SliceParams { input: large, output: small, start: before, step: [1, 1] };
            kernels.slice(&slice, &padded, &mut back);
            prop_assert_eq!(&back, &x, "{}", kernels.name());
            let zeros = padded.iter().filter(|v| **v == 9).count();
            prop_assert_eq!(zeros, large.len() - small.len(), "{}", kernels.name());
        }
    }

    #[test]
    fn concat_fills_its_channels(
        (n, a, b) in (1usize..10, 1usize..9, 1usize..9), multiplier in -1i32 << 22..=1 << 22, shift in 1u8..=30,
        zero_points: [i8; 2], seed: u64,
    ) {
        let (x, y) = (values(n * a, seed), values(n * b, seed ^ 3));
        let part = |channels, first_channel, rescale| ConcatPart {
            channels, rescale, zero_points, output_channels: a + b, first_channel,
        };
        let by = Rescale { multiplier, shift };
        let to = |q: &i8, by: Rescale| {
            scaled(*q as i64 - zero_points[0] as i64, by.multiplier, by.shift, zero_points[1], FULL)
        };
        for kernels in available() {
            let mut out = vec![0; n * (a + b)];
            kernels.concat_part(&part(a, 0, Rescale::ONE), &x, &mut out);
            kernels.concat_part(&part(b, a, by), &y, &mut out);
            for (i, pixel) in out.chunks_exact(a + b).enumerate() {
                let first = x[i * a..][..a].iter().map(|q| to(q, Rescale::ONE));
                let second = y[i * b..][..b].iter().map(|q| to(q, by));
                let expected: Vec<i8> = first.chain(second).collect();
                prop_assert_eq!(pixel, &expected, "{}", kernels.name());
            }
        }
    }
}

#[test]
fn a_strided_slice_picks_every_second() {
    let x: Vec<i8> = (0..24).collect();
    let p = SliceParams {
        input: Shape::new(3, 4, 2),
        output: Shape::new(2, 2, 1),
        start: [0, 1, 1],
        step: [2, 2],
    };
    for kernels in available() {
        let mut out = vec![0; 4];
        kernels.slice(&p, &x, &mut out);
        assert_eq!(out, [3, 7, 19, 23], "{}", kernels.name());
    }
}
