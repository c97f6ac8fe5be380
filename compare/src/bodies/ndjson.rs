//! Lines of JSON, each compared as a document with all rules.

use super::super::annotate::Document;
use super::super::difference::Kind;
use super::super::policy::Rules;
use super::super::redaction::MASK;
use super::super::{Grant, Obstacle, detail, read, show};
use super::align::runs;
use super::lines::{Middle, middle};
use super::told::{Read, Spot, Told, Unread, kind_of};

/// Said where all lines are equal under the rules.
const NOTHING: &str = "only what is not compared of lines of JSON differs";

/// Tells of each line what differs within. Lines that are equal under the rules belong together.
pub(super) fn tell(texts: [&[u8]; 2], told: &mut Told<'_>, at: &Spot, grant: Grant<'_>) -> Read {
    let Middle { before, lines } = middle(texts, grant)?;
    let rules = told.rules;
    let digests = [digests(&lines[0], rules, grant)?, digests(&lines[1], rules, grant)?];
    for run in runs(&digests[0], &digests[1], grant)?.into_iter().filter(|run| !run.same) {
        for index in 0..run.ours.len().max(run.theirs.len()) {
            let (a, b) = (run.ours.clone().nth(index), run.theirs.clone().nth(index));
            let spot = at.and(&Spot::nth("line", before + a.or(b).unwrap_or_default() + 1));
            let pair = [a.map(|line| lines[0][line]), b.map(|line| lines[1][line])];
            line(told, before + run.ours.start + index, &spot, pair, grant)?;
            if told.is_full() {
                return Ok(NOTHING);
            }
        }
    }
    Ok(NOTHING)
}

/// What all lines have in common that are equal under the rules.
fn digests(lines: &[&[u8]], rules: &Rules, grant: Grant<'_>) -> Result<Vec<u64>, Unread> {
    let mut digests = Vec::with_capacity(lines.len());
    for line in lines {
        let Some((_, tape)) = read::body(line.trim_ascii(), grant)? else {
            digests.push(super::super::hash(line.trim_ascii()) as u64);
            continue;
        };
        let mut store = Vec::new();
        let document = read::document(tape, &mut store, rules, grant)?;
        digests.push(document.digests(rules, grant)?.digest(0));
    }
    Ok(digests)
}

fn line(
    told: &mut Told<'_>,
    order: usize,
    at: &Spot,
    [ours, theirs]: [Option<&[u8]>; 2],
    grant: Grant<'_>,
) -> Result<(), Obstacle> {
    if let (Some(ours), Some(theirs)) = (ours, theirs)
        && documents(told, order, at, [ours, theirs], grant)?
    {
        return Ok(());
    }
    let both = [described(ours, told.rules, grant)?, described(theirs, told.rules, grant)?];
    let kind =
        if ours.is_some() && theirs.is_some() { Kind::Type } else { kind_of(&[ours, theirs]) };
    // Who knows what is in lines that are no JSON.
    let kind = if both[0] == both[1] { Kind::Value } else { kind };
    told.said(order, at, kind, both);
    Ok(())
}

/// Tells what differs between two documents; nothing where one of them is no JSON.
pub(super) fn documents(
    told: &mut Told<'_>,
    order: usize,
    at: &Spot,
    [ours, theirs]: [&[u8]; 2],
    grant: Grant<'_>,
) -> Result<bool, Obstacle> {
    let parsed = (read::body(ours.trim_ascii(), grant)?, read::body(theirs.trim_ascii(), grant)?);
    let (Some((_, ours)), Some((_, theirs))) = parsed else { return Ok(false) };
    let [mut our_store, mut their_store] = [Vec::new(), Vec::new()];
    let ours = read::document(ours, &mut our_store, told.rules, grant)?;
    let theirs = read::document(theirs, &mut their_store, told.rules, grant)?;
    let within = detail::differences(&ours, &theirs, told.rules, grant)?;
    let more = within.more;
    for mut difference in within.differences() {
        difference.place = format!("{} {}", at.place, difference.place);
        difference.field = format!("{} {}", at.field, difference.field);
        told.push(order, difference);
    }
    if more {
        told.more();
    }
    Ok(true)
}

fn described(
    line: Option<&[u8]>,
    rules: &Rules,
    grant: Grant<'_>,
) -> Result<Option<String>, Obstacle> {
    let Some(line) = line else { return Ok(None) };
    let Some((_, tape)) = read::body(line.trim_ascii(), grant)? else {
        return Ok(Some("no JSON".to_owned()));
    };
    let mut store = Vec::new();
    let document: Document<'_> = read::document(tape, &mut store, rules, grant)?;
    let mark = document.mark(0);
    if mark.hidden || mark.mask.is_some() {
        return Ok(Some(MASK.to_owned()));
    }
    Ok(Some(show::value(&document.tape, 0, rules)))
}
