//! Where a report that is followed is shown: a terminal, which is drawn over, or a log, which gets what is
//! new. No mode of a terminal is changed, so that none has to be put back, however it ends.

use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use super::Answer;

/// To the first cell.
const HOME: &str = "\x1b[H";
/// Clears what is right of the cursor,
const CLEAR_LINE: &str = "\x1b[K";
/// and what is below it.
const CLEAR_REST: &str = "\x1b[J";
/// Clears all.
const CLEAR: &str = "\x1b[2J";

/// Of a terminal, in cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// What is shown, and was.
#[derive(Debug)]
pub(super) struct Screen<O, E> {
    out: O,
    errors: E,
    is_terminal: bool,
    /// Whether anything was drawn.
    is_drawn: bool,
    /// The last report.
    last: Option<Answer>,
    /// Why there is none now.
    away: Option<String>,
}

impl<O: Write, E: Write> Screen<O, E> {
    pub(super) fn new(out: O, errors: E, is_terminal: bool) -> Self {
        Self { out, errors, is_terminal, is_drawn: false, last: None, away: None }
    }

    /// Shows a report, or why there is none.
    pub(super) fn show(
        &mut self,
        asked: Result<&Answer, &String>,
        every: Duration,
        size: Size,
    ) -> io::Result<()> {
        let before = self.last.as_ref().map(|answer| answer.headline.clone());
        let was_away = self.away.take();
        match asked {
            Ok(answer) => self.last = Some(answer.clone()),
            Err(why) => self.away = Some(why.clone()),
        }
        if self.is_terminal {
            return self.draw(every, size);
        }
        match (&self.away, &self.last) {
            (Some(why), _) if was_away.as_ref() != Some(why) => {
                writeln!(self.errors, "{why}; asking again every {every:?}")
            }
            (None, Some(answer)) => {
                if was_away.is_some() {
                    writeln!(self.errors, "the proxy answers again")?;
                }
                if before.as_ref() == Some(&answer.headline) {
                    return Ok(());
                }
                let gap = if before.is_some() { "\n" } else { "" };
                write!(self.out, "{gap}{}", answer.text)?;
                self.out.flush()
            }
            _ => Ok(()),
        }
    }

    /// Leaves the cursor below what was drawn.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.is_drawn {
            writeln!(self.out)?;
        }
        self.out.flush()
    }

    fn draw(&mut self, every: Duration, size: Size) -> io::Result<()> {
        let text = self.last.as_ref().map_or("no report yet\n", |answer| &answer.text);
        let status = match &self.away {
            Some(why) => {
                format!("The proxy is away ({why}); asking again every {every:?}. Ctrl-C ends")
            }
            None => format!("Asked every {every:?}; Ctrl-C ends"),
        };
        let start = if self.is_drawn { HOME.to_owned() } else { format!("{CLEAR}{HOME}") };
        let frame = frame(text, &status, size);
        write!(self.out, "{start}{frame}")?;
        self.is_drawn = true;
        self.out.flush()
    }
}

/// As much of a text as there is room for, and a line about it in the last row. Nothing wraps by itself, and
/// no line end scrolls.
fn frame(text: &str, status: &str, size: Size) -> String {
    let Size { columns, rows } = size;
    let mut lines = text.lines();
    // The sentence is to be read whole, the rest is there to be looked up.
    let mut shown = wrapped(lines.next().unwrap_or_default(), columns);
    shown.extend(lines.map(|line| cut(line, columns)));
    let room = rows.saturating_sub(1);
    if shown.len() > room {
        let more = shown.len() - room.saturating_sub(1);
        shown.truncate(room.saturating_sub(1));
        shown.push(cut(&format!("… {more} more lines; without --watch all are shown"), columns));
    }
    shown.truncate(room);
    shown.push(cut(status, columns));
    let lines: Vec<_> = shown.into_iter().map(|line| line + CLEAR_LINE).collect();
    lines.join("\n") + CLEAR_REST
}

fn wide(c: char) -> usize {
    c.width().unwrap_or_default()
}

fn cut(line: &str, columns: usize) -> String {
    let width: usize = line.chars().map(wide).sum();
    if width <= columns {
        return line.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let wide = wide(*c);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let mut cut: String = line.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// Lines that break between words, or in one that is too long.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let width: usize = word.trim_end().chars().map(wide).sum();
        if used > 0 && used + width > columns {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            if used + wide(c) > columns {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("there is one from the start").push(c);
            used += wide(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests;
