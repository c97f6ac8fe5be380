//! Texts by their lines.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::super::policy::Rules;
use super::super::{Grant, read};
use super::align::runs;
use super::looks;
use super::told::{Read, Spot, Told, Unread};

/// Most lines of a side between those that both have at their ends.
pub(super) const LINES_MAX: usize = 2000;
/// Said where lines are the same.
const ENDS: &str = "only the ends of lines differ";

/// Tells of lines; those at both ends that are the same are not even listed.
pub(super) fn tell(texts: [&[u8]; 2], told: &mut Told<'_>, at: &Spot, grant: Grant<'_>) -> Read {
    // The lines of a key say nothing of what they are.
    let is_hidden = |text: &[u8]| has_key(text) || is_broken_json(text, told.rules);
    let hidden = at.hidden || texts.into_iter().any(is_hidden);
    let at = &Spot { hidden, ..at.clone() };
    let Middle { before, lines: [ours, theirs] } = middle(texts, grant)?;
    let digests = [&ours, &theirs].map(|lines| digests(lines));
    for run in runs(&digests[0], &digests[1], grant)?.into_iter().filter(|run| !run.same) {
        block(told, at, before, [(&ours, run.ours), (&theirs, run.theirs)]);
        if told.is_full() {
            break;
        }
    }
    Ok(ENDS)
}

/// Lines that differ are told in pairs as far as both sides have them.
fn block(told: &mut Told<'_>, at: &Spot, before: usize, sides: [(&[&[u8]], Range<usize>); 2]) {
    let [(ours, our_run), (theirs, their_run)] = sides;
    let most = our_run.len().max(their_run.len());
    for index in 0..most {
        let of = |lines: &[&[u8]], run: &Range<usize>| {
            let line = (index < run.len()).then(|| run.start + index);
            (
                line,
                line.is_some_and(|line| line > 0 && looks::is_label(lines[line - 1], told.rules)),
            )
        };
        let ((a, one), (b, two)) = (of(ours, &our_run), of(theirs, &their_run));
        let line = before + a.or(b).unwrap_or_default() + 1;
        let mut spot = at.and(&Spot::nth("line", line));
        spot.hidden |= one || two;
        let texts = [a.map(|line| ours[line]), b.map(|line| theirs[line])];
        told.texts(before + our_run.start + index, &spot, texts);
        if told.is_full() {
            return;
        }
    }
}

/// What is between the lines that both have at their ends.
pub(super) struct Middle<'t> {
    /// How many lines are before it.
    pub(super) before: usize,
    pub(super) lines: [Vec<&'t [u8]>; 2],
}

/// Finds it; nothing where there is too much of it.
pub(super) fn middle<'t>(texts: [&'t [u8]; 2], grant: Grant<'_>) -> Result<Middle<'t>, Unread> {
    let [mut ours, mut theirs] = texts.map(|text| Lines { rest: Some(text.trim_ascii_end()) });
    let mut before = 0;
    let mut last: Option<&[u8]> = None;
    let (a, b) = loop {
        let (ahead, behind) = (ours.clone(), theirs.clone());
        match (ours.next(), theirs.next()) {
            (Some(a), Some(b)) if a == b => (before, last) = (before + 1, Some(a)),
            _ => break (ahead, behind),
        }
    };
    // What is said of a line may stand in the one before.
    let kept = usize::from(last.is_some());
    let common = a.clone().rev().zip(b.clone().rev()).take_while(|(a, b)| a == b).count();
    let counts = [&a, &b].map(|lines| lines.clone().take(LINES_MAX + common + 1).count());
    let lengths = counts.map(|count| count - common.min(count));
    if lengths.iter().any(|length| *length > LINES_MAX) {
        return Err(Unread);
    }
    if !grant((lengths[0] + lengths[1] + 2) * (size_of::<&[u8]>() + size_of::<u64>())) {
        return Err(Unread);
    }
    let list = |lines: Lines<'t>, length| last.into_iter().chain(lines.take(length)).collect();
    let lines = [list(a, lengths[0]), list(b, lengths[1])];
    Ok(Middle { before: before - kept, lines })
}

/// Whether it begins like JSON and there are rules for what is in that, which nobody can tell where it is.
fn is_broken_json(text: &[u8], rules: &Rules) -> bool {
    let (_, text) = read::frame(text.trim_ascii_start());
    !rules.paths.is_empty() && matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Whether there is a key or the like in it (RFC 7468).
pub(super) fn has_key(text: &[u8]) -> bool {
    Lines { rest: Some(text) }.any(|line| line.trim_ascii_start().starts_with(b"-----BEGIN"))
}

fn digests(lines: &[&[u8]]) -> Vec<u64> {
    lines.iter().map(|line| xxh3_64(line)).collect()
}

/// Lines without their ends, from both sides.
#[derive(Clone, Debug)]
pub(super) struct Lines<'t> {
    pub(super) rest: Option<&'t [u8]>,
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl<'t> Iterator for Lines<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.rest?;
        let at = rest.iter().position(|byte| *byte == b'\n');
        self.rest = at.map(|at| &rest[at + 1..]);
        Some(without_end(&rest[..at.unwrap_or(rest.len())]))
    }
}

impl DoubleEndedIterator for Lines<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let at = rest.iter().rposition(|byte| *byte == b'\n');
        self.rest = at.map(|at| &rest[..at]);
        Some(without_end(&rest[at.map_or(0, |at| at + 1)..]))
    }
}
