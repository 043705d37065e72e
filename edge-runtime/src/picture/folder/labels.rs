//! `labels.csv`: which picture shows which class.

use super::{Dataset, DatasetError, Item, read_error};
use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path};

/// Longest `labels.csv`, in bytes.
const MAX_LABELS: u64 = 64 << 20;

/// The pictures that a `labels.csv` lists. Other files of the folder are ignored.
pub(super) fn read(dir: &Path, csv: &Path) -> Result<Dataset, DatasetError> {
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
        left_out: None,
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
