//! Local response normalization.

use super::*;
use crate::model::norm_table::NormTable;

/// Compares all families with the definition. `entry_and_part` is the place of a sum of squares in the table, in
/// whole entries and 256ths.
fn check(
    p: &NormParams<'_>,
    x: &[i8],
    entry_and_part: impl Fn(i64) -> (usize, i64),
) -> Result<(), TestCaseError> {
    let (channels, size) = (p.channels, p.size);
    for kernels in available() {
        let mut out = vec![0; x.len()];
        kernels.norm(p, x, &mut out);
        for (i, q) in out.iter().enumerate() {
            let (pixel, c) = (i / channels * channels, i % channels);
            let centred = |j: usize| x[pixel + j] as i64 - p.input_zero_point as i64;
            let near = |j: &usize| *j + (size - 1) / 2 >= c && *j <= c + size / 2;
            let sum: i64 = (0..channels).filter(near).map(|j| centred(j).pow(2)).sum();
            let (entry, part) = entry_and_part(sum);
            let [low, high] = [p.table[entry] as i64, p.table[entry + 1] as i64];
            let factor = low + ((high - low) * part).div_euclid(256);
            let expected = scaled(centred(c) * factor, 1, p.shift, p.output_zero_point, FULL);
            prop_assert_eq!(*q, expected, "{}", kernels.name());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_even_table_follows_its_definition(
        (pixels, c, size) in (1usize..4, 1usize..20, 1usize..8), more in 0u8..3,
        table in proptest::collection::vec(0i32..=1 << 22, 257), shift in 1u8..=30, zps: [i8; 2], seed: u64,
    ) {
        let index_shift = 8 + size.next_power_of_two().ilog2() as u8 + more;
        let p = NormParams {
            channels: c, size, table: &table, spacing: NormTable::new(index_shift), shift,
            input_zero_point: zps[0], output_zero_point: zps[1],
        };
        check(&p, &values(pixels * c, seed), |sum| {
            ((sum >> index_shift) as usize, (sum >> (index_shift - 8)) % 256)
        })?;
    }

    #[test]
    fn octaves_follow_their_definition(
        (pixels, c, size) in (1usize..4, 1usize..20, 1usize..40), bits in 0u8..8, shift in 1u8..=30,
        table in proptest::collection::vec(0i32..=1 << 22, 3000), zps: [i8; 2], seed: u64,
    ) {
        let spacing = NormTable::new(bits);
        let entries = spacing.entries(size as u32, c as u32).unwrap();
        let p = NormParams {
            channels: c, size, table: &table[..entries], spacing, shift,
            input_zero_point: zps[0], output_zero_point: zps[1],
        };
        check(&p, &values(pixels * c, seed), |sum| {
            // With a logarithm for the leading zeros.
            let octave = if sum < 1 << bits { 0 } else { sum.ilog2() - bits as u32 };
            let entry = ((octave as usize) << bits) + (sum >> octave) as usize;
            (entry, sum % (1 << octave) * 256 / (1 << octave))
        })?;
    }
}
