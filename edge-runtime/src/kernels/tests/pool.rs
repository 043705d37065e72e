//! Pooling.

use super::*;

proptest! {
    #[test]
    fn pools_follow_their_definitions(
        (h, w, c) in (1u32..8, 1u32..8, 1u32..260), window in window(), zps: [i8; 2], seed: u64, count_padding: bool,
    ) {
        // As in a checked model: no dilation, and padding smaller than the kernel.
        let small = |pad: [u32; 2]| [pad[0].min(window.kernel[0] - 1), pad[1].min(window.kernel[1] - 1)];
        let window = Window {
            dilation: [1, 1], pad_before: small(window.pad_before), pad_after: small(window.pad_after), ..window
        };
        let input = Shape::new(h, w, c);
        let Some(g) = geometry(input, window, c) else { return Ok(()) };
        let x = values(input.len(), seed);
        let area = window.kernel[0] * window.kernel[1];
        let by_count: Vec<i32> = (1..=area as i32).map(|n| (1 << 20) / n).collect();
        let one = count_padding || window.is_unpadded();
        let p = AvgPoolParams {
            geometry: g,
            multipliers: if one { &by_count[area as usize - 1..] } else { &by_count },
            shift: 20,
            input_zero_point: zps[0],
            output_zero_point: zps[1],
        };
        for kernels in available() {
            let (mut max, mut avg) = (vec![0; g.output.len()], vec![0; g.output.len()]);
            kernels.max_pool(&g, &x, &mut max);
            kernels.avg_pool(&p, &x, &mut avg);
            for (i, (yx, o)) in positions(g.output).enumerate() {
                let under: Vec<i64> = taps(&window).filter_map(|k| at(&g, &x, yx, k, o)).map(i64::from).collect();
                prop_assert_eq!(max[i] as i64, *under.iter().max().unwrap(), "{}", kernels.name());
                let sum: i64 = under.iter().map(|q| q - zps[0] as i64).sum();
                let n = if one { area as usize } else { under.len() };
                prop_assert_eq!(avg[i], scaled(sum, by_count[n - 1], 20, zps[1], FULL), "{}", kernels.name());
            }
        }
    }
}
