//! From the lines of a head in HTTP/2 to a request or an answer (RFC 9113 section 8.3).

use bytes::Bytes;
use traffic::{Answer, Clock, Headers, Request};

use super::table::Line;

/// What the pseudo headers say, and the others.
#[derive(Debug, Default)]
struct Parts {
    method: Option<Bytes>,
    scheme: Option<Bytes>,
    path: Option<Bytes>,
    authority: Option<Bytes>,
    protocol: Option<Bytes>,
    status: Option<Bytes>,
    headers: Headers,
}

/// The request that these lines make, without a body; `None` if they make none.
pub(crate) fn request(lines: Vec<Line>) -> Option<Request> {
    let parts = Parts::of(lines)?;
    let method = parts.method.filter(|it| !it.is_empty())?;
    let is_connect = method == "CONNECT" && parts.protocol.is_none();
    let target = if is_connect { parts.authority.clone() } else { parts.path };
    if parts.status.is_some() || (!is_connect && parts.scheme.is_none()) {
        return None;
    }
    let mut headers = parts.headers;
    if let Some(authority) = parts.authority.filter(|it| !it.is_empty()) {
        // It says the same, or nothing that counts (RFC 9113 section 8.3.1).
        headers.retain(|(name, _)| name != "host");
        headers.insert(0, (Bytes::from_static(b"host"), authority));
    }
    Some(Request {
        method,
        target: target.filter(|it| !it.is_empty())?,
        version: Bytes::from_static(b"2"),
        headers,
        ..Request::default()
    })
}

/// The answer that these lines make, without a body; `None` if they make none.
pub(crate) fn answer(lines: Vec<Line>) -> Option<Answer> {
    let parts = Parts::of(lines)?;
    let asks = [&parts.method, &parts.path, &parts.scheme, &parts.authority, &parts.protocol];
    let status: [u8; 3] = parts.status?[..].try_into().ok()?;
    if asks.iter().any(|it| it.is_some())
        || !status.iter().all(u8::is_ascii_digit)
        || status[0] == b'0'
    {
        return None;
    }
    let status = status.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some(Answer { status, headers: parts.headers, clock: Clock::Wire, ..Answer::default() })
}

/// Trailers, which have no pseudo headers.
pub(crate) fn trailers(lines: Vec<Line>) -> Option<Headers> {
    lines.iter().all(|(name, _)| is_name(name)).then_some(lines)
}

/// The length that a head says its body has, if it does: `None` where that is no number.
pub(crate) fn length(headers: &Headers) -> Option<Option<u64>> {
    match traffic::exchange::header(headers, "content-length") {
        None => Some(None),
        Some(value) if value.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(value).ok()?.parse().ok().map(Some)
        }
        Some(_) => None,
    }
}

impl Parts {
    fn of(lines: Vec<Line>) -> Option<Self> {
        let mut parts = Self::default();
        for (name, value) in lines {
            if !name.starts_with(b":") {
                if !is_name(&name) {
                    return None;
                }
                parts.headers.push((name, value));
                continue;
            }
            let place = match &name[..] {
                b":method" => &mut parts.method,
                b":scheme" => &mut parts.scheme,
                b":path" => &mut parts.path,
                b":authority" => &mut parts.authority,
                b":protocol" => &mut parts.protocol,
                b":status" => &mut parts.status,
                _ => return None,
            };
            // Once, and in front of the others.
            if !parts.headers.is_empty() || place.replace(value).is_some() {
                return None;
            }
        }
        Some(parts)
    }
}

/// Whether it is a header's name (RFC 9113 section 8.2.1).
fn is_name(name: &[u8]) -> bool {
    let is_fine = |it: &u8| matches!(it, 0x21..0x7f) && !it.is_ascii_uppercase() && *it != b':';
    !name.is_empty() && name.iter().all(is_fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[(&'static str, &'static str)]) -> Vec<Line> {
        lines.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
    }

    const ASKED: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "x:1")];

    #[test]
    fn the_authority_is_the_host_in_front_of_all_headers() {
        let with = lines(&[&ASKED[..], &[("a", "b"), ("host", "X:1")]].concat());
        let request = request(with).unwrap();
        assert_eq!((&request.method[..], &request.target[..]), (&b"GET"[..], &b"/a?b"[..]));
        assert_eq!(request.headers, [("host".into(), "x:1".into()), ("a".into(), "b".into())]);
        let without = lines(&[&ASKED[..3], &[("host", "X:1")]].concat());
        assert_eq!(super::request(without).unwrap().headers, [("host".into(), "X:1".into())]);
    }

    #[test]
    fn what_is_no_request_is_none() {
        for more in [
            (":path", "/"),
            (":status", "200"),
            (":other", ""),
            ("Upper", ""),
            ("", ""),
            ("a b", ""),
        ] {
            assert_eq!(request(lines(&[&ASKED[..], &[more]].concat())), None, "{more:?}");
        }
        for without in 0..3 {
            let mut fewer = ASKED.to_vec();
            fewer.remove(without);
            assert_eq!(request(lines(&fewer)), None, "{without}");
        }
        let behind = [&[("a", "b")], &ASKED[..]].concat();
        assert_eq!(request(lines(&behind)), None);
    }

    #[test]
    fn an_answer_has_a_status() {
        assert_eq!(answer(lines(&[(":status", "204"), ("a", "b")])).unwrap().status, 204);
        for wrong in ["", "20", "2000", "abc", "099"] {
            assert_eq!(answer(lines(&[(":status", wrong)])), None, "{wrong}");
        }
        assert_eq!(answer(lines(&[(":status", "200"), (":path", "/")])), None);
    }
}
