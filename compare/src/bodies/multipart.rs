//! Bodies of several parts (RFC 2046 section 5.1), which belong together by their names or by their places.

use super::super::Grant;
use super::told::{Spot, Told, Unread};

/// Most parts of a side that are read.
const PARTS_MAX: usize = 256;
/// Bytes of a part's headers that are looked at.
const HEADERS_MAX: usize = 4096;

/// One part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part<'t> {
    pub(super) name: Option<&'t [u8]>,
    pub(super) content_type: Option<&'t [u8]>,
    pub(super) bytes: &'t [u8],
}

/// All parts; nothing where the body does not end as it must.
pub(super) fn parts<'t>(
    body: &'t [u8],
    boundary: &[u8],
    grant: Grant<'_>,
) -> Result<Vec<Part<'t>>, Unread> {
    if !grant(PARTS_MAX * size_of::<Part<'_>>()) {
        return Err(Unread);
    }
    let mut found = Vec::new();
    let mut rest = behind_line(body, boundary).ok_or(Unread)?.1;
    // `--` behind a boundary ends the body.
    while !rest.starts_with(b"--") {
        let start = rest.iter().position(|byte| *byte == b'\n').ok_or(Unread)? + 1;
        let (part, behind) = behind_line(&rest[start..], boundary).ok_or(Unread)?;
        if found.len() == PARTS_MAX {
            return Err(Unread);
        }
        found.push(Part::of(part));
        rest = behind;
    }
    Ok(found)
}

/// What is before the next line that begins with a boundary, and what is behind the boundary.
fn behind_line<'t>(body: &'t [u8], boundary: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let mut from = 0;
    loop {
        let line = &body[from..];
        let behind = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        if let Some(behind) = behind {
            let before = &body[..from];
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            return Some((before.strip_suffix(b"\r").unwrap_or(before), behind));
        }
        from += line.iter().position(|byte| *byte == b'\n')? + 1;
    }
}

impl<'t> Part<'t> {
    fn of(part: &'t [u8]) -> Self {
        let mut found = Self { bytes: part, ..Self::default() };
        let mut looked_at = 0;
        while looked_at < HEADERS_MAX {
            let end = found.bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (line, rest) = found.bytes.split_at(end.unwrap_or(found.bytes.len()));
            found.bytes = rest;
            looked_at += line.len();
            let line = line.trim_ascii();
            if line.is_empty() {
                break;
            }
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
            if line[..at].eq_ignore_ascii_case(b"content-type") {
                found.content_type = Some(value);
            } else if line[..at].eq_ignore_ascii_case(b"content-disposition") {
                found.name = name(value);
            }
        }
        found
    }
}

/// The parameter `name` of a `Content-Disposition` (RFC 7578 section 4.2).
fn name(value: &[u8]) -> Option<&[u8]> {
    let mut parameters = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = parameters.find(|it| it.len() > 5 && it[..5].eq_ignore_ascii_case(b"name="))?;
    let name = &named[5..];
    Some(name.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(name))
}

/// Which parts belong together: those of a name in their order, and those without by their number.
pub(super) fn pairs(ours: &[Part<'_>], theirs: &[Part<'_>]) -> Vec<[Option<usize>; 2]> {
    let mut taken = vec![false; theirs.len()];
    let mut pairs: Vec<_> = (0..ours.len())
        .map(|a| {
            let b = (0..theirs.len()).find(|b| !taken[*b] && theirs[*b].name == ours[a].name);
            b.inspect(|b| taken[*b] = true);
            [Some(a), b]
        })
        .collect();
    let left = taken.iter().enumerate().filter(|(_, taken)| !**taken);
    pairs.extend(left.map(|(b, _)| [None, Some(b)]));
    pairs
}

/// Where a part is.
pub(super) fn spot(told: &Told<'_>, part: &Part<'_>, at: usize) -> Spot {
    match part.name {
        Some(name) => {
            Spot { hidden: told.hides(name), ..Spot::one(&format!("part {}", told.name(name))) }
        }
        None => Spot::nth("part", at + 1),
    }
}
