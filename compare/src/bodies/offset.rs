//! Bodies of which nobody can say more than from where on they differ.

use super::super::difference::Difference;
use super::super::policy::Rules;

/// Bytes that are shown of either side.
const SHOWN: usize = 8;
/// Bytes that are shown before the first one that differs.
const BEFORE: usize = 2;

/// The difference as a whole, with a few bytes of both sides from the first one that differs on. Nothing of what
/// could be text where a policy hides anything: so few bytes are looked at in vain.
pub(super) fn told(sides: [&[u8]; 2], mut whole: Difference, rules: &Rules) -> Difference {
    let [ours, theirs] = sides;
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let from = at.saturating_sub(BEFORE);
    let near = sides.map(|bytes| &bytes[from.min(bytes.len())..bytes.len().min(from + SHOWN)]);
    whole.note = Some(format!("from byte {} on", at + 1));
    let is_hidden = rules.hide().is_some() && near.iter().any(|bytes| may_be_text(bytes));
    if !is_hidden {
        let more = |text: Option<String>, near: &[u8]| {
            text.map(|text| format!("{text}, there {}", hex(near)))
        };
        whole.baseline = more(whole.baseline.take(), near[0]);
        whole.candidate = more(whole.candidate.take(), near[1]);
    }
    whole
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the end".to_owned();
    }
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// Whether there is none of the controls that text has not got, in whatever charset it is; UTF-16 has zeros.
fn may_be_text(bytes: &[u8]) -> bool {
    let sign = |byte: &u8| *byte >= b' ' || byte.is_ascii_whitespace();
    bytes.iter().any(sign) && bytes.iter().all(|byte| *byte == 0 || sign(byte))
}
