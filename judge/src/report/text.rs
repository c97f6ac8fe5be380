//! The report as text, for a terminal or a log: the verdict first, and what takes more than one look
//! last.

use std::fmt::{Display, Formatter, Result};

use super::line::Line;
use super::page::{Block, Page, Section};
pub use super::plain::{is_active, plain};

/// The page as text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a Page);

impl Display for Text<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Page { headline, facts, sections, .. } = self.0;
        writeln!(out, "{headline}\n\n{facts}")?;
        sections.iter().try_for_each(|section| self::section(out, section))
    }
}

fn section(out: &mut Formatter<'_>, section: &Section) -> Result {
    writeln!(out, "\n{}", section.title)?;
    section.blocks.iter().try_for_each(|block| match block {
        Block::Item(line, below) => item(out, line, below),
        Block::Copied(lines) => lines.iter().try_for_each(|line| writeln!(out, "    {line}")),
        Block::Table(rows) => table(rows).lines().try_for_each(|line| writeln!(out, "  {line}")),
    })
}

fn item(out: &mut Formatter<'_>, line: &Line, below: &[Line]) -> Result {
    writeln!(out, "  {line}")?;
    below.iter().try_for_each(|line| writeln!(out, "    {line}"))
}

/// Rows in columns, the first of which is told where it changes.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    let mut before = "";
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = if at == 0 && cell == before { "" } else { cell };
            line.push_str(&format!("{cell:width$}  "));
        }
        before = row.first().map_or("", |cell| cell);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
