//! A text that is no JSON as it may be kept, line by line: of no line more than what may be told of it where it
//! differs.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::policy::Rules;
use super::super::redaction::MASK;
use super::super::{Grant, read};
use super::lines::{Lines, has_key};
use super::looks;
use super::sort::Sort;
use super::told::Told;

/// Bytes of what stands for a line that is hidden.
const HIDDEN: usize = 24;

/// Keeps a document, with hashes for what is hidden.
pub(crate) type KeepDocument = fn(&[u8], &Rules, Grant<'_>) -> Option<Vec<u8>>;

/// The lines of a text; `None` for what is read in another way than by its lines, or where memory is not granted. What
/// is hidden is `"***` with a hash, in quotes as in JSON, so that two are equal where the lines are.
pub(crate) fn kept_text(
    content_type: Option<&[u8]>,
    bytes: &[u8],
    rules: &Rules,
    keep: KeepDocument,
    grant: Grant<'_>,
) -> Option<Vec<u8>> {
    let bytes = bytes.trim_ascii_end();
    let count = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'&')).count() + 1;
    if bytes.is_empty() || !grant(2 * bytes.len() + HIDDEN * count) {
        return None;
    }
    let lines = Lines { rest: Some(bytes) };
    let text: Vec<Cow<'_, [u8]>> = match Sort::of(content_type, bytes) {
        Sort::Lines if is_open(bytes) => of_text(lines, rules),
        Sort::Ndjson => lines.map(|line| document(line, rules, keep, grant)).collect(),
        Sort::Form => of_form(bytes, rules),
        _ => return None,
    };
    Some(text.join(&b'\n'))
}

/// Whether all that can be known of a line is in it and before it: not in a key, and not in JSON, even if it is cut off
/// or stands behind something.
fn is_open(text: &[u8]) -> bool {
    let (_, text) = read::frame(text.trim_ascii_start());
    let begins_like_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
    !begins_like_json && !has_key(text)
}

fn of_text<'t>(lines: Lines<'t>, rules: &Rules) -> Vec<Cow<'t, [u8]>> {
    let mut is_labelled = false;
    let line = |line: &'t [u8]| {
        if line.trim_ascii().is_empty() {
            return Cow::Borrowed(line);
        }
        let is_hidden = std::mem::replace(&mut is_labelled, looks::is_label(line, rules));
        shown(line, is_hidden, rules)
    };
    lines.map(line).collect()
}

fn of_form<'t>(text: &'t [u8], rules: &Rules) -> Vec<Cow<'t, [u8]>> {
    let told = Told::new(rules);
    let field = |part: &[u8]| {
        let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (name, value) = (decoded(&part[..at]), decoded(part.get(at + 1..).unwrap_or_default()));
        let value = shown(&value, told.hides(&name), rules).into_owned();
        let name = shown(&name, false, rules).into_owned();
        // As a member is written, so that a value that is hidden can be told from one that is not.
        Cow::Owned([b"\"", &name[..], b"\": ", &value].concat())
    };
    text.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(field).collect()
}

/// What was written as a part of a form, on one line.
fn decoded(part: &[u8]) -> Vec<u8> {
    let spaces: Vec<_> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text: Vec<u8> = percent_decode(&spaces).collect();
    String::from_utf8_lossy(&text).replace('\r', "\\r").replace('\n', "\\n").into_bytes()
}

fn document<'t>(
    line: &'t [u8],
    rules: &Rules,
    keep: KeepDocument,
    grant: Grant<'_>,
) -> Cow<'t, [u8]> {
    if line.trim_ascii().is_empty() {
        return Cow::Borrowed(b"");
    }
    // Who knows what is in lines that are no JSON.
    Cow::Owned(keep(line.trim_ascii(), rules, grant).unwrap_or_else(|| hidden(line, rules)))
}

/// A text, unless anything of it is not to be shown.
fn shown<'t>(text: &'t [u8], is_hidden: bool, rules: &Rules) -> Cow<'t, [u8]> {
    match is_hidden || *looks::shown(text, rules) != *text {
        true => Cow::Owned(hidden(text, rules)),
        false => Cow::Borrowed(text),
    }
}

fn hidden(text: &[u8], rules: &Rules) -> Vec<u8> {
    format!("\"{MASK}{:016x}\"", xxh3_64_with_seed(text, rules.seed)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::super::kept::hashed;
    use super::*;

    fn of(content_type: &str, text: &str) -> Option<String> {
        let (said, rules) = (Some(content_type.as_bytes()), Rules::default());
        let kept = kept_text(said, text.as_bytes(), &rules, hashed, &mut |_| true)?;
        Some(String::from_utf8(kept).unwrap())
    }

    fn masked(kept: &str) -> String {
        let is_mask = |line: &&str| line.contains("\"***");
        let line = |line: &str| match Some(line).filter(is_mask) {
            Some(line) => format!("{}~", &line[..line.find("\"***").unwrap()]),
            None => line.to_owned(),
        };
        kept.lines().map(line).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn of_lines_those_are_hidden_that_have_a_secret_or_stand_behind_its_name() {
        let text = "Hello\r\n  world,\ntoken=hunter2\n\nPassword:\n\nhunter2\nbye\n";
        assert_eq!(masked(&of("text/plain", text).unwrap()), "Hello|  world,|~||~||~|bye");
        for nothing in
            ["-----BEGIN KEY-----\nabc\n", "{\"a\":\n1", ")]}',\n{\"a\":1}", "", "\u{0}\n"]
        {
            assert_eq!(of("text/plain", nothing), None, "{nothing}");
        }
        assert_eq!(of("application/json", "{\"password\":\n\"hunter2\""), None);
    }

    #[test]
    fn hidden_lines_are_equal_where_they_were() {
        let [one, same, other] = ["1", "1", "2"].map(|it| of("text/plain", &format!("pin={it}")));
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    #[test]
    fn lines_of_json_are_kept_as_documents_are() {
        let text = "{\"a\": 1.50, \"password\": \"hunter2\"}\n\nhunter2\n";
        let kept = of("application/x-ndjson", text).unwrap();
        assert!(kept.starts_with("{\"a\":1.50,\"password\":\"***") && !kept.contains("hunter2"));
    }

    #[test]
    fn fields_of_a_form_are_hidden_by_their_names_and_by_what_they_say() {
        let form = "a=b+c%0Ad&user%5Bpassword%5D=hunter2&back=/x?token%3Dhunter2";
        let kept = of("application/x-www-form-urlencoded", form).unwrap();
        assert_eq!(masked(&kept), "\"a\": b c\\nd|\"user[password]\": ~|\"back\": ~");
    }

    #[test]
    fn what_is_read_by_names_that_stand_elsewhere_is_not_kept() {
        for said in ["text/html", "application/xml", "text/csv", "application/grpc"] {
            assert_eq!(of(said, "password,a\nhunter2,1"), None, "{said}");
        }
    }

    #[test]
    fn nothing_is_kept_where_memory_is_not_granted() {
        assert_eq!(kept_text(None, b"a", &Rules::default(), hashed, &mut |_| false), None);
    }
}
