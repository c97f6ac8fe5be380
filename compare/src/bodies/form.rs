//! Forms (`application/x-www-form-urlencoded`), by the names of their fields.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode;

use super::super::Grant;
use super::super::difference::Kind;
use super::told::{Read, Spot, Told, Unread};

/// Most fields of a side that are read.
const FIELDS_MAX: usize = 2000;
/// Bytes that a field takes besides what is in it, about.
const FIELD: usize = 192;
/// Said where all fields are the same.
const NOTHING: &str = "only how the fields are written differs";

type Field<'t> = (Cow<'t, [u8]>, Cow<'t, [u8]>);
/// Which fields have a name.
type Named<'f> = HashMap<&'f [u8], Vec<usize>>;

/// Tells of fields of the same name in their order.
pub(super) fn tell(texts: [&[u8]; 2], told: &mut Told<'_>, at: &Spot, grant: Grant<'_>) -> Read {
    let ours = read(texts[0], grant)?;
    let theirs = read(texts[1], grant)?;
    let (our_names, their_names) = (named(&ours), named(&theirs));
    let mut order = Vec::new();
    for (a, (name, value)) in ours.iter().enumerate() {
        let nth = nth(&our_names, name, a);
        match their_names.get(&name[..]).and_then(|fields| fields.get(nth)) {
            Some(b) => {
                order.push(*b);
                if theirs[*b].1 != *value {
                    told.texts(a, &at.and(&spot(told, name)), [Some(value), Some(&theirs[*b].1)]);
                }
            }
            None => told.texts(a, &at.and(&spot(told, name)), [Some(value), None]),
        }
    }
    for (b, (name, value)) in theirs.iter().enumerate() {
        let nth = nth(&their_names, name, b);
        if our_names.get(&name[..]).is_none_or(|fields| fields.len() <= nth) {
            told.texts(b, &at.and(&spot(told, name)), [None, Some(value)]);
        }
    }
    if !order.is_sorted() {
        let count = |fields: &[Field<'_>]| Some(format!("{} fields", fields.len()));
        told.said(0, &at.and(&Spot::one("fields")), Kind::Order, [count(&ours), count(&theirs)]);
    }
    Ok(NOTHING)
}

fn spot(told: &Told<'_>, name: &[u8]) -> Spot {
    let shown = told.name(name);
    let place = format!("field {shown}");
    Spot { field: format!("field {}", any_index(&shown)), place, hidden: told.hides(name) }
}

/// A name with `[*]` for every number in brackets.
fn any_index(name: &str) -> String {
    let mut parts = name.split('[');
    let mut any = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        any.push('[');
        match part.split_once(']') {
            Some((index, rest))
                if !index.is_empty() && index.bytes().all(|it| it.is_ascii_digit()) =>
            {
                any.push_str("*]");
                any.push_str(rest);
            }
            _ => any.push_str(part),
        }
    }
    any
}

fn read<'t>(text: &'t [u8], grant: Grant<'_>) -> Result<Vec<Field<'t>>, Unread> {
    let parts = || text.trim_ascii().split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    let count = parts().take(FIELDS_MAX + 1).count();
    if count > FIELDS_MAX || !grant(2 * text.len() + count * FIELD) {
        return Err(Unread);
    }
    let field = |part: &'t [u8]| {
        let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        (decoded(&part[..at]), decoded(part.get(at + 1..).unwrap_or_default()))
    };
    Ok(parts().map(field).collect())
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let spaces: Vec<_> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaces).collect())
}

fn named<'f>(fields: &'f [Field<'_>]) -> Named<'f> {
    let mut named = Named::new();
    for (at, (name, _)) in fields.iter().enumerate() {
        named.entry(&name[..]).or_default().push(at);
    }
    named
}

/// How many fields of this name are before this one.
fn nth(named: &Named<'_>, name: &[u8], at: usize) -> usize {
    named.get(name).map_or(0, |fields| fields.partition_point(|other| *other < at))
}
