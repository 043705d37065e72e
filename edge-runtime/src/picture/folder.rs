//! Folders of pictures: class folders, a `labels.csv`, or just pictures; and even subsets of them.
//!
//! Only names are read here, no picture is opened. The order is the same on every machine.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Pictures and what they show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Names of the classes, sorted; empty if classes are only numbers (`labels.csv`) or unknown.
    pub classes: Vec<String>,
    /// The pictures: sorted, or in the order of `labels.csv`. Never empty.
    pub items: Vec<Item>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its file.
    pub path: PathBuf,
    /// Index of its class, if known.
    pub class: Option<usize>,
}

/// Why a folder is not a data set.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A folder or `labels.csv` cannot be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The path is not a folder.
    #[error("{}: not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// There is nothing to use in the folder.
    #[error("{}: no .jpg, .jpeg or .png picture in this folder", .0.display())]
    Empty(PathBuf),
    /// There are pictures, but nothing says what they show.
    #[error("{}: neither class folders nor a labels.csv (columns file,class_index) in it", .0.display())]
    NoLabels(PathBuf),
    /// A class folder without pictures would be a class that nothing shows.
    #[error("{}: class folder without a .jpg, .jpeg or .png picture; add some or remove it", .0.display())]
    EmptyClass(PathBuf),
    /// `labels.csv` says something impossible.
    #[error("{}, line {line}: {problem}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A class that the model does not have.
    #[error("{}: class index {class}, but the model has {count} classes (0 to {})", path.display(), count.saturating_sub(1))]
    NoSuchClass {
        /// The picture.
        path: PathBuf,
        /// Its class.
        class: usize,
        /// How many there are.
        count: usize,
    },
}

/// Longest `labels.csv`, in bytes.
const MAX_LABELS: u64 = 64 << 20;
/// Deepest nesting of folders.
const MAX_DEPTH: usize = 32;

impl Dataset {
    /// A labelled set: a folder with `labels.csv` (columns `file` and `class_index`, found by name),
    /// or one with a folder for each class, whose sorted names are the classes.
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        check_folder(dir)?;
        let labels = dir.join("labels.csv");
        if labels.is_file() {
            return from_labels(dir, &labels);
        }
        let folders: Vec<PathBuf> = entries(dir)?.into_iter().filter(|p| p.is_dir()).collect();
        if folders.is_empty() {
            let any = entries(dir)?.iter().any(|p| is_picture(p));
            return Err(if any {
                DatasetError::NoLabels(dir.into())
            } else {
                DatasetError::Empty(dir.into())
            });
        }
        let mut dataset = Dataset {
            classes: vec![],
            items: vec![],
        };
        for (class, folder) in folders.iter().enumerate() {
            let mut paths = vec![];
            collect(folder, 0, &mut paths)?;
            if paths.is_empty() {
                return Err(DatasetError::EmptyClass(folder.clone()));
            }
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            dataset.classes.push(name.into_owned());
            dataset.items.extend(paths.into_iter().map(|path| Item {
                path,
                class: Some(class),
            }));
        }
        Ok(dataset)
    }

    /// All pictures of a folder and the folders in it, without classes.
    pub fn pictures(dir: &Path) -> Result<Self, DatasetError> {
        check_folder(dir)?;
        let mut paths = vec![];
        collect(dir, 0, &mut paths)?;
        if paths.is_empty() {
            return Err(DatasetError::Empty(dir.into()));
        }
        let items = paths
            .into_iter()
            .map(|path| Item { path, class: None })
            .collect();
        Ok(Dataset {
            classes: vec![],
            items,
        })
    }

    /// Fails for the first picture whose class is not below `count`.
    pub fn check_classes(&self, count: usize) -> Result<(), DatasetError> {
        for item in &self.items {
            if let Some(class) = item.class.filter(|&c| c >= count) {
                return Err(DatasetError::NoSuchClass {
                    path: item.path.clone(),
                    class,
                    count,
                });
            }
        }
        Ok(())
    }

    /// `n` of the pictures (all, if there are fewer), as many of each class as possible, spread evenly
    /// over the classes and over the pictures of each class; order kept, always the same choice.
    pub fn subset(&self, n: usize) -> Dataset {
        let mut classes: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (i, item) in self.items.iter().enumerate() {
            classes.entry(item.class).or_default().push(i);
        }
        let members: Vec<Vec<usize>> = classes.into_values().collect();
        let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
        let quotas = quotas(&sizes, n);
        let mut chosen: Vec<usize> = vec![];
        for (members, &quota) in members.iter().zip(&quotas) {
            chosen.extend(spread(members.len(), quota).map(|i| members[i]));
        }
        chosen.sort_unstable();
        Dataset {
            classes: self.classes.clone(),
            items: chosen.into_iter().map(|i| self.items[i].clone()).collect(),
        }
    }
}

/// `count` indices, evenly spread over `0..len`; `count <= len`.
fn spread(len: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |j| (2 * j + 1) * len / (2 * count))
}

/// How many to take of each class: equal shares, what small classes cannot give goes to the others,
/// and a remainder goes to evenly spread classes.
fn quotas(sizes: &[usize], n: usize) -> Vec<usize> {
    let mut quotas = vec![0; sizes.len()];
    let mut left = n.min(sizes.iter().sum());
    while left > 0 {
        let open: Vec<usize> = (0..sizes.len()).filter(|&c| quotas[c] < sizes[c]).collect();
        if left < open.len() {
            spread(open.len(), left).for_each(|i| quotas[open[i]] += 1);
            break;
        }
        let share = left / open.len();
        for c in open {
            let take = share.min(sizes[c] - quotas[c]);
            quotas[c] += take;
            left -= take;
        }
    }
    quotas
}

fn read_error(path: &Path) -> impl Fn(std::io::Error) -> DatasetError {
    move |source| DatasetError::Read {
        path: path.into(),
        source,
    }
}

fn check_folder(dir: &Path) -> Result<(), DatasetError> {
    let metadata = fs::metadata(dir).map_err(read_error(dir))?;
    if metadata.is_dir() {
        Ok(())
    } else {
        Err(DatasetError::NotAFolder(dir.into()))
    }
}

/// Folder that macOS puts into zip files, of the files' attributes.
const MACOS: &str = "__MACOSX";

/// Sorted entries of a folder without the hidden ones and [`MACOS`].
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut paths = vec![];
    for entry in fs::read_dir(dir).map_err(read_error(dir))? {
        let entry = entry.map_err(read_error(dir))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && name != MACOS {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Appends the pictures in `dir` and below; links to folders are not followed, so it ends.
fn collect(dir: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    for path in entries(dir)? {
        if path.is_dir() {
            if depth < MAX_DEPTH && !path.is_symlink() {
                collect(&path, depth + 1, paths)?;
            }
        } else if is_picture(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let known = |e: &std::ffi::OsStr| {
        ["jpg", "jpeg", "png"]
            .iter()
            .any(|k| e.eq_ignore_ascii_case(k))
    };
    path.extension().is_some_and(known) && path.is_file()
}

fn from_labels(dir: &Path, csv: &Path) -> Result<Dataset, DatasetError> {
    let wrong = |line: usize, problem: String| DatasetError::Labels {
        path: csv.into(),
        line,
        problem,
    };
    let length = fs::metadata(csv).map_err(read_error(csv))?.len();
    if length > MAX_LABELS {
        return Err(wrong(
            1,
            format!("{length} bytes, more than the limit of {MAX_LABELS}"),
        ));
    }
    let text = fs::read_to_string(csv).map_err(read_error(csv))?;
    let mut records = Records::new(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let (_, header) = records
        .next()
        .ok_or_else(|| wrong(1, "no header row".into()))?
        .map_err(|(l, p)| wrong(l, p))?;
    let column = |name: &str| {
        let at = header.iter().position(|h| h.trim() == name);
        at.ok_or_else(|| wrong(1, format!("no column '{name}' in the header row")))
    };
    let (file_column, class_column) = (column("file")?, column("class_index")?);
    let mut items = vec![];
    let mut listed = HashSet::new();
    for record in records {
        let (line, fields) = record.map_err(|(l, p)| wrong(l, p))?;
        let (Some(file), Some(class)) = (fields.get(file_column), fields.get(class_column)) else {
            return Err(wrong(
                line,
                format!(
                    "{} fields, the header row has {}",
                    fields.len(),
                    header.len()
                ),
            ));
        };
        let class: u32 = class.trim().parse().map_err(|_| {
            wrong(
                line,
                format!("class_index '{class}' is not a number from 0"),
            )
        })?;
        let relative = Path::new(file);
        let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if file.is_empty() || !relative.components().all(inside) {
            return Err(wrong(
                line,
                format!("'{file}' is not a file of this folder"),
            ));
        }
        let path = dir.join(relative);
        if !path.is_file() {
            return Err(wrong(
                line,
                format!("there is no file '{file}' in the folder"),
            ));
        }
        if !listed.insert(path.clone()) {
            return Err(wrong(line, format!("'{file}' is listed before already")));
        }
        items.push(Item {
            path,
            class: Some(class as usize),
        });
    }
    if items.is_empty() {
        return Err(wrong(1, "no pictures listed".into()));
    }
    Ok(Dataset {
        classes: vec![],
        items,
    })
}

/// Records of a CSV text (RFC 4180): each with the line it starts on; blank lines are left out.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            line: 1,
        }
    }

    /// A field up to the comma or line end that closes it.
    fn field(&mut self) -> Result<String, (usize, String)> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (field, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(field.trim_end_matches('\r').to_string());
        };
        let start = self.line;
        let mut field = String::new();
        let mut rest = quoted;
        loop {
            let Some(quote) = rest.find('"') else {
                return Err((start, "a quote is not closed".into()));
            };
            field.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            let Some(again) = rest.strip_prefix('"') else {
                break;
            };
            field.push('"');
            rest = again;
        }
        self.line += field.matches('\n').count();
        self.rest = rest.strip_prefix('\r').unwrap_or(rest);
        if self.rest.is_empty() || self.rest.starts_with([',', '\n']) {
            Ok(field)
        } else {
            Err((start, "text after a closing quote".into()))
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<(usize, Vec<String>), (usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self
            .rest
            .strip_prefix("\r\n")
            .or(self.rest.strip_prefix('\n'))
        {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return None;
        }
        let start = self.line;
        let mut fields = vec![];
        loop {
            match self.field() {
                Ok(field) => fields.push(field),
                Err(e) => {
                    self.rest = "";
                    return Some(Err(e));
                }
            }
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => return Some(Ok((start, fields))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these (empty) files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        dir
    }

    fn names(dir: &Path, set: &Dataset) -> Vec<(String, Option<usize>)> {
        let name = |i: &Item| {
            i.path
                .strip_prefix(dir)
                .unwrap()
                .to_str()
                .unwrap()
                .to_string()
        };
        set.items.iter().map(|i| (name(i), i.class)).collect()
    }

    #[test]
    fn class_folders() {
        let dir = folder(&[
            "b/2.PNG",
            "b/1.jpg",
            "a/x.Jpeg",
            "a/deep/y.png",
            "b/notes.txt",
            ".hidden/z.jpg",
            "__MACOSX/b/._1.jpg",
            "b/._1.jpg",
            "top.jpg",
        ]);
        let set = Dataset::open(dir.path()).unwrap();
        assert_eq!(set.classes, ["a", "b"]);
        let expected = [
            ("a/deep/y.png", 0),
            ("a/x.Jpeg", 0),
            ("b/1.jpg", 1),
            ("b/2.PNG", 1),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, c)| (n.to_string(), Some(*c)))
            .collect();
        assert_eq!(names(dir.path(), &set), expected);
        assert!(set.check_classes(2).is_ok());
        let e = set.check_classes(1).unwrap_err().to_string();
        assert!(e.contains("1.jpg") && e.contains("class index 1"), "{e}");
    }

    #[test]
    fn labels_in_the_order_of_the_file() {
        let dir = folder(&["z.jpg", "sub/a, b.png", "c.jpg"]);
        let csv = "\u{feff}name,class_index,file\r\n\"the \"\"last\"\"\nletter\",7,z.jpg\r\n\r\n,0,\"sub/a, b.png\"\nx,3,c.jpg";
        fs::write(dir.path().join("labels.csv"), csv).unwrap();
        let set = Dataset::open(dir.path()).unwrap();
        let expected = [("z.jpg", 7), ("sub/a, b.png", 0), ("c.jpg", 3)];
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, c)| (n.to_string(), Some(*c)))
            .collect();
        assert_eq!(names(dir.path(), &set), expected);
    }

    #[test]
    fn bad_labels_name_the_line() {
        let dir = folder(&["a.jpg"]);
        let cases = [
            ("", "line 1: no header row"),
            ("file,label\na.jpg,0", "no column 'class_index'"),
            ("file,class_index\n", "no pictures listed"),
            (
                "file,class_index\na.jpg,0\nb.jpg,1",
                "line 3: there is no file 'b.jpg'",
            ),
            ("file,class_index\na.jpg,-1", "line 2: class_index '-1'"),
            (
                "file,class_index\na.jpg,99999999999",
                "line 2: class_index '99999999999'",
            ),
            ("file,class_index\n\n\na.jpg", "line 4: 1 fields"),
            (
                "file,class_index\n../a.jpg,0",
                "line 2: '../a.jpg' is not a file of this folder",
            ),
            (
                "file,class_index\n/etc/passwd,0",
                "is not a file of this folder",
            ),
            (
                "file,class_index\n\"a.jpg,0\n",
                "line 2: a quote is not closed",
            ),
            (
                "file,class_index\n\"a\"b,0\n",
                "line 2: text after a closing quote",
            ),
        ];
        for (csv, expected) in cases {
            fs::write(dir.path().join("labels.csv"), csv).unwrap();
            let e = Dataset::open(dir.path()).unwrap_err().to_string();
            assert!(e.contains(expected) && !e.contains('\n'), "{csv:?}: {e}");
        }
        fs::write(dir.path().join("labels.csv"), b"file,class_index\n\xff\xfe").unwrap();
        assert!(matches!(
            Dataset::open(dir.path()),
            Err(DatasetError::Read { .. })
        ));
    }

    #[test]
    fn nothing_to_use() {
        let missing = Dataset::open(Path::new("/nonexistent/pictures"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("/nonexistent/pictures"), "{missing}");
        let dir = folder(&["a.txt"]);
        assert!(matches!(
            Dataset::open(dir.path()),
            Err(DatasetError::Empty(_))
        ));
        assert!(matches!(
            Dataset::pictures(dir.path()),
            Err(DatasetError::Empty(_))
        ));
        assert!(matches!(
            Dataset::open(&dir.path().join("a.txt")),
            Err(DatasetError::NotAFolder(_))
        ));
        let dir = folder(&["a.jpg"]);
        assert!(matches!(
            Dataset::open(dir.path()),
            Err(DatasetError::NoLabels(_))
        ));
        let dir = folder(&["a/1.jpg", "b/readme.txt"]);
        let e = Dataset::open(dir.path()).unwrap_err();
        assert!(
            matches!(&e, DatasetError::EmptyClass(p) if p.ends_with("b")),
            "{e}"
        );
    }

    #[test]
    fn plain_pictures() {
        let dir = folder(&["b/1.jpg", "a.png", "c.gif"]);
        let set = Dataset::pictures(dir.path()).unwrap();
        assert_eq!(
            names(dir.path(), &set),
            [("a.png".to_string(), None), ("b/1.jpg".to_string(), None)]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end() {
        let dir = folder(&["a/1.jpg"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        assert_eq!(Dataset::pictures(dir.path()).unwrap().items.len(), 1);
    }

    #[test]
    fn quotas_are_balanced() {
        assert_eq!(quotas(&[10, 10, 10], 7), [2, 3, 2]);
        assert_eq!(quotas(&[1, 10, 10], 9), [1, 4, 4]);
        assert_eq!(quotas(&[1, 2, 0], 9), [1, 2, 0]);
        assert_eq!(quotas(&[5, 5], 0), [0, 0]);
        // One picture a class: every second class, not the first half.
        assert_eq!(quotas(&[1; 6], 3), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn subsets() {
        let item = |i: usize| Item {
            path: format!("{i:03}").into(),
            class: Some(i / 50),
        };
        let set = Dataset {
            classes: vec![],
            items: (0..200).map(item).collect(),
        };
        let some = set.subset(8);
        let chosen: Vec<_> = some
            .items
            .iter()
            .map(|i| i.path.to_str().unwrap())
            .collect();
        assert_eq!(
            chosen,
            ["012", "037", "062", "087", "112", "137", "162", "187"]
        );
        assert_eq!(set.subset(1000), set);
        assert_eq!(set.subset(200), set);
        for n in [1, 3, 99, 199] {
            assert_eq!(set.subset(n).items.len(), n);
        }
    }
}
