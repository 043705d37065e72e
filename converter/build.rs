//! Collects the boards that come with Graft, every `boards/NAME/board.toml`, for `src/board/known.rs`.

use std::path::Path;

fn main() {
    let var = |name| std::env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"));
    let boards = Path::new(&var("CARGO_MANIFEST_DIR")).join("../boards");
    let folders = std::fs::read_dir(&boards)
        .unwrap_or_else(|e| panic!("{}: cannot list the boards: {e}", boards.display()));
    let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = folders.map(|folder| folder.join("board.toml")).collect();
    files.retain(|file| file.is_file());
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        // Not for the whole folder: firmware is there as well, which would build the converter anew at every change.
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.parent().and_then(Path::file_name).unwrap_or_default();
        let name = name.to_string_lossy();
        list += &format!(
            "    ({name:?}, include_str!({:?})),\n",
            file.display().to_string()
        );
    }
    println!("cargo::rerun-if-changed=build.rs");
    let out = Path::new(&var("OUT_DIR")).join("boards.rs");
    std::fs::write(&out, list + "]\n")
        .unwrap_or_else(|e| panic!("{}: cannot write: {e}", out.display()));
}
