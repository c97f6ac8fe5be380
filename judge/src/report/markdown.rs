//! The report in Markdown (GitHub's), for the comment of a pull request.
//!
//! What comes from outside stands in code spans, in which nothing has a meaning but the backticks that
//! end them. There are no tables, in which a `|` would have one; numbers stand in columns.

use std::fmt::{Display, Formatter, Result};

use super::line::{Line, Span};
use super::page::{Block, Page, Section};
use super::text::table;

/// What has a meaning in words, too.
const SPECIAL: &str = "\\`*_[]<>&|~#$@!";

/// The page in Markdown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Markdown<'a>(pub(super) &'a Page);

impl Display for Markdown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Page { name, headline, facts, sections, .. } = self.0;
        if let Some(name) = name {
            writeln!(out, "## {}\n", line(&Line::quoting(name)))?;
        }
        writeln!(out, "**{}**\n\n{}", line(headline), line(facts))?;
        sections.iter().try_for_each(|section| self::section(out, section))
    }
}

fn section(out: &mut Formatter<'_>, section: &Section) -> Result {
    // What takes a second look is there when somebody unfolds it.
    if section.is_detail {
        writeln!(out, "\n<details><summary>{}</summary>\n", section.title)?;
    } else {
        writeln!(out, "\n### {}\n", section.title)?;
    }
    for block in &section.blocks {
        match block {
            Block::Item(line, below) => item(out, line, below)?,
            Block::Copied(lines) => fenced(out, &lines.join("\n"))?,
            Block::Table(rows) => fenced(out, table(rows).trim_end())?,
        }
    }
    if section.is_detail { writeln!(out, "\n</details>") } else { Ok(()) }
}

fn item(out: &mut Formatter<'_>, line: &Line, below: &[Line]) -> Result {
    writeln!(out, "- {}", self::line(line))?;
    below.iter().try_for_each(|line| writeln!(out, "  - {}", self::line(line)))
}

fn fenced(out: &mut Formatter<'_>, text: &str) -> Result {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    writeln!(out, "\n{fence}text\n{text}\n{fence}\n")
}

fn line(line: &Line) -> String {
    let span = |span: &Span| match span {
        Span::Words(words) => escaped(words),
        Span::Quote(text) => quoted(text),
    };
    line.spans().iter().map(span).collect()
}

fn escaped(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for c in words.chars() {
        if SPECIAL.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A code span (CommonMark 0.31, section 6.1): in more backticks than there are, with a space on both
/// sides, which is taken off, where one would touch them or the span would lose a space of its own.
fn quoted(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let touches = |end: Option<char>| end.is_none_or(|c| c == '`' || c == ' ');
    let is_padded = touches(text.chars().next()) || touches(text.chars().last());
    let pad = if is_padded { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The most backticks behind each other.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}
