//! Where a body ends, by RFC 9112 section 6.3. What two recipients may read differently is malformed: who
//! only listens does not know how the server read it, and must not guess.

use traffic::Headers;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunks, up to one of no bytes.
    Chunked,
    /// All up to the connection's end.
    UntilClose,
}

/// What about a request says how its answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    /// HEAD: the answer has no body whatever it says.
    Head,
    /// CONNECT: an answer that grants it is the last message.
    Connect,
    /// Any other.
    #[default]
    Other,
}

impl Asked {
    pub(crate) fn of(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// How a request's body ends; `None` where that cannot be told.
pub(crate) fn of_request(version: &[u8], headers: &Headers) -> Option<Framing> {
    match (codings(version, headers)?, length(headers)?) {
        (Coding::None, None) => Some(Framing::Nothing),
        (Coding::None, Some(length)) => Some(known(length)),
        (Coding::Chunked, None) => Some(Framing::Chunked),
        _ => None,
    }
}

/// How an answer's body ends; `None` where that cannot be told.
pub(crate) fn of_answer(
    version: &[u8],
    status: u16,
    headers: &Headers,
    asked: Asked,
) -> Option<Framing> {
    if asked == Asked::Head || matches!(status, 100..=199 | 204 | 304) {
        return Some(Framing::Nothing);
    }
    match (codings(version, headers)?, length(headers)?) {
        (Coding::None | Coding::Other, None) => Some(Framing::UntilClose),
        (Coding::None, Some(length)) => Some(known(length)),
        (Coding::Chunked, None) => Some(Framing::Chunked),
        _ => None,
    }
}

fn known(length: u64) -> Framing {
    if length == 0 { Framing::Nothing } else { Framing::Length(length) }
}

enum Coding {
    None,
    Chunked,
    Other,
}

/// Values of this header, taken apart at commas.
fn members<'a>(headers: &'a Headers, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name));
    named.flat_map(|(_, value)| value.split(|it| *it == b',')).map(<[u8]>::trim_ascii)
}

fn codings(version: &[u8], headers: &Headers) -> Option<Coding> {
    let is_chunked = |it: &&[u8]| it.eq_ignore_ascii_case(b"chunked");
    let chunked = members(headers, b"transfer-encoding").filter(is_chunked).count();
    let last = members(headers, b"transfer-encoding").last();
    match (last, chunked) {
        (None, _) => Some(Coding::None),
        // Its framing is faulty by RFC 9112 section 6.1.
        (Some(_), _) if version == b"1.0" => None,
        (Some(last), 1) if is_chunked(&last) => Some(Coding::Chunked),
        (Some(_), 0) => Some(Coding::Other),
        _ => None,
    }
}

fn length(headers: &Headers) -> Option<Option<u64>> {
    let mut length = None;
    for member in members(headers, b"content-length") {
        let digits = !member.is_empty() && member.iter().all(u8::is_ascii_digit);
        let value = std::str::from_utf8(member).ok().filter(|_| digits)?.parse().ok()?;
        if length.is_some_and(|it: u64| it != value) {
            return None;
        }
        length = Some(value);
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> Headers {
        lines
            .iter()
            .map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into()))
            .collect()
    }

    #[test]
    fn a_request_whose_end_is_in_doubt_has_none() {
        const CL: &str = "Content-Length";
        const TE: &str = "transfer-encoding";
        for lines in [
            &[(CL, "5"), (TE, "chunked")][..],
            &[(CL, "5"), (CL, "6")],
            &[(CL, "5, 6")],
            &[(CL, "-1")],
            &[(CL, "+1")],
            &[(CL, "")],
            &[(CL, "18446744073709551616")],
            &[(CL, "0x5")],
            &[(TE, "gzip")],
            &[(TE, "chunked, gzip")],
            &[(TE, "chunked"), (TE, "chunked")],
            &[(TE, "xchunked")],
        ] {
            assert_eq!(of_request(b"1.1", &headers(lines)), None, "{lines:?}");
        }
        assert_eq!(of_request(b"1.0", &headers(&[(TE, "chunked")])), None);
        let same = headers(&[(CL, "5"), (CL, "5,5")]);
        assert_eq!(of_request(b"1.1", &same), Some(Framing::Length(5)));
        let coded = headers(&[(TE, "gzip, Chunked")]);
        assert_eq!(of_request(b"1.1", &coded), Some(Framing::Chunked));
        assert_eq!(of_request(b"1.1", &headers(&[])), Some(Framing::Nothing));
    }

    #[test]
    fn an_answer_without_a_length_goes_on_until_the_end() {
        let none = headers(&[]);
        assert_eq!(of_answer(b"1.1", 200, &none, Asked::Other), Some(Framing::UntilClose));
        let coded = headers(&[("Transfer-Encoding", "gzip")]);
        assert_eq!(of_answer(b"1.1", 200, &coded, Asked::Other), Some(Framing::UntilClose));
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let lines = headers(&[("Content-Length", "5")]);
        for status in [100, 103, 204, 304] {
            assert_eq!(of_answer(b"1.1", status, &lines, Asked::Other), Some(Framing::Nothing));
        }
        assert_eq!(of_answer(b"1.1", 200, &lines, Asked::Head), Some(Framing::Nothing));
        assert_eq!(of_answer(b"1.1", 200, &lines, Asked::Connect), Some(Framing::Length(5)));
    }
}
