//! Writes the linker's memory map: QEMU's mps2-an386 for Cortex-M4, mps2-an521 for Cortex-M33.

use std::{env, fs, path::PathBuf};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let m33 = target.starts_with("thumbv8m");
    println!("cargo:rustc-check-cfg=cfg(m33)");
    if m33 {
        println!("cargo:rustc-cfg=m33");
    }
    let (code, data) = match m33 {
        true => ("0x10000000", "0x38000000"),
        false => ("0x00000000", "0x20000000"),
    };
    let map = format!(
        "MEMORY {{\n  FLASH : ORIGIN = {code}, LENGTH = 1M\n  RAM : ORIGIN = {data}, LENGTH = 4M\n}}\n"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), map).expect("OUT_DIR can be written to");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
