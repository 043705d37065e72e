//! Writes the linker's memory map: QEMU's mps2-an386 for Cortex-M4, mps2-an521 for Cortex-M33,
//! mps3-an547 for Cortex-M55.

use std::{env, fs, path::PathBuf};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let m55 = env::var_os("CARGO_FEATURE_M55").is_some();
    let m33 = target.starts_with("thumbv8m") && !m55;
    let (code, len, data) = match (m33, m55) {
        (true, _) => ("0x10000000", "1M", "0x38000000"),
        (_, true) => ("0x00000000", "512K", "0x21000000"),
        _ => ("0x00000000", "1M", "0x20000000"),
    };
    let map = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {code}, LENGTH = {len}\n  RAM : ORIGIN = {data}, LENGTH = 4M\n}}\n"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), map).expect("OUT_DIR can be written to");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
