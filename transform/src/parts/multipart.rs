//! The parts of a multipart body (RFC 2046 section 5.1, RFC 7578), changed in place.

use std::borrow::Cow;

/// One part.
#[derive(Clone, Copy, Debug)]
pub struct Part<'b> {
    /// Its name, where its `Content-Disposition` has one.
    pub name: Option<&'b str>,
    /// Its header lines.
    pub head: &'b [u8],
    /// What it says.
    pub body: &'b [u8],
}

/// What becomes of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Keep,
    /// It is taken out.
    Remove,
    /// It says this.
    Body(Vec<u8>),
    /// It has these header lines and says this.
    Both(Vec<u8>, Vec<u8>),
}

/// Changes parts; `None` where the body is not what its boundary says, has no part, has anything before the first or
/// behind the last, or where readers may not agree on what a part is called.
pub fn rewrite<'b>(
    body: &'b [u8],
    boundary: &str,
    edit: &mut dyn FnMut(Part<'b>) -> Edit,
) -> Option<Cow<'b, [u8]>> {
    let delimiter = format!("--{boundary}");
    let lone = format!("\n{delimiter}").into_bytes();
    let mut at = first(body, delimiter.as_bytes())?;
    let mut out = Vec::new();
    // So much of the body is written, or left out.
    let mut copied = 0;
    let mut changed = false;
    let mut count = 0;
    loop {
        let behind = at + delimiter.len();
        if let Some(rest) = body[behind..].strip_prefix(b"--") {
            if !rest.trim_ascii().is_empty() {
                return None;
            }
            break;
        }
        let from = line_end(body, behind)?;
        // An empty part has no line end but that of the delimiter before it.
        let next = from - 2 + next(&body[from - 2..], delimiter.as_bytes())?;
        let to = (next - 2).max(from);
        // To some a line ends with LF alone.
        if find(&body[from..to], &lone).is_some() {
            return None;
        }
        let part = part(&body[from..to])?;
        count += 1;
        match edit(part) {
            Edit::Keep => {}
            Edit::Remove => {
                changed = true;
                out.extend_from_slice(&body[copied..at]);
                copied = next;
            }
            Edit::Body(with) => {
                changed = true;
                let start = to - part.body.len();
                out.extend_from_slice(&body[copied..start]);
                out.extend_from_slice(&with);
                copied = to;
            }
            Edit::Both(head, with) => {
                changed = true;
                out.extend_from_slice(&body[copied..from]);
                let lines = if head.is_empty() { &b"\r\n"[..] } else { b"\r\n\r\n" };
                out.extend_from_slice(&[&head, lines, &with].concat());
                copied = to;
            }
        }
        at = next;
    }
    if count == 0 {
        return None;
    }
    if !changed {
        return Some(Cow::Borrowed(body));
    }
    out.extend_from_slice(&body[copied..]);
    Some(Cow::Owned(out))
}

/// The same with another field at the end; `None` for a name that no head can have.
pub fn with(body: &[u8], boundary: &str, name: &str, value: &str) -> Option<Vec<u8>> {
    if name.contains(['"', '\\', '\r', '\n']) {
        return None;
    }
    let last = memchr::memmem::rfind(body, format!("--{boundary}--").as_bytes())?;
    let field = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
    );
    Some([&body[..last], field.as_bytes(), &body[last..]].concat())
}

/// Where the first delimiter begins, with nothing but line ends before it.
fn first(body: &[u8], delimiter: &[u8]) -> Option<usize> {
    let at = body.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    body[at..].starts_with(delimiter).then_some(at)
}

/// Where the next delimiter begins that has a line end before it.
fn next(body: &[u8], delimiter: &[u8]) -> Option<usize> {
    let line: Vec<u8> = [b"\r\n", delimiter].concat();
    find(body, &line).map(|at| at + 2)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

/// Where the line ends that a delimiter is on; only spaces may be behind it.
fn line_end(body: &[u8], from: usize) -> Option<usize> {
    let spaces = body[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let at = from + spaces;
    body[at..].starts_with(b"\r\n").then_some(at + 2)
}

fn part(text: &[u8]) -> Option<Part<'_>> {
    let (head, body) = match text.strip_prefix(b"\r\n") {
        Some(body) => (&text[..0], body),
        None => {
            let end = find(text, b"\r\n\r\n")?;
            (&text[..end], &text[end + 4..])
        }
    };
    Some(Part { name: name(head)?, head, body })
}

/// The name in `Content-Disposition`, which may have none; `None` where readers may take it for another.
fn name(head: &[u8]) -> Option<Option<&str>> {
    let text = std::str::from_utf8(head).ok()?;
    let mut found = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        // A line that goes on begins with a space (RFC 822), and is one to some.
        let (key, value) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t']))?;
        if key.trim().eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some()
        {
            return None;
        }
    }
    let mut name = None;
    let mut rest = found.unwrap_or_default().split_once(';').map_or("", |(_, rest)| rest);
    while !rest.trim_matches([' ', '\t', ';']).is_empty() {
        let (key, value, behind) = parameter(rest)?;
        let is_name = key.eq_ignore_ascii_case("name");
        if key.eq_ignore_ascii_case("name*") || is_name && name.replace(value).is_some() {
            return None;
        }
        rest = behind;
    }
    Some(name)
}

/// The first parameter of these (RFC 2045 section 5.1), and what is behind it.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (key, value) = text.trim_start_matches([' ', '\t', ';']).split_once('=')?;
    let (key, value) = (key.trim(), value.trim_start());
    if key.contains([';', '"', ' ']) {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => {
            let (value, behind) = quoted.split_once('"')?;
            let behind = behind.trim_start();
            let is_whole = behind.is_empty() || behind.starts_with(';');
            // To some a quote that is escaped does not end it.
            (is_whole && !value.ends_with('\\')).then_some((key, value, behind))
        }
        None => {
            let (value, behind) = value.split_at(value.find(';').unwrap_or(value.len()));
            Some((key, value.trim_end(), behind))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\n\
        content-disposition: form-data; filename=\"x;y\"; name=f\r\nContent-Type: text/plain\r\n\r\n\r\n--b--\r\n";

    fn names(body: &str) -> Option<Vec<String>> {
        let mut names = Vec::new();
        rewrite(body.as_bytes(), "b", &mut |part| {
            let body = String::from_utf8_lossy(part.body);
            names.push(format!("{}={body}", part.name.unwrap_or("-")));
            Edit::Keep
        })?;
        Some(names)
    }

    #[test]
    fn parts_are_found_by_their_boundary() {
        assert_eq!(names(BODY).unwrap(), ["a=1", "f="]);
        assert_eq!(names(&format!("\r\n{BODY}\r\n")).unwrap(), ["a=1", "f="]);
        assert_eq!(names("--b\r\n\r\nx--b\r\n--b--").unwrap(), ["-=x--b"]);
        for bad in
            ["", "x", "--b--", "--b\r\n\r\nx", "--b\r\nno head\r\n--b--", "--bx\r\n\r\n--b--"]
        {
            assert_eq!(names(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_readers_may_read_otherwise_is_none() {
        let lone = BODY.replacen("\r\n1\r\n--b\r\n", "\r\n1\n--b\n", 1);
        for bad in [format!("before\r\n{BODY}"), format!("{BODY}behind"), lone] {
            assert_eq!(names(&bad), None, "{bad:?}");
        }
        let named = |head: &str| names(&format!("--b\r\n{head}\r\n\r\n1\r\n--b--"));
        const IT: &str = "Content-Disposition: form-data";
        for head in [
            format!("{IT};\r\n name=\"a\""),
            format!("{IT}; flag; name=\"a\""),
            format!("{IT}; name=\"b\"; name=\"a\""),
            format!("{IT}; name*=utf-8''a"),
            format!("{IT}; name=\"b\\\"; x=\"a\""),
            format!("{IT}; name=\"b\"a"),
            format!("{IT}; name=\"b\"\r\n{IT}; name=\"a\""),
        ] {
            assert_eq!(named(&head), None, "{head}");
        }
        for head in
            [format!("{IT};; name=\"a\";"), format!("{IT}; filename=\"C:\\d\\f\"; NAME = a ; x=y")]
        {
            assert_eq!(named(&head).unwrap(), ["a=1"], "{head}");
        }
    }

    #[test]
    fn what_is_not_changed_stays_as_it_was() {
        let changed = rewrite(BODY.as_bytes(), "b", &mut |part| match part.name {
            Some("a") => Edit::Body(b"two\r\nlines".to_vec()),
            _ => Edit::Keep,
        });
        let text = String::from_utf8(changed.unwrap().into_owned()).unwrap();
        assert_eq!(text, BODY.replacen("\r\n1\r\n", "\r\ntwo\r\nlines\r\n", 1));
        let changed = rewrite(BODY.as_bytes(), "b", &mut |part| match part.name {
            Some("a") => Edit::Both(b"x: y".to_vec(), b"2".to_vec()),
            _ => Edit::Both(Vec::new(), b"3".to_vec()),
        });
        assert_eq!(changed.unwrap(), &b"--b\r\nx: y\r\n\r\n2\r\n--b\r\n\r\n3\r\n--b--\r\n"[..]);
        let more = with(BODY.as_bytes(), "b", "x", "2").unwrap();
        assert_eq!(names(std::str::from_utf8(&more).unwrap()).unwrap(), ["a=1", "f=", "x=2"]);
        assert_eq!(with(BODY.as_bytes(), "b", "x\"", "2"), None);
        let removed = rewrite(BODY.as_bytes(), "b", &mut |part| match part.name {
            Some("a") => Edit::Remove,
            _ => Edit::Keep,
        });
        let text = String::from_utf8(removed.unwrap().into_owned()).unwrap();
        assert_eq!(names(&text).unwrap(), ["f="]);
        assert!(text.starts_with("--b\r\n") && text.ends_with("--b--\r\n"), "{text}");
    }
}
