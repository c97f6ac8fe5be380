//! Whole messages of HTTP/1 (RFC 9112) from bytes: head, and body by length, in chunks or all the rest.

use bytes::Bytes;

use crate::exchange::{Answer, Body, Headers, Request, header};

/// A request; the error says what is wrong with it.
pub(super) fn request(message: &[u8], most_headers: usize) -> Result<Request, String> {
    let mut lines = vec![httparse::EMPTY_HEADER; most_headers];
    let mut head = httparse::Request::new(&mut lines);
    let length = complete(head.parse(message))?;
    let headers = owned(head.headers);
    let (body, _) = body(&message[length..], &headers, most_headers)?;
    Ok(Request {
        method: head.method.map_or_else(Bytes::new, |it| Bytes::copy_from_slice(it.as_bytes())),
        target: head.path.map_or_else(Bytes::new, |it| Bytes::copy_from_slice(it.as_bytes())),
        version: version(head.version),
        headers,
        body,
    })
}

/// The answer to a request of this method. What comes before a final answer is passed over.
pub(super) fn answer(
    mut message: &[u8],
    method: &[u8],
    most_headers: usize,
) -> Result<Answer, String> {
    let mut lines = vec![httparse::EMPTY_HEADER; most_headers];
    loop {
        let mut head = httparse::Response::new(&mut lines);
        let length = complete(head.parse(message))?;
        let status = head.code.unwrap_or_default();
        let rest = &message[length..];
        // 101 is final (RFC 9110, 15.2.2).
        if (100..200).contains(&status) && status != 101 && !rest.is_empty() {
            message = rest;
            lines.fill(httparse::EMPTY_HEADER);
            continue;
        }
        let headers = owned(head.headers);
        let (body, trailers) = if has_no_body(status, method) {
            (Body::default(), Headers::new())
        } else {
            body(rest, &headers, most_headers)?
        };
        return Ok(Answer { status, headers, body, trailers, ..Answer::default() });
    }
}

/// RFC 9112, 6.3: whatever its head says.
pub(super) fn has_no_body(status: u16, method: &[u8]) -> bool {
    method == b"HEAD" || matches!(status, 100..200 | 204 | 304)
}

fn complete(parsed: httparse::Result<usize>) -> Result<usize, String> {
    match parsed {
        Ok(httparse::Status::Complete(length)) => Ok(length),
        Ok(httparse::Status::Partial) => Err("its head does not end".to_owned()),
        Err(error) => Err(format!("its head: {error}")),
    }
}

fn version(minor: Option<u8>) -> Bytes {
    Bytes::from_static(if minor == Some(0) { b"1.0" } else { b"1.1" })
}

fn owned(lines: &[httparse::Header<'_>]) -> Headers {
    let owned = |it: &httparse::Header<'_>| {
        (Bytes::copy_from_slice(it.name.as_bytes()), Bytes::copy_from_slice(it.value))
    };
    lines.iter().map(owned).collect()
}

fn body(rest: &[u8], headers: &Headers, most_headers: usize) -> Result<(Body, Headers), String> {
    if is_chunked(headers) {
        return unchunked(rest, most_headers);
    }
    let Some(length) = header(headers, "content-length") else {
        return Ok((Body::Whole(Bytes::copy_from_slice(rest)), Headers::new()));
    };
    let length = std::str::from_utf8(length).ok().and_then(|it| it.parse::<u64>().ok());
    let length = length.ok_or("its content-length is no number")?;
    let whole = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let body = whole.map(|bytes| Body::Whole(Bytes::copy_from_slice(bytes)));
    Ok((body.unwrap_or(Body::NotKept(Some(length))), Headers::new()))
}

/// The last coding of the last line is `chunked` (RFC 9112, 6.1).
fn is_chunked(headers: &Headers) -> bool {
    let lines = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"));
    let last = lines.last().and_then(|(_, value)| value.rsplit(|byte| *byte == b',').next());
    last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// RFC 9112, 7.1. A body that is cut off was not kept.
fn unchunked(mut rest: &[u8], most_headers: usize) -> Result<(Body, Headers), String> {
    let cut_off = Ok((Body::NotKept(None), Headers::new()));
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return cut_off,
            Err(_) => return Err("a chunk has no size".to_owned()),
        };
        rest = &rest[start..];
        if size == 0 {
            break;
        }
        let Some((chunk, after)) =
            usize::try_from(size).ok().and_then(|it| rest.split_at_checked(it))
        else {
            return cut_off;
        };
        body.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', after @ ..] => after,
            b"" | b"\r" => return cut_off,
            _ => return Err("a chunk is longer than its size".to_owned()),
        };
    }
    let mut lines = vec![httparse::EMPTY_HEADER; most_headers];
    match httparse::parse_headers(rest, &mut lines) {
        Ok(httparse::Status::Complete((_, trailers))) => {
            Ok((Body::Whole(Bytes::from(body)), owned(trailers)))
        }
        Ok(httparse::Status::Partial) => cut_off,
        Err(error) => Err(format!("its trailers: {error}")),
    }
}
