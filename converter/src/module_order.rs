//! Checks that modules know only what is below them, in the order of the crate's documentation.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate from bottom to top. A module may use those of the rows before its own.
const ORDER: [&[&str]; 9] = [
    &["util", "dataset"],
    &["graph"],
    &["import", "passes", "quantize"],
    &["zoo"],
    &["lower"],
    &["compress"],
    &["pack"],
    &["board"],
    &["jobs"],
];

/// Row of a module.
fn row(module: &str) -> usize {
    let row = ORDER.iter().position(|row| row.contains(&module));
    row.unwrap_or_else(|| panic!("module '{module}' has no place in the order"))
}

/// The source files of a folder that are not only for tests.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let texts = entries
        .iter()
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap());
    let declared: String = texts.collect();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let for_tests = |visibility| format!("#[cfg(test)]\n{visibility}mod {name};");
        if ["", "pub(crate) "]
            .iter()
            .any(|v| declared.contains(&for_tests(v)))
        {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The modules of this crate that code uses, outside of comments and tests.
fn used(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|l| [l, "\n"]).collect();
    let mut all = vec![];
    for path in code.split("crate::").skip(1) {
        let end = |c: char| !c.is_alphanumeric() && c != '_';
        match path.strip_prefix('{') {
            // `use crate::{a, b::c};`
            Some(list) => {
                let list = list.split('}').next().unwrap();
                let names = list.split(',').filter_map(|m| m.trim().split(end).next());
                all.extend(names.filter(|m| !m.is_empty()).map(String::from));
            }
            None => all.extend(path.split(end).next().map(String::from)),
        }
    }
    all
}

#[test]
fn modules_use_only_what_is_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let mut upward = vec![];
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let module = path.iter().next().unwrap().to_str().unwrap();
        if module == "lib.rs" {
            continue;
        }
        for other in used(&fs::read_to_string(&file).unwrap()) {
            if other != module && row(&other) >= row(module) {
                upward.push(format!("{}: crate::{other}", path.display()));
            }
        }
    }
    assert_eq!(upward, [""; 0]);
}

#[test]
fn uses_are_found() {
    let code = "use crate::graph::{Graph, Op};\nuse crate::{lower, passes::fold};\n// crate::jobs\n\
        fn f() { crate::zoo::build() }\n#[cfg(test)]\nmod tests {\n    use crate::board;\n}\n";
    assert_eq!(used(code), ["graph", "lower", "passes", "zoo"]);
}
