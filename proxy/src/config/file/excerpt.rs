//! A line of a file as errors show it: with a mark under the place, whatever stands before it, and
//! without what is nobody's business.

use std::iter::repeat_n;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// Characters that are shown before the mark, and from its beginning on.
const BEFORE_MAX: usize = 60;
const AFTER_MAX: usize = 100;
/// Longest value that is shown, in characters.
const VALUE_MAX: usize = 200;

/// A line of a file.
pub(super) struct Line<'t> {
    /// Without its end.
    pub(super) text: &'t str,
    /// Where it begins in the file.
    pub(super) start: usize,
    /// What of the file is not shown.
    pub(super) hidden: &'t [Range<usize>],
}

impl Line<'_> {
    /// What is shown of it, and the mark under it. What is hidden in front of the mark is left out;
    /// where there is such, nothing is shown behind it.
    pub(super) fn marked(&self, at: &Range<usize>) -> (String, String) {
        let from = self.boundary(at.start.saturating_sub(self.start));
        let to = self.boundary(at.end.saturating_sub(self.start)).max(from);
        let before = self.hidden_in(0..from);
        if before.iter().any(|hidden| hidden.end > from) {
            let first = before.iter().map(|hidden| hidden.start).min().unwrap_or(from);
            return self.drawn(first..first, first, &[]);
        }
        let behind = self.hidden_in(from..self.text.len());
        let first = behind.iter().map(|hidden| hidden.start).min();
        let rest = if before.is_empty() { self.without_comment(to) } else { to };
        self.drawn(from..to, first.unwrap_or(rest).min(rest), &before)
    }

    /// Where a comment may begin behind this place: it may be a setting of another day, with a secret in
    /// it.
    fn without_comment(&self, from: usize) -> usize {
        self.text[from..].find(['#', '@']).map_or(self.text.len(), |at| from + at)
    }

    /// The line up to an end with a mark at this part, and without what is hidden in front of it.
    fn drawn(&self, part: Range<usize>, end: usize, hidden: &[Range<usize>]) -> (String, String) {
        let place = part.start.min(end);
        let (mut text, mut mark) = self.before(place, hidden);
        self.marks(place..part.end.clamp(place, end), end, &mut text, &mut mark);
        if end < self.text.len() {
            text.push('…');
        }
        (text, mark)
    }

    /// What is hidden of the line and begins in this part of it, as places in the line.
    fn hidden_in(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let end = self.start + self.text.len();
        let touching = |it: &&Range<usize>| it.start < end && it.end > self.start;
        let of_line = |it: &Range<usize>| {
            it.start.saturating_sub(self.start)..it.end.saturating_sub(self.start)
        };
        let all = self.hidden.iter().filter(touching).map(of_line);
        all.filter(|it| part.contains(&it.start)).collect()
    }

    fn boundary(&self, at: usize) -> usize {
        (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// What stands before the mark; tabs stay tabs, so that both lines are alike wherever they stop.
    fn before(&self, place: usize, hidden: &[Range<usize>]) -> (String, String) {
        let (mut text, mut mark) = (String::new(), String::new());
        let all = self.text[..place].char_indices().filter_map(|(at, c)| {
            match hidden.iter().find(|it| it.contains(&at)) {
                Some(it) if it.start == at => Some('…'),
                Some(_) => None,
                None => Some(visible(c)),
            }
        });
        let all: Vec<_> = all.collect();
        let skipped = all.len().saturating_sub(BEFORE_MAX);
        if skipped > 0 {
            text.push('…');
            mark.push(' ');
        }
        for c in all.into_iter().skip(skipped) {
            text.push(c);
            if c == '\t' {
                mark.push(c);
            } else {
                mark.extend(repeat_n(' ', c.width().unwrap_or(1)));
            }
        }
        (text, mark)
    }

    fn marks(&self, marked: Range<usize>, end: usize, text: &mut String, mark: &mut String) {
        let rest = &self.text[marked.start..end];
        for (at, c) in rest.char_indices().take(AFTER_MAX) {
            let c = visible(c);
            text.push(c);
            if marked.start + at < marked.end {
                let width = if c == '\t' { 1 } else { c.width().unwrap_or(1) };
                mark.extend(repeat_n('^', width));
            }
        }
        if rest.chars().nth(AFTER_MAX).is_some() {
            text.push('…');
        }
        if !mark.ends_with('^') {
            mark.push('^');
        }
    }
}

/// What a terminal would obey, or not show, is shown as what it is not.
fn visible(c: char) -> char {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c != '\t' && (c.is_control() || turns) { '\u{fffd}' } else { c }
}

/// A text without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { '\u{fffd}' } else { visible(c) }).collect()
}

/// The beginning of a long text.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
