//! Tables that fit the terminal.

use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, presets};

use crate::ui::paint::Paint;
use crate::ui::text;

/// Rows of text under headings; only some columns may be broken into lines.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Columns that are never broken: ids and numbers, which people copy and compare.
    whole: Vec<usize>,
    /// Columns that a narrow terminal does without, the first to go first.
    optional: Vec<usize>,
    empty: &'static str,
}

impl Table {
    /// A table without rows, which then says `empty`.
    pub(crate) fn new<const N: usize>(headings: [&'static str; N], empty: &'static str) -> Self {
        let headings = headings.into();
        Self { headings, rows: Vec::new(), whole: vec![0], optional: Vec::new(), empty }
    }

    /// Names and values below each other.
    pub(crate) fn properties() -> Self {
        Self::new(["", ""], "")
    }

    /// Keeps these columns, beside the first, in one piece.
    pub(crate) fn whole(mut self, columns: &[usize]) -> Self {
        self.whole.extend(columns);
        self
    }

    /// Leaves these columns out, in this order, where they do not fit.
    pub(crate) fn optional(self, columns: &[usize]) -> Self {
        Self { optional: columns.into(), ..self }
    }

    /// Adds a row; what is in it is made safe to print.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| text::lines(&cell).replace('\t', "    ")).into());
    }

    /// Adds a property, unless there is nothing to say.
    pub(crate) fn property(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.row([name.to_owned(), value]);
        }
    }

    pub(crate) fn render(self, paint: Paint) -> String {
        if self.rows.is_empty() {
            return self.empty.to_owned();
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if self.headings.iter().any(|heading| !heading.is_empty()) {
            table.set_header(self.headings.iter().map(|heading| head(heading, paint)));
        }
        table.add_rows(&self.rows);
        let hidden = table.width().map_or(&[][..], |width| hidden(&self, width.into()));
        let whole = self.whole.iter().map(|index| (index, ColumnConstraint::ContentWidth));
        let hidden = hidden.iter().map(|index| (index, ColumnConstraint::Hidden));
        for (index, constraint) in whole.chain(hidden) {
            if let Some(column) = table.column_mut(*index) {
                column.set_constraint(constraint);
            }
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        table.trim_fmt()
    }
}

/// The optional columns that must go for the others to fit.
fn hidden(table: &Table, width: usize) -> &[usize] {
    let lines = |index: usize| table.rows.iter().flat_map(move |row| row[index].lines());
    let column = |index: usize| {
        let longest = lines(index).map(|line| line.chars().count()).max().unwrap_or(0);
        // A space at either side.
        2 + longest.max(table.headings[index].len())
    };
    let mut needed: usize = (0..table.headings.len()).map(column).sum();
    let fits = table.optional.iter().position(|index| {
        let fits = needed <= width;
        needed -= column(*index);
        fits
    });
    &table.optional[..fits.unwrap_or(table.optional.len())]
}

fn head(heading: &str, paint: Paint) -> Cell {
    let cell = Cell::new(heading);
    if paint.is_enabled() { cell.add_attribute(Attribute::Bold) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_unsafe_text_is_not() {
        let mut table = Table::new(["NAME", "VERSION"], "no agents");
        table.row(["digest".into(), "3".into()]);
        table.row(["a\u{7}".into(), "12".into()]);
        insta::assert_snapshot!(table.render(Paint::plain()), @r"
        NAME    VERSION
        digest  3
        a\u{7}  12
        ");
    }

    #[test]
    fn a_narrow_terminal_does_without_the_optional_columns() {
        let mut table = Table::new(["A", "B", "C"], "").optional(&[2, 1]);
        table.row(["1234".into(), "1234".into(), "1234".into()]);
        let left_out = [18, 17, 12, 11, 1].map(|width| hidden(&table, width).len());
        assert_eq!(left_out, [0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(Table::new(["NAME"], "no agents").render(Paint::plain()), "no agents");
    }
}
