//! A table for people: aligned in a terminal, Markdown in the document.

use std::fmt::Write;

/// A table with its title and what must be said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Sentences below it.
    pub(super) notes: Vec<String>,
}

impl Sheet {
    /// An empty table with these columns.
    pub(super) fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(|&word| word.to_owned()).collect();
        Self { title: title.into(), head, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// For a terminal: the first column to the left, figures to the right.
    pub(super) fn text(&self) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        let width = |column: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut out = format!("{}\n", self.title);
        for line in lines {
            for (n, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                let _ =
                    if n == 0 { write!(out, "  {cell:<width$}") } else { write!(out, "  {cell:>width$}") };
            }
            out.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(out, "{note}");
        }
        out
    }

    /// For the document.
    pub(super) fn markdown(&self) -> String {
        let mut out = String::new();
        if !self.title.is_empty() {
            let _ = write!(out, "**{}**\n\n", self.title);
        }
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        out.push_str(&line(&self.head));
        let _ = writeln!(out, "|{}", "---|".repeat(self.head.len()));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        for note in &self.notes {
            let _ = write!(out, "\n{note}\n");
        }
        out
    }
}

/// `1K`, `64K`, `1M`
pub(super) fn size(bytes: u32) -> String {
    if bytes >= 1 << 20 { format!("{}M", bytes >> 20) } else { format!("{}K", bytes >> 10) }
}

/// `10`, `1,000`
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_the_same_in_markdown() {
        let mut sheet = Sheet::new("title", &["what", "ns"]);
        sheet.row(["a long name".into(), "7".into()]);
        sheet.row(["b".into(), "1234".into()]);
        sheet.notes.push("Said.".into());
        let text = "title\n  what           ns\n  a long name     7\n  b            1234\nSaid.\n";
        assert_eq!(sheet.text(), text);
        let markdown = "**title**\n\n| what | ns |\n|---|---|\n| a long name | 7 |\n| b | 1234 |\n\nSaid.\n";
        assert_eq!(sheet.markdown(), markdown);
    }

    #[test]
    fn sizes_and_counts_are_short() {
        assert_eq!((size(16 << 10), size(1 << 20)), ("16K".into(), "1M".into()));
        assert_eq!(["7", "1,000", "100,000"].map(String::from), [7, 1_000, 100_000].map(count));
    }
}
