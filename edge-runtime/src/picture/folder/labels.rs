//! `labels.csv`: which picture shows which class.

use super::{Dataset, DatasetError, Item, read_error};
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path};

/// Longest `labels.csv`, in bytes.
const MAX_LABELS: u64 = 64 << 20;

/// A record after the last. The reader gives it back, unless a quote before it is not closed: then it takes
/// the rest of the text for one field.
const END: &str = "\nend";

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
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Err(wrong(1, "no header row".into()));
    }
    let damaged = |e: csv::Error| wrong(1, e.to_string());
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes().chain(END.as_bytes()));
    let header = reader.headers().map_err(damaged)?.clone();
    let records: Result<Vec<_>, _> = reader.records().collect();
    let mut records = records.map_err(damaged)?;
    if records.pop_if(|last| *last == [END.trim()][..]).is_none() {
        let line = records.last().map_or(1, |last| line_of(text, last));
        return Err(wrong(line, "a quote is not closed".into()));
    }
    let column = |name: &str| {
        let at = header.iter().position(|h| h.trim() == name);
        at.ok_or_else(|| wrong(1, format!("no column '{name}' in the header row")))
    };
    let (file_column, class_column) = (column("file")?, column("class_index")?);
    let mut items = vec![];
    let mut listed = HashSet::new();
    for fields in records {
        let wrong = |problem| wrong(line_of(text, &fields), problem);
        let (Some(file), Some(class)) = (fields.get(file_column), fields.get(class_column)) else {
            let (found, expected) = (fields.len(), header.len());
            return Err(wrong(format!(
                "{found} fields, the header row has {expected}"
            )));
        };
        let class: u32 = class
            .trim()
            .parse()
            .map_err(|_| wrong(format!("class_index '{class}' is not a number from 0")))?;
        let relative = Path::new(file);
        let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if file.is_empty() || !relative.components().all(inside) {
            return Err(wrong(format!("'{file}' is not a file of this folder")));
        }
        let path = dir.join(relative);
        if !path.is_file() {
            return Err(wrong(format!("there is no file '{file}' in the folder")));
        }
        if !listed.insert(path.clone()) {
            return Err(wrong(format!("'{file}' is listed before already")));
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

/// The line that a record starts on. Blank lines before it count as part of it in the reader's position.
fn line_of(text: &str, record: &csv::StringRecord) -> usize {
    let at = record.position().map_or(0, |p| p.byte() as usize);
    let record = text[at..].trim_start_matches(['\r', '\n']);
    1 + text[..text.len() - record.len()].matches('\n').count()
}
