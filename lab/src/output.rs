//! Where text goes: a terminal, in which the status is redrawn, or plain lines.

use std::io::{IsTerminal, Write, stdout};

/// The standard output, or a list for tests.
#[derive(Debug)]
pub struct Output {
    terminal: bool,
    drawn: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0 }
    }
}

impl Output {
    /// Whether the status is redrawn in place.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line that stays.
    pub fn line(&mut self, line: &str) {
        self.drawn = 0;
        // A closed pipe is no reason to stop.
        drop(writeln!(stdout(), "{line}"));
    }

    /// The status, in place of the last one where that can be.
    pub fn status(&mut self, lines: &[String]) {
        let mut out = stdout().lock();
        if self.terminal && self.drawn > 0 {
            drop(write!(out, "\x1b[{}A\x1b[J", self.drawn));
        }
        for line in lines {
            drop(writeln!(out, "{line}"));
        }
        if !self.terminal {
            drop(writeln!(out));
        }
        self.drawn = lines.len();
    }
}
