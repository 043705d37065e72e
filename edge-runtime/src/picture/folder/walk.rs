//! The files of a folder and the folders in it: which are pictures, and which are left out.

use super::{DatasetError, LeftOut, read_error};
use crate::picture::image_file::{FORMATS, HEAD, kind, reads};
use std::ffi::OsStr;
use std::fs::{self, File, FileType};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Deepest nesting of folders.
const MAX_DEPTH: usize = 32;

/// Ends of names that say that a file is a picture. The content of others is looked at.
const PICTURES: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "pnm",
];

/// Pictures that are not read, whatever their content looks like.
const OTHER_PICTURES: &[&str] = &[
    "heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpx", "svg", "ico", "psd", "tga", "exr",
    "hdr", "qoi", "pbm", "pam",
];

/// A camera's raw pictures. Many look like TIFF, of which the first page is a small preview.
const RAW_PICTURES: &[&str] = &[
    "dng", "nef", "nrw", "cr2", "cr3", "crw", "arw", "srf", "sr2", "srw", "orf", "rw2", "raf",
    "pef", "raw", "rwl", "iiq", "3fr", "erf", "mef", "mos", "kdc", "dcr", "x3f",
];

/// Ends of names of other files that are common in data sets.
const HARMLESS: &[&str] = &[
    "txt", "md", "rst", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "cfg",
    "log", "html", "htm", "css", "js", "py", "ipynb", "sh", "db", "lnk", "url", "md5", "sha256",
    "sig", "names", "xmp", "aae", "edge", "onnx", "tflite",
];

/// Folder that macOS puts into zip files, of the files' attributes.
const MACOS: &str = "__MACOSX";

/// An entry of a folder.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Of the entry itself, be it a link.
    kind: FileType,
}

/// Sorted entries of a folder without what is hidden (but for pictures, see [`judge`]) and [`MACOS`].
pub(super) fn entries(dir: &Path) -> Result<Vec<Entry>, DatasetError> {
    let mut all = vec![];
    for entry in fs::read_dir(dir).map_err(read_error(dir))? {
        let entry = entry.map_err(read_error(dir))?;
        let kind = entry.file_type().map_err(read_error(dir))?;
        let path = entry.path();
        // macOS writes attributes of x beside it, as ._x.
        let attributes = entry.file_name().as_encoded_bytes().starts_with(b"._");
        let no_picture = kind.is_dir() || attributes || !named(&path, PICTURES);
        let passed_over = hidden(&path) && no_picture || path.ends_with(MACOS);
        if !passed_over {
            all.push(Entry { path, kind });
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// What is in a folder.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) pictures: Vec<PathBuf>,
    pub(super) left_out: Option<LeftOut>,
}

/// The pictures in `dir` and below; links to folders are not followed, so it ends.
pub(super) fn collect(dir: &Path) -> Result<Contents, DatasetError> {
    let mut contents = Contents::default();
    below(dir, 0, &mut contents)?;
    Ok(contents)
}

fn below(dir: &Path, depth: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    for entry in entries(dir)? {
        let mut leave = |why: &str| LeftOut::add(&mut contents.left_out, &entry.path, why);
        if entry.kind.is_dir() {
            match depth < MAX_DEPTH {
                true => below(&entry.path, depth + 1, contents)?,
                false => leave("a folder in too many others"),
            }
            continue;
        }
        match judge(&entry) {
            Found::Picture => contents.pictures.push(entry.path),
            Found::LeftOut(why) => leave(&why),
            Found::Nothing => {}
        }
    }
    Ok(())
}

/// What an entry that is no folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Picture,
    /// Not used, and why.
    LeftOut(String),
    /// Not a picture.
    Nothing,
}

pub(super) fn judge(entry: &Entry) -> Found {
    let path = &entry.path;
    let left_out = |why: &str| Found::LeftOut(why.into());
    let picture = named(path, PICTURES);
    let mut regular = entry.kind.is_file();
    if entry.kind.is_symlink() {
        match fs::metadata(path) {
            Ok(m) if m.is_dir() => return left_out("a link to a folder, which is not followed"),
            Ok(m) => regular = m.is_file(),
            Err(_) if named(path, HARMLESS) => return Found::Nothing,
            Err(_) => return left_out("a link to a file that is not there"),
        }
    }
    match (picture, regular) {
        (true, true) if hidden(path) => left_out("its name begins with a dot, so it is hidden"),
        (true, true) => Found::Picture,
        (true, false) => left_out("not a regular file"),
        (false, true) if !named(path, HARMLESS) => by_content(path),
        (false, _) => Found::Nothing,
    }
}

/// Judges a file by its content, because its name does not tell what it is.
fn by_content(path: &Path) -> Found {
    let unread = |what: &str| Found::LeftOut(format!("{what}; {FORMATS} are read"));
    let raw = named(path, RAW_PICTURES);
    let known = raw || named(path, OTHER_PICTURES);
    let mut head = Vec::with_capacity(HEAD);
    let read = File::open(path).and_then(|f| f.take(HEAD as u64).read_to_end(&mut head));
    if let Err(e) = read {
        return Found::LeftOut(format!("cannot read it: {e}"));
    }
    // A JPEG that is called .heic is one; a raw picture that looks like TIFF is none.
    if reads(&head) && !(raw && (head.starts_with(b"II") || head.starts_with(b"MM"))) {
        return Found::Picture;
    }
    match kind(&head) {
        Some(kind) => unread(kind),
        None if raw => unread("a camera's raw picture"),
        None if known => unread("not a picture that is read"),
        None if is_text(&head) => Found::Nothing,
        None => unread("not a picture that is read"),
    }
}

/// True if the bytes are the beginning of a text, or empty.
fn is_text(head: &[u8]) -> bool {
    let mut chunks = head.utf8_chunks();
    let text = chunks.next().map_or("", |c| c.valid());
    // The last character may be cut off.
    text.len() + 3 >= head.len() && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// True if the name ends with a dot and one of these, in upper or lower case.
fn named(path: &Path, ends: &[&str]) -> bool {
    let is = |end: &OsStr| ends.iter().any(|e| end.eq_ignore_ascii_case(e));
    path.extension().is_some_and(is)
}

/// True if the name begins with a dot.
fn hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
