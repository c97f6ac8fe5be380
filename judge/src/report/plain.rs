//! Texts from outside as they may be shown: labels, paths and values are whatever clients and services
//! wrote, and could move a terminal's cursor, change its colours or turn the direction of the text.

/// Characters of a text from outside that are shown of it; the rest is cut off.
const SHOWN_MAX: usize = 240;

/// A text of one line without anything that a terminal acts on.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) { plain.extend(c.escape_unicode()) } else { plain.push(c) }
    }
    plain
}

/// As [`plain`], and no longer than a reader bears.
pub fn short(text: &str) -> String {
    // Each character becomes one at the least, so that what follows would be cut off anyway.
    let mut rest = text.chars();
    let beginning: String = rest.by_ref().take(SHOWN_MAX).collect();
    let mut shown = plain(&beginning);
    let end = shown.char_indices().nth(SHOWN_MAX).map(|(at, _)| at);
    if end.is_some() || rest.next().is_some() {
        shown.truncate(end.unwrap_or(shown.len()));
        shown.push('…');
    }
    shown
}

/// Whether a terminal acts on it rather than showing it: control characters, the separators of
/// lines, and what turns the direction of a text (Unicode Standard Annex 9, section 2).
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::{is_active, short};

    #[test]
    fn what_is_shown_is_short_and_moves_nothing() {
        assert_eq!(short("GET /a\n"), "GET /a\\u{a}");
        assert_eq!(short(&"a".repeat(240)), "a".repeat(240));
        for long in ["a".repeat(1 << 16), "\u{1b}".repeat(1 << 16), "\u{202e}".repeat(100)] {
            let shown = short(&long);
            assert!(shown.ends_with('…') && shown.chars().count() == 241, "{shown}");
            assert!(!shown.chars().any(is_active), "{shown}");
        }
    }
}
