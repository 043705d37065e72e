//! Tables: aligned columns that fit the terminal.
//!
//! In a pipe or a file nothing is wrapped or left out. In a terminal that is too narrow, a table first leaves out the
//! columns that are marked as optional and says so below, then wraps.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};

/// A column that wraps keeps at least this width, or that of its longest cell, while optional columns are left.
const LEAST_WRAPPED: usize = 24;

/// Rows of cells below a header, or without one.
pub struct Table {
    header: Option<Vec<String>>,
    /// For each column: it wraps first in a narrow terminal.
    wraps: Vec<bool>,
    /// Columns that are left out in a narrow terminal, in this order.
    optional: Vec<usize>,
    rows: Vec<Vec<String>>,
    /// Spaces between columns.
    gap: usize,
}

impl Table {
    /// A table with these names of its columns.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            header: Some(header.map(String::from).to_vec()),
            ..Self::without_header(N)
        }
    }

    /// A table of so many columns without names.
    pub fn without_header(columns: usize) -> Self {
        Self {
            header: None,
            wraps: vec![false; columns],
            optional: vec![],
            rows: vec![],
            gap: 2,
        }
    }

    /// Columns, by index, whose text wraps first in a narrow terminal.
    pub fn wraps(mut self, columns: &[usize]) -> Self {
        columns.iter().for_each(|c| self.wraps[*c] = true);
        self
    }

    /// Columns, by index, that are left out in a narrow terminal, in this order.
    pub fn optional(mut self, columns: &[usize]) -> Self {
        self.optional = columns.to_vec();
        self
    }

    /// Spaces between columns.
    pub fn gap(mut self, gap: usize) -> Self {
        self.gap = gap;
        self
    }

    /// Adds a row; it has a cell for each column.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.wraps.len(), "a row has a cell for each column");
        self.rows.push(cells.to_vec());
    }

    /// The table as lines. `width`: columns of the terminal; `None`: as wide as it is.
    pub fn render(&self, width: Option<usize>) -> String {
        let shown = self.shown(width);
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        let pick = |row: &Vec<String>| shown.iter().map(|c| row[*c].clone()).collect::<Vec<_>>();
        if let Some(header) = &self.header {
            table.set_header(pick(header));
        }
        self.rows.iter().for_each(|row| {
            table.add_row(pick(row));
        });
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        let cannot_do_without = self.least_width(&shown);
        for (index, column) in shown.iter().enumerate() {
            let Some(formatted) = table.column_mut(index) else {
                continue;
            };
            let gap = if index + 1 < shown.len() { self.gap } else { 0 };
            formatted.set_padding((0, gap as u16));
            if self.is_numeric(*column) {
                formatted.set_cell_alignment(CellAlignment::Right);
            }
            let fits = width.is_some_and(|width| cannot_do_without <= width);
            if fits && !self.wraps[*column] {
                formatted.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
                    (self.width_of(*column) + gap) as u16,
                )));
            }
        }
        let mut out: String = table
            .lines()
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect();
        if shown.len() < self.wraps.len() {
            out += &self.left_out(&shown).render(width);
        }
        out
    }

    /// The columns that fit, by index.
    fn shown(&self, width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.wraps.len()).collect();
        for column in &self.optional {
            if width.is_some_and(|width| self.least_width(&shown) > width) {
                shown.retain(|c| c != column);
            }
        }
        shown
    }

    /// Width of these columns if those that wrap are as narrow as they should get.
    fn least_width(&self, shown: &[usize]) -> usize {
        let widths = shown.iter().map(|c| match self.wraps[*c] {
            true => self.width_of(*c).min(LEAST_WRAPPED),
            false => self.width_of(*c),
        });
        widths.sum::<usize>() + self.gap * shown.len().saturating_sub(1)
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.header.iter().chain(&self.rows);
        let widths = cells.map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    }

    /// True if all cells below the header are numbers: these go to the right.
    fn is_numeric(&self, column: usize) -> bool {
        let number = |text: &String| {
            let first = text.chars().next();
            first.is_none_or(|c| c.is_ascii_digit() || c == '-')
        };
        self.header.is_some() && self.rows.iter().all(|row| number(&row[column]))
    }

    /// A remark that names the columns that are not shown.
    fn left_out(&self, shown: &[usize]) -> Self {
        let header = self.header.as_deref().unwrap_or_default();
        let hidden = header.iter().enumerate();
        let hidden = hidden.filter(|(index, _)| !shown.contains(index));
        let hidden: Vec<&str> = hidden.map(|(_, name)| name.as_str()).collect();
        let hidden = hidden.join(", ");
        let mut remark = Self::without_header(1).wraps(&[0]);
        remark.row([format!("(not shown: {hidden}; `| cat` shows all)")]);
        remark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let header = ["name", "size", "use", "where"];
        let mut table = Table::new(header).wraps(&[2]).optional(&[3]);
        let row = |cells: [&str; 4]| cells.map(String::from);
        table.row(row([
            "model",
            "5.1 MiB",
            "the weights and the plan of the memory",
            "flash",
        ]));
        table.row(row(["arena", "512 KiB", "activations", "RAM"]));
        table
    }

    fn longest(text: &str) -> usize {
        let lengths = text.lines().map(|line| line.chars().count());
        lengths.max().unwrap()
    }

    #[test]
    fn a_pipe_gets_everything_on_one_line_each() {
        assert_eq!(
            table().render(None),
            "\
name      size  use                                     where
model  5.1 MiB  the weights and the plan of the memory  flash
arena  512 KiB  activations                             RAM
"
        );
    }

    #[test]
    fn a_wide_terminal_shows_the_same_as_a_pipe() {
        assert_eq!(table().render(Some(80)), table().render(None));
    }

    #[test]
    fn text_wraps_first() {
        assert_eq!(
            table().render(Some(50)),
            "\
name      size  use                          where
model  5.1 MiB  the weights and the plan of  flash
                the memory
arena  512 KiB  activations                  RAM
"
        );
    }

    #[test]
    fn then_optional_columns_are_left_out_and_named() {
        let shown = table().render(Some(42));
        assert!(!shown.contains("RAM") && shown.contains("512 KiB"));
        assert!(shown.ends_with("(not shown: where; `| cat` shows all)\n"));
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        for width in 38..80 {
            let shown = table().render(Some(width));
            assert!(longest(&shown) <= width, "{width}: {shown}");
            for word in ["model", "5.1 MiB", "weights", "activations"] {
                assert!(shown.contains(word), "{width}: {shown}");
            }
        }
    }
}
