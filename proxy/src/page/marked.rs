//! Two values beside each other, with what differs in them marked.

use std::time::{Duration, Instant};

use similar::{ChangeTag, TextDiff};

use super::words::text;

/// More is not looked at character by character: a page shows many.
const LENGTH_MAX: usize = 2048;
/// How long one look may take.
const TIME_MAX: Duration = Duration::from_millis(5);
/// Of values that have less than this in common all is marked: confetti helps nobody.
const ALIKE: f32 = 0.4;

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// Whether the other side has it not.
    pub(super) marked: bool,
    /// Whether it stands for a value that is hidden.
    pub(super) is_mask: bool,
}

/// The value of one side.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) name: &'static str,
    /// `None` where it has none.
    pub(super) parts: Option<Vec<Part>>,
    pub(super) is_masked: bool,
}

/// What both sides are called.
pub(super) const NAMES: [&str; 2] = ["baseline", "candidate"];
/// What stands for a masked value.
const MASK: &str = "***";

/// The values of both, as far as they have one.
pub(super) fn sides(baseline: Option<&str>, candidate: Option<&str>) -> [Side; 2] {
    let [before, after] = marked(baseline.unwrap_or_default(), candidate.unwrap_or_default());
    let side = |name, value: Option<&str>, parts| Side {
        name,
        is_masked: value == Some(MASK),
        parts: value.map(|_| parts),
    };
    [side(NAMES[0], baseline, before), side(NAMES[1], candidate, after)]
}

/// Both values in parts.
pub(super) fn marked(baseline: &str, candidate: &str) -> [Vec<Part>; 2] {
    let whole = |value: &str, marked| vec![Part { text: text(value), marked, is_mask: false }];
    if baseline.len() > LENGTH_MAX || candidate.len() > LENGTH_MAX {
        return [whole(baseline, true), whole(candidate, true)];
    }
    let deadline = Instant::now() + TIME_MAX;
    let diff = TextDiff::configure().deadline(deadline).diff_chars(baseline, candidate);
    if diff.ratio() < ALIKE {
        return [whole(baseline, true), whole(candidate, true)];
    }
    let mut sides = [Vec::new(), Vec::new()];
    for change in diff.iter_all_changes() {
        let part = change.value();
        let [before, after] = &mut sides;
        match change.tag() {
            ChangeTag::Equal => {
                push(before, part, false);
                push(after, part, false);
            }
            ChangeTag::Delete => push(before, part, true),
            ChangeTag::Insert => push(after, part, true),
        }
    }
    sides
}

fn push(parts: &mut Vec<Part>, more: &str, marked: bool) {
    let more = text(more);
    match parts.last_mut() {
        Some(last) if last.marked == marked => last.text.push_str(&more),
        _ => parts.push(Part { text: more, marked, is_mask: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[Part]) -> String {
        let one = |it: &Part| if it.marked { format!("[{}]", it.text) } else { it.text.clone() };
        parts.iter().map(one).collect()
    }

    #[test]
    fn what_one_side_alone_has_is_marked() {
        let [before, after] = marked("priceCents: 6900", "priceCents: 6950");
        assert_eq!(
            (shown(&before), shown(&after)),
            ("priceCents: 69[0]0".into(), "priceCents: 69[5]0".into())
        );
    }

    #[test]
    fn of_values_that_have_nothing_in_common_all_is_marked() {
        let [before, after] = marked("abc", "xyzuvw");
        assert_eq!((shown(&before), shown(&after)), ("[abc]".into(), "[xyzuvw]".into()));
        let long = "x".repeat(LENGTH_MAX + 1);
        assert_eq!(shown(&marked(&long, "x")[1]), "[x]");
    }

    #[test]
    fn active_characters_are_shown() {
        let [before, _] = marked("a\u{202e}bcdef", "abcdef");
        assert_eq!(shown(&before), "a[\\u{202e}]bcdef");
    }
}
