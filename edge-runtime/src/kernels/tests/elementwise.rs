//! Sums, products and functions of single elements.

use super::*;

proptest! {
    #[test]
    fn add_follows_its_definition(
        len in 1usize..100, zero_points: [i8; 2],
        ma in -1i32 << 21..=1 << 21, mb in -1i32 << 21..=1 << 21, shift in 1u8..=30, zp: i8, low: i8, seed: u64,
    ) {
        let clamp = [low, i8::MAX];
        let p = AddParams { zero_points, multipliers: [ma, mb], shift, output_zero_point: zp, clamp };
        let (a, b) = (values(len, seed), values(len, seed ^ 3));
        let [za, zb] = zero_points.map(i64::from);
        let sum = |(a, b): (&i8, &i8)| (*a as i64 - za) * ma as i64 + (*b as i64 - zb) * mb as i64;
        let expected: Vec<i8> = a.iter().zip(&b).map(|pair| scaled(sum(pair), 1, shift, zp, clamp)).collect();
        for kernels in available() {
            let (mut out, mut in_place) = (vec![0; len], a.clone());
            kernels.add(&p, &a, &b, &mut out);
            prop_assert_eq!(&out, &expected, "{}", kernels.name());
            kernels.add_in_place(&p, &mut in_place, &b);
            prop_assert_eq!(&in_place, &expected, "{}", kernels.name());
        }
    }

    #[test]
    fn products_follow_their_definition(
        (h, w, c) in (1u32..5, 1u32..5, 1u32..9), per_channel: bool, zero_points: [i8; 2],
        multiplier in 1i32 << 30..=i32::MAX, shift in 1u8..=62, zp: i8, seed: u64,
    ) {
        let shape = Shape::new(h, w, c);
        let p = MulParams { zero_points, multiplier, shift, output_zero_point: zp };
        let a = values(shape.len(), seed);
        let b = values(if per_channel { c as usize } else { shape.len() }, seed ^ 9);
        let [za, zb] = zero_points.map(i64::from);
        let expected: Vec<i8> = a.iter().enumerate().map(|(i, a)| {
            let product = (*a as i64 - za) * (b[i % b.len()] as i64 - zb);
            scaled(product, multiplier, shift, zp, FULL)
        }).collect();
        for kernels in available() {
            let (mut out, mut in_place) = (vec![0; a.len()], a.clone());
            kernels.mul(&p, &a, &b, &mut out);
            prop_assert_eq!(&out, &expected, "{}", kernels.name());
            kernels.mul_in_place(&p, &mut in_place, &b);
            prop_assert_eq!(&in_place, &expected, "{}", kernels.name());
        }
    }

    #[test]
    fn prelu_follows_its_definition(
        slopes in proptest::collection::vec(-1i32 << 22..=1 << 22, 1..9), n in 1usize..9,
        positive in 0i32..=1 << 22, shift in 1u8..=30, zps: [i8; 2], seed: u64,
    ) {
        let p = PReluParams {
            slopes: &slopes, positive, shift, input_zero_point: zps[0], output_zero_point: zps[1],
        };
        let x = values(n * slopes.len(), seed);
        let expected: Vec<i8> = x.iter().enumerate().map(|(i, q)| {
            let v = *q as i64 - zps[0] as i64;
            let m = if v > 0 { positive } else { slopes[i % slopes.len()] };
            scaled(v, m, shift, zps[1], FULL)
        }).collect();
        for kernels in available() {
            let (mut out, mut in_place) = (vec![0; x.len()], x.clone());
            kernels.prelu(&p, &x, &mut out);
            prop_assert_eq!(&out, &expected, "{}", kernels.name());
            kernels.prelu_in_place(&p, &mut in_place);
            prop_assert_eq!(&in_place, &expected, "{}", kernels.name());
        }
    }

    #[test]
    fn maps_look_up(len in 0usize..50, seed: u64) {
        let (table, x) = (values(256, seed), values(len, seed ^ 1));
        let p = MapParams { table: &table };
        let expected: Vec<i8> = x.iter().map(|q| table[(*q as u8 ^ 0x80) as usize]).collect();
        for kernels in available() {
            let (mut out, mut in_place) = (vec![0; len], x.clone());
            kernels.map(&p, &x, &mut out);
            prop_assert_eq!(&out, &expected, "{}", kernels.name());
            kernels.map_in_place(&p, &mut in_place);
            prop_assert_eq!(&in_place, &expected, "{}", kernels.name());
        }
    }
}
