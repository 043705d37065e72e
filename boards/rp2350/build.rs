fn main() {
    // Before `link.x`, which reads the start of the code from it.
    println!("cargo:rerun-if-changed=image.x");
    println!(
        "cargo:rustc-link-arg-bins=-T{}/image.x",
        env!("CARGO_MANIFEST_DIR")
    );
    memory_map::emit();
}
