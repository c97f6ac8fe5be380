//! What a proxy does to header lines: drops the connection-level ones and says who asked.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use compare::reply::{connection_tokens, members, says_grpc};

mod forwarded;
mod strict;
pub mod target;

pub use forwarded::{Chain, Forwarding, Peer};
pub use strict::{is_malformed, join_lengths};
pub use transform::parts::headers::reads_as;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes the headers that belong to one connection only: those of RFC 9110 section 7.6.1 and
/// those that `Connection` names.
pub fn strip_connection_level(headers: &mut HeaderMap) {
    // Most messages have none, and one look at all names is quicker than a search for each.
    if !headers.keys().any(is_connection_level) {
        return;
    }
    // Asked first: `Connection` may name it, and then it is gone before its turn.
    let coded = headers.contains_key(TRANSFER_ENCODING);
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if coded {
        // It decided where the body ends, and a length beside it is none (RFC 9112 section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
}

/// The first name of a line that servers may take for one of these, and for which.
pub fn read_as_any<'h>(
    headers: &'h HeaderMap,
    names: &'h [HeaderName],
) -> Option<(&'h HeaderName, &'h HeaderName)> {
    let taken_for = |name| names.iter().find(|it| reads_as(name, it));
    headers.keys().find_map(|name| Some((name, taken_for(name)?)))
}

/// Removes all lines whose names servers may take for one of these.
pub fn remove_read_as_any(headers: &mut HeaderMap, names: &[HeaderName]) {
    while let Some((name, _)) = read_as_any(headers, names) {
        let name = name.clone();
        headers.remove(name);
    }
}

fn is_connection_level(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    connection_tokens(headers).filter_map(|token| HeaderName::from_bytes(token).ok()).collect()
}

/// Whether this is gRPC.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| says_grpc(value.as_bytes()))
}

/// Whether the client takes trailers (RFC 9110 section 10.1.4).
pub fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(',')).map(str::trim);
    codings.any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// Tells the next hop that trailers are taken.
pub fn ask_trailers(headers: &mut HeaderMap) {
    headers.append(CONNECTION, HeaderValue::from_static("te"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

/// The protocol that is asked for on this connection, or switched to (RFC 9110 section 7.8).
///
/// Not `h2c`: its first request would go on as HTTP and the others out of sight. A server may
/// ignore the wish, and HTTP/2 itself has given it up (RFC 9113 section 3.1).
pub fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    let asked = connection_tokens(headers).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    // One of several is enough: the server chooses.
    let hidden = members(protocol).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
    (asked && !hidden).then_some(protocol)
}

/// Asks the next hop for another protocol, or tells it of the switch.
pub fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Whether the client waits to be asked for its body (RFC 9110 section 10.1.1).
pub fn expects_continue(headers: &HeaderMap) -> bool {
    let value = headers.get(EXPECT).map(HeaderValue::as_bytes);
    value.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Makes one line of the cookies that HTTP/2 may have split (RFC 9113 section 8.2.3): HTTP/1.1
/// allows no second line.
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
    headers.insert(COOKIE, joined.expect("header values joined by \"; \" are a header value"));
}

/// The length of a request's body cannot be told from its headers, so that it must be chunked.
/// hyper would send a GET or HEAD with such a body without it.
pub fn mark_chunked(headers: &mut HeaderMap) {
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn connection_level_headers_and_those_connection_names_are_removed() {
        let mut headers = map(&[
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("upgrade", "h2c"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("x-stays", "1"),
            ("trailer", "x-sum"),
        ]);
        strip_connection_level(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-stays", "trailer"]);
    }

    #[test]
    fn what_connection_names_is_removed_whatever_else_it_says() {
        let mut headers = map(&[("connection", "\u{e9}, x-hop"), ("x-hop", "1"), ("x-stays", "1")]);
        strip_connection_level(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-stays"]);
    }

    #[test]
    fn a_length_beside_a_transfer_coding_is_removed_when_connection_names_the_coding() {
        let mut headers = map(&[
            ("connection", "transfer-encoding"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
        ]);
        strip_connection_level(&mut headers);
        assert_eq!(headers, HeaderMap::new());
    }

    #[test]
    fn h2c_is_not_asked_for_as_one_of_several_either() {
        for value in ["h2c, websocket", "websocket,H2C"] {
            assert_eq!(upgrade(&map(&[("connection", "upgrade"), ("upgrade", value)])), None);
        }
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let both = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade(&both).unwrap(), "websocket");
        assert_eq!(upgrade(&map(&[("upgrade", "websocket")])), None);
        assert_eq!(upgrade(&map(&[("connection", "upgrade")])), None);
        let h2c = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c")];
        assert_eq!(upgrade(&map(&h2c)), None);
    }

    #[test]
    fn names_that_differ_in_signs_alone_may_be_read_as_one() {
        let name = |text: &str| HeaderName::from_bytes(text.as_bytes()).unwrap();
        for (other, expected) in [
            ("X-Mirror", true),
            ("x_mirror", true),
            ("x.mirror", true),
            ("xxmirror", false),
            ("x-mirrors", false),
            ("-x-mirror", false),
        ] {
            assert_eq!(reads_as(&name(other), &name("x-mirror")), expected, "{other}");
            assert_eq!(reads_as(&name("x-mirror"), &name(other)), expected, "{other}");
        }
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(&map(&[("content-type", value)])), expected, "{value}");
        }
    }

    #[test]
    fn cookies_of_http2_become_one_line() {
        let mut headers = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut headers);
        let lines: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(lines, ["a=1; b=2; c=3"]);
    }
}
