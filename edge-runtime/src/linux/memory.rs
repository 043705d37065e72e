//! How much RAM the machine has.

/// Bytes of RAM of this machine, as its kernel tells; no limit, if it does not.
pub fn memory_total() -> usize {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    told.and_then(|text| total(&text)).unwrap_or(usize::MAX)
}

/// `MemTotal` of `/proc/meminfo`, whose unit is 1024 bytes.
fn total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells() {
        let text = "MemTotal:       24689396 kB\nMemFree:        17038392 kB\n";
        assert_eq!(total(text), Some(24_689_396 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(total("MemTotal: many kB\n"), None);
        assert!(memory_total() > 1 << 20);
    }
}
