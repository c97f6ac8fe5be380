//! The head of a message: found by the empty line behind it, and read by httparse into slices of one buffer.

use bytes::Bytes;
use traffic::{Answer, Clock, Headers, Request};

use super::line;
use crate::Limits;

/// Why a head is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    TooLarge,
}

/// Behind the empty line that ends a head, if it is there. No newline before `from` ends it.
pub(crate) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let newlines = memchr::memchr_iter(b'\n', bytes.get(from..)?);
    let mut behind = newlines.map(|at| from + at + 1);
    behind.find_map(|at| match bytes[at..] {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

/// From where to look for the end again, when more bytes are behind these.
pub(crate) fn searched(bytes: &[u8]) -> usize {
    bytes.len().saturating_sub(2)
}

/// What a head asks for, without a body.
pub(crate) fn request(head: &Bytes, limits: &Limits) -> Result<Request, Fault> {
    let (first, lines) = split(head)?;
    let line = line::request(first).ok_or(Fault::Malformed)?;
    Ok(Request {
        method: head.slice_ref(line.method),
        target: head.slice_ref(line.target),
        version: head.slice_ref(line.version),
        headers: headers(head, lines, limits)?,
        ..Request::default()
    })
}

/// What a head answers, without a body.
pub(crate) fn answer(head: &Bytes, limits: &Limits) -> Result<(Bytes, Answer), Fault> {
    let (first, lines) = split(head)?;
    let (version, status) = line::status(first).ok_or(Fault::Malformed)?;
    let headers = headers(head, lines, limits)?;
    Ok((
        head.slice_ref(version),
        Answer { status, headers, clock: Clock::Wire, ..Answer::default() },
    ))
}

fn split(head: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let newline = memchr::memchr(b'\n', head).ok_or(Fault::Malformed)?;
    Ok((line::content(&head[..=newline]), &head[newline + 1..]))
}

/// Header lines with the empty line behind them.
pub(crate) fn headers(whole: &Bytes, lines: &[u8], limits: &Limits) -> Result<Headers, Fault> {
    // The empty line is one of them.
    let count = memchr::memchr_iter(b'\n', lines).count().saturating_sub(1);
    if count > limits.headers {
        return Err(Fault::TooLarge);
    }
    let mut room = vec![httparse::EMPTY_HEADER; count];
    match httparse::parse_headers(lines, &mut room) {
        Ok(httparse::Status::Complete((used, parsed))) if used == lines.len() => {
            let of = |it: &httparse::Header<'_>| {
                (whole.slice_ref(it.name.as_bytes()), whole.slice_ref(it.value))
            };
            Ok(parsed.iter().map(of).collect())
        }
        _ => Err(Fault::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_it_is_cut() {
        for head in ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n"] {
            let head = head.as_bytes();
            for cut in 0..head.len() {
                assert_eq!(end(&head[..cut], 0), None);
                assert_eq!(end(head, searched(&head[..cut])), Some(head.len()), "{cut}");
            }
        }
    }

    #[test]
    fn names_and_values_keep_their_letters_and_their_order() {
        let head =
            Bytes::from_static(b"GET / HTTP/1.1\r\nhOsT: a\r\nB:\r\nA: \xff x \r\nB: 2\r\n\r\n");
        let request = request(&head, &Limits::default()).unwrap();
        let lines: Vec<_> =
            request.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"hOsT", b"a"), (b"B", b""), (b"A", b"\xff x"), (b"B", b"2")];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_recipients_read_differently_is_malformed() {
        for lines in ["A : b", " A: b", "A: b\r\n c", "A: b\rc", "A\0: b", "A", ": b", "A: \0"] {
            let head = Bytes::from(format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n"));
            assert_eq!(request(&head, &Limits::default()), Err(Fault::Malformed), "{lines:?}");
        }
    }

    #[test]
    fn header_lines_are_counted() {
        let limits = Limits { headers: 2, ..Limits::default() };
        let head = |lines: usize| {
            Bytes::from(format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(lines)))
        };
        assert!(request(&head(2), &limits).is_ok());
        assert_eq!(request(&head(3), &limits), Err(Fault::TooLarge));
    }
}
