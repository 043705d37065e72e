//! Folders of pictures: class folders, a `labels.csv`, or just pictures; and subsets of them, spread evenly.
//!
//! No picture is decoded here. The name of a file tells whether it is a picture, or else its first bytes.
//! Files that may be pictures and are not used are counted. The order is the same on every machine.

mod labels;
mod left_out;
mod walk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::image_file::FORMATS;
use walk::{Found, collect, entries, judge};

pub use left_out::LeftOut;

/// Pictures and their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Names of the classes, sorted; empty if classes are only numbers (`labels.csv`) or unknown.
    pub classes: Vec<String>,
    /// The pictures: sorted, or in the order of `labels.csv`. Never empty.
    pub items: Vec<Item>,
    /// Files in the folder that may be pictures, but are not among the items.
    pub left_out: Option<LeftOut>,
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
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The path is not a folder.
    #[error("{}: not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The folder has no pictures.
    #[error("{}: no picture in this folder that is read ({FORMATS} are){}", .0.display(), left_out::but(.1))]
    Empty(PathBuf, Option<LeftOut>),
    /// The classes of the pictures are not known.
    #[error("{}: neither class folders nor a labels.csv (columns file,class_index) in it", .0.display())]
    NoLabels(PathBuf),
    /// A class folder has no pictures.
    #[error("{}: class folder without a picture that is read ({FORMATS} are); add some or remove it{}", .0.display(), left_out::but(.1))]
    EmptyClass(PathBuf, Option<LeftOut>),
    /// `labels.csv` has a mistake.
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

impl Dataset {
    /// A labelled set: a folder with `labels.csv` (columns `file` and `class_index`, found by name),
    /// or one with a folder for each class, whose sorted names are the classes.
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        check_folder(dir)?;
        let labels = dir.join("labels.csv");
        if labels.is_file() {
            return labels::read(dir, &labels);
        }
        let (folders, files): (Vec<_>, Vec<_>) =
            entries(dir)?.into_iter().partition(|e| e.path.is_dir());
        if folders.is_empty() {
            let found = collect(dir)?;
            return Err(match found.pictures.is_empty() {
                true => DatasetError::Empty(dir.into(), found.left_out),
                false => DatasetError::NoLabels(dir.into()),
            });
        }
        let mut dataset = Dataset {
            classes: vec![],
            items: vec![],
            left_out: None,
        };
        for file in files.iter().filter(|f| judge(f) == Found::Picture) {
            let why = "it lies beside the class folders, in none of them";
            LeftOut::add(&mut dataset.left_out, &file.path, why);
        }
        for (class, folder) in folders.into_iter().enumerate() {
            let found = collect(&folder.path)?;
            if found.pictures.is_empty() {
                return Err(DatasetError::EmptyClass(folder.path, found.left_out));
            }
            let name = folder.path.file_name().unwrap_or_default();
            dataset.classes.push(name.to_string_lossy().into_owned());
            LeftOut::join(&mut dataset.left_out, found.left_out);
            dataset
                .items
                .extend(found.pictures.into_iter().map(|path| Item {
                    path,
                    class: Some(class),
                }));
        }
        Ok(dataset)
    }

    /// All pictures of a folder and the folders in it, without classes.
    pub fn pictures(dir: &Path) -> Result<Self, DatasetError> {
        check_folder(dir)?;
        let found = collect(dir)?;
        if found.pictures.is_empty() {
            return Err(DatasetError::Empty(dir.into(), found.left_out));
        }
        let item = |path| Item { path, class: None };
        Ok(Dataset {
            classes: vec![],
            items: found.pictures.into_iter().map(item).collect(),
            left_out: found.left_out,
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

    /// `n` of the pictures (all, if there are fewer), spread evenly over the classes and over the pictures of
    /// each class. Keeps the order, and always makes the same choice.
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
            left_out: self.left_out.clone(),
        }
    }
}

/// `count` indices, evenly spread over `0..len`; `count <= len`.
fn spread(len: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |j| (2 * j + 1) * len / (2 * count))
}

/// How many pictures to take of each class: equal shares. What small classes lack is taken from the others,
/// and a remainder from evenly spread classes.
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
                "note,class_index,file\n\"\nsecond\",0,a.jpg\r\n\r\nthird,x,a.jpg",
                "line 5: class_index 'x'",
            ),
            ("\"file,class_index\n", "line 1: a quote is not closed"),
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
                "file,class_index,note\na.jpg,0,\"open\nb.jpg,1,\n",
                "line 2: a quote is not closed",
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
            Err(DatasetError::Empty(..))
        ));
        assert!(matches!(
            Dataset::pictures(dir.path()),
            Err(DatasetError::Empty(..))
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
            matches!(&e, DatasetError::EmptyClass(p, _) if p.ends_with("b")),
            "{e}"
        );
    }

    #[test]
    fn plain_pictures() {
        let dir = folder(&["b/1.jpg", "a.png", "c.gif", "d.txt"]);
        let set = Dataset::pictures(dir.path()).unwrap();
        let expected = ["a.png", "b/1.jpg", "c.gif"].map(|n| (n.to_string(), None));
        assert_eq!(names(dir.path(), &set), expected);
        assert_eq!(set.left_out, None);
    }

    /// Every end of a name that a picture of the kinds that are read has, in any case.
    #[test]
    fn names_of_pictures() {
        let files = [
            "1.jpg", "2.JPG", "3.jpeg", "4.jpe", "5.jfif", "6.JFIF", "7.png", "8.webp", "9.WebP",
            "a.gif", "b.bmp", "c.tif", "d.TIFF", "e.ppm", "f.pgm",
        ];
        let dir = folder(
            &files
                .map(|f| format!("x/{f}"))
                .each_ref()
                .map(String::as_str),
        );
        let set = Dataset::open(dir.path()).unwrap();
        assert_eq!(set.items.len(), files.len());
        assert_eq!(set.left_out, None);
    }

    /// A folder with these files and contents.
    fn filled(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let names: Vec<_> = files.iter().map(|f| f.0).collect();
        let dir = folder(&names);
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn what_is_left_out_is_counted() {
        let dir = filled(&[
            ("a/1.jpg", b""),
            ("a/2.heic", HEIC),
            ("a/3.HEIC", HEIC),
            ("a/4.avif", b"\0\0\0\x1cftypavif"),
            ("a/5.mp4", b"\0\0\0\x20ftypisom"),
            ("a/6.npy", b"\x93NUMPY\x01\0"),
            ("a/7.heic", b"404: Not Found"),
            ("a/8.dng", b"II*\0\x08\0\0\0"),
            ("a/.9.jpg", b""),
            ("a/deep/10.jxl", b"\xff\x0a"),
            ("b/1.jpg", b""),
            ("top.jpg", b""),
        ]);
        let set = Dataset::open(dir.path()).unwrap();
        assert_eq!(set.items.len(), 2);
        let left_out = set.left_out.clone().unwrap();
        assert_eq!(left_out.count, 10);
        let said = left_out.to_string();
        assert!(said.starts_with("10 files were left out, e.g. "), "{said}");
        assert!(
            said.contains("top.jpg: it lies beside the class folders"),
            "{said}"
        );
        assert_eq!(set.subset(1).left_out, set.left_out);

        let of = |class: &str| Dataset::pictures(&dir.path().join(class)).unwrap().left_out;
        assert_eq!(of("b"), None);
        let left_out = of("a").unwrap();
        assert_eq!(left_out.count, 9);
        assert!(left_out.example.ends_with(".9.jpg"), "{left_out:?}");
        fs::remove_file(dir.path().join("a/.9.jpg")).unwrap();
        let said = of("a").unwrap().to_string();
        assert!(
            said.contains("8 files") && said.contains("2.heic: a HEIC"),
            "{said}"
        );
        assert!(
            said.contains("JPEG, PNG, WebP") && !said.contains('\n'),
            "{said}"
        );
    }

    #[test]
    fn what_lies_about_makes_no_noise() {
        let dir = filled(&[
            ("a/1.jpg", b""),
            ("a/Thumbs.db", &[0xd0, 0xcf, 0x11, 0xe0]),
            ("a/desktop.ini", b"\xff\xfe["),
            ("a/.DS_Store", &[0, 0, 0, 1, b'B', b'u', b'd', b'1']),
            ("a/._1.jpg", &[0, 5, 0x16, 7]),
            ("a/Icon\r", b""),
            ("a/readme.TXT", b"hello"),
            ("a/1.xml", b"<annotation/>"),
            ("a/LICENSE", "Copyright \u{a9} somebody, in a text that is longer than the part that is looked at".as_bytes()),
            ("a/labels.csv", b"file,class_index"),
            (".ipynb_checkpoints/1.jpg", b""),
            ("__MACOSX/a/1.jpg", b""),
            ("model.bin", &[0, 1, 2, 3]),
        ]);
        let set = Dataset::open(dir.path()).unwrap();
        assert_eq!((set.items.len(), set.left_out), (1, None));
    }

    /// Where a name says nothing, the content says it.
    #[test]
    fn pictures_by_content() {
        let dir = filled(&[
            ("a/1", PNG),
            ("a/2.jpg.1", &[0xff, 0xd8, 0xff, 0xe0]),
            ("a/3.heic", &[0xff, 0xd8, 0xff, 0xe1]),
            ("a/4.jpg?size=large", b"GIF89a"),
            ("a/5.bin", &[0, 1, 2, 3]),
            ("a/6", b"text"),
        ]);
        let set = Dataset::open(dir.path()).unwrap();
        let found: Vec<_> = names(dir.path(), &set).into_iter().map(|n| n.0).collect();
        assert_eq!(
            found,
            ["a/1", "a/2.jpg.1", "a/3.heic", "a/4.jpg?size=large"]
        );
        assert_eq!(set.left_out.unwrap().count, 1);
    }

    #[test]
    fn folders_of_other_files_say_what_there_is() {
        let dir = filled(&[("a/1.jpg", b""), ("b/1.heic", HEIC), ("b/2.heic", HEIC)]);
        let e = Dataset::open(dir.path()).unwrap_err().to_string();
        assert!(e.contains("class folder without a picture"), "{e}");
        assert!(
            e.contains("2 files were left out") && e.contains("HEIC"),
            "{e}"
        );
        let e = Dataset::pictures(&dir.path().join("b"))
            .unwrap_err()
            .to_string();
        assert!(
            e.contains("no picture in this folder") && e.contains("HEIC"),
            "{e}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end() {
        let dir = folder(&["a/1.jpg"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        std::os::unix::fs::symlink("nothing", dir.path().join("a/2.jpg")).unwrap();
        std::os::unix::fs::symlink("1.jpg", dir.path().join("a/3.jpg")).unwrap();
        let set = Dataset::pictures(dir.path()).unwrap();
        assert_eq!(set.items.len(), 2);
        assert_eq!(set.left_out.unwrap().count, 2);
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
            left_out: None,
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
