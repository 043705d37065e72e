//! Numbers for people.

/// `4.65 M`, `385 M`, `12.3 k`: a count with three digits.
pub fn count(n: u64) -> String {
    let scaled = [(1e9, " G"), (1e6, " M"), (1e3, " k")]
        .into_iter()
        .find(|(s, _)| n as f64 >= *s);
    match scaled {
        Some((scale, unit)) => format!("{}{unit}", three(n as f64 / scale)),
        None => n.to_string(),
    }
}

/// `4.9 MiB`, `312 KiB`, `96 B`.
pub fn bytes(n: u64) -> String {
    let scaled = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(s, _)| n >= 1 << s);
    match scaled {
        Some((shift, unit)) => format!("{} {unit}", three(n as f64 / (1u64 << shift) as f64)),
        None => format!("{n} B"),
    }
}

/// `93.4 %`.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// `12.34`: microseconds as milliseconds.
pub fn milliseconds(microseconds: u64) -> String {
    format!("{:.2}", microseconds as f64 / 1e3)
}

/// `0c5f…`: bytes in hexadecimal, all of them.
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn three(v: f64) -> String {
    let digits = if v < 9.995 {
        2
    } else if v < 99.95 {
        1
    } else {
        0
    };
    format!("{v:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        assert_eq!(
            [0, 999, 4_652_008, 385_000_000].map(count),
            ["0", "999", "4.65 M", "385 M"]
        );
        assert_eq!(
            [96, 2048, 99_999_999].map(bytes),
            ["96 B", "2.00 KiB", "95.4 MiB"]
        );
    }
}
