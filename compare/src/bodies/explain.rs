//! Where two bodies differ that are no JSON, in the way that fits what they are. Of what cannot be read so no more is
//! told than that it differs, and from where on.

use super::super::Grant;
use super::super::difference::{Difference, Kind};
use super::super::policy::Rules;
use super::multipart::{self, Part};
use super::sort::Sort;
use super::told::{Read, Spot, Told, Unread};
use super::tree::Tree;
use super::{csv, elements, form, html, lines, ndjson, offset, signature, xml};

/// Said where all parts are the same.
const NO_PART: &str = "only what is between the parts, or their headers, differs";

/// Said where all that differs is what copies have in another form.
const ALIASES: &str = "only how it is written and what copies have in another form differs";

/// A body and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'t> {
    pub(super) content_type: Option<&'t [u8]>,
    pub(super) bytes: &'t [u8],
}

/// What differs, and whether there is more; the difference as a whole where no more can be told.
pub(super) fn explained(
    sides: [Content<'_>; 2],
    mut whole: Difference,
    rules: &Rules,
    grant: Grant<'_>,
) -> (Vec<Difference>, bool) {
    if sides.iter().any(|side| side.bytes.trim_ascii().is_empty()) {
        return (vec![whole], false);
    }
    let sorts = sides.map(|side| Sort::of(side.content_type, side.bytes));
    if sorts.contains(&Sort::Message) {
        return (vec![whole], false);
    }
    let mut told = Told::new(rules);
    let nothing = match told_in(&mut told, sides, sorts, &Spot::one("body"), grant) {
        Ok(nothing) => nothing,
        Err(Unread) if sorts.contains(&Sort::Bytes) => {
            return (vec![offset::told(sides.map(|side| side.bytes), whole, rules)], false);
        }
        // The note says from which line on.
        Err(Unread) => return (vec![whole], false),
    };
    let nothing = if told.has_aliases() { ALIASES } else { nothing };
    let (list, more) = told.into_list();
    if !list.is_empty() {
        return (list, more);
    }
    whole.note = Some(match whole.note.take() {
        Some(note) => format!("{nothing}; {note}"),
        None => nothing.to_owned(),
    });
    (vec![whole], false)
}

/// Tells in the way that fits.
fn told_in(
    told: &mut Told<'_>,
    sides: [Content<'_>; 2],
    sorts: [Sort<'_>; 2],
    at: &Spot,
    grant: Grant<'_>,
) -> Read {
    if sorts.contains(&Sort::Bytes) && sorts[0].is_same(sorts[1]) {
        return Err(Unread);
    }
    if let [Sort::File(_), _] | [_, Sort::File(_)] = sorts {
        return files(told, sides, sorts, at);
    }
    if !sorts[0].is_same(sorts[1]) {
        let [ours, theirs] =
            [0, 1].map(|side| signature::described(sorts[side].name(), sides[side].bytes));
        told.said(0, at, Kind::Type, [Some(ours), Some(theirs)]);
        return Ok("");
    }
    if let [Sort::Multipart(ours), Sort::Multipart(theirs)] = sorts {
        return parts(told, sides, [ours, theirs], at, grant);
    }
    single(told, sides.map(|side| side.bytes), sorts, at, grant)
}

/// Texts of one sort.
fn single(
    told: &mut Told<'_>,
    texts: [&[u8]; 2],
    sorts: [Sort<'_>; 2],
    at: &Spot,
    grant: Grant<'_>,
) -> Read {
    match sorts {
        [Sort::Html, _] => trees(told, texts, html::read, at, grant),
        // What is not well-formed is read as pages are. Not by its lines: what is a secret in it is not known there.
        [Sort::Xml, _] => trees(told, texts, xml::read, at, grant)
            .or_else(|Unread| trees(told, texts, html::read, at, grant)),
        [Sort::Csv(ours), Sort::Csv(theirs)] => csv::tell(texts, [ours, theirs], told, at, grant),
        [Sort::Ndjson, _] => ndjson::tell(texts, told, at, grant),
        [Sort::Form, _] => form::tell(texts, told, at, grant),
        _ => lines::tell(texts, told, at, grant),
    }
}

fn trees(
    told: &mut Told<'_>,
    texts: [&[u8]; 2],
    read: fn(&str, Grant<'_>) -> Result<Tree, Unread>,
    at: &Spot,
    grant: Grant<'_>,
) -> Read {
    let [ours, theirs] = texts.map(|text| std::str::from_utf8(text).map_err(|_| Unread));
    let (ours, theirs) = (read(ours?, grant)?, read(theirs?, grant)?);
    elements::tell([&ours, &theirs], told, at, grant)
}

/// By type and size alone.
fn files(told: &mut Told<'_>, sides: [Content<'_>; 2], sorts: [Sort<'_>; 2], at: &Spot) -> Read {
    let lengths = sides.map(|side| side.bytes.len());
    let kind = match (sorts[0] == sorts[1], lengths[0] == lengths[1]) {
        (false, _) => Kind::Type,
        (true, false) => Kind::Length,
        (true, true) => Kind::Value,
    };
    let described =
        [0, 1].map(|side| Some(signature::described(sorts[side].name(), sides[side].bytes)));
    told.said(0, at, kind, described);
    Ok("")
}

fn parts(
    told: &mut Told<'_>,
    sides: [Content<'_>; 2],
    boundaries: [&[u8]; 2],
    at: &Spot,
    grant: Grant<'_>,
) -> Read {
    let ours = multipart::parts(sides[0].bytes, boundaries[0], grant)?;
    let theirs = multipart::parts(sides[1].bytes, boundaries[1], grant)?;
    for (order, [a, b]) in multipart::pairs(&ours, &theirs).into_iter().enumerate() {
        let both = [a.map(|a| ours[a]), b.map(|b| theirs[b])];
        let Some(named) = both[0].or(both[1]) else { continue };
        let spot = at.and(&multipart::spot(told, &named, a.or(b).unwrap_or_default()));
        match both {
            [Some(one), Some(two)] => part(told, order, [one, two], &spot, grant),
            [one, two] => {
                let size = |part: Option<Part<'_>>| {
                    part.map(|part| signature::described("part", part.bytes))
                };
                let kind = if one.is_some() { Kind::Missing } else { Kind::Added };
                told.said(order, &spot, kind, [size(one), size(two)]);
            }
        }
        if told.is_full() {
            break;
        }
    }
    Ok(NO_PART)
}

/// What differs within two parts. A part of several parts is not taken apart.
fn part(told: &mut Told<'_>, order: usize, parts: [Part<'_>; 2], at: &Spot, grant: Grant<'_>) {
    let [ours, theirs] = parts;
    if ours.bytes == theirs.bytes {
        return;
    }
    if at.hidden {
        told.texts(order, at, [Some(ours.bytes), Some(theirs.bytes)]);
        return;
    }
    let before = told.len();
    if ndjson::documents(told, order, at, parts.map(|part| part.bytes), grant) == Ok(true) {
        return;
    }
    told.truncate(before);
    let sides = parts.map(|part| Content { content_type: part.content_type, bytes: part.bytes });
    let sorts = sides.map(|side| Sort::of(side.content_type, side.bytes));
    let is_opaque = |sort: &Sort<'_>| matches!(sort, Sort::Message | Sort::Multipart(_));
    let read = match sorts.iter().any(is_opaque) {
        true => Err(Unread),
        false => told_in(told, sides, sorts, at, grant),
    };
    if read.is_err() || told.len() == before {
        told.truncate(before);
        let size = parts.map(|part| Some(signature::described("part", part.bytes)));
        let kind = if ours.bytes.len() == theirs.bytes.len() { Kind::Value } else { Kind::Length };
        told.said(order, at, kind, size);
    }
}
