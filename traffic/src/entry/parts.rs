//! What is written of requests and answers alike.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use serde::{Serialize, Serializer};

use super::text::{Long, Short, ShortBytes};
use crate::exchange::{Body, Headers, Request, header};

/// What a URL can't have in it as it is; `%` stays, as it begins what is encoded already.
const NOT_IN_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The URL of a target: absolute, as HAR wants it.
pub(super) struct Url<'a> {
    host: &'a str,
    target: &'a [u8],
}

impl<'a> Url<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let named = header(&request.headers, "host").and_then(|it| std::str::from_utf8(it).ok());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:[]%".contains(&byte);
        let host = named.filter(|host| !host.is_empty() && host.bytes().all(plain));
        Self { host: host.unwrap_or("localhost"), target: &request.target }
    }

    /// Whether the target can be read off the URL.
    pub(super) fn says_target(&self) -> bool {
        let length: usize = percent_encode(self.target, NOT_IN_URL).map(str::len).sum();
        self.target.starts_with(b"/") && length == self.target.len()
    }
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.target.starts_with(b"/") { "" } else { "/" };
        write!(f, "http://{}{slash}{}", self.host, percent_encode(self.target, NOT_IN_URL))
    }
}

/// `HTTP/1.1`, or nothing where it is not known.
pub(super) struct Version<'a>(ShortBytes<'a>);

pub(super) fn version(request: &Request, encoding: Option<Short>) -> Version<'_> {
    Version(ShortBytes { bytes: &request.version, encoding })
}

impl Serialize for Version<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self.0.bytes {
            b"" => into.serialize_str(""),
            b"1.1" => into.serialize_str("HTTP/1.1"),
            bytes => {
                let named = [b"HTTP/", bytes].concat();
                ShortBytes { bytes: &named, encoding: self.0.encoding }.serialize(into)
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'a> {
    size: u64,
    mime_type: ShortBytes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Long<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(rename = "_notKept", skip_serializing_if = "Option::is_none")]
    not_kept: Option<NotKept>,
}

impl<'a> Content<'a> {
    pub(super) fn of(headers: &'a Headers, body: &'a Body) -> Self {
        let text = body.whole().map(|bytes| Long::of(bytes));
        Self {
            size: size(body).unwrap_or(0),
            mime_type: mime(headers),
            text,
            encoding: text.as_ref().and_then(Long::encoding),
            not_kept: NotKept::of(body),
        }
    }
}

pub(super) struct Lines<'a>(pub(super) &'a Headers);

impl Lines<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize)]
pub(super) struct Line<'a> {
    name: ShortBytes<'a>,
    value: ShortBytes<'a>,
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    encoding: Option<Short>,
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.collect_seq(self.0.iter().map(|(name, value)| {
            let encoding = encoding(&[name, value]);
            let short = |bytes| ShortBytes { bytes, encoding };
            Line { name: short(name), value: short(value), encoding }
        }))
    }
}

/// A body that is not there, with its length where that is known.
#[derive(Serialize)]
pub(super) struct NotKept {
    length: Option<u64>,
}

impl NotKept {
    pub(super) fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Whole(_) => None,
            Body::NotKept(length) => Some(Self { length: *length }),
        }
    }
}

/// Bytes, or -1 where they are not known.
pub(super) struct Size(pub(super) Option<u64>);

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(bytes) => into.serialize_u64(bytes),
            None => into.serialize_i8(-1),
        }
    }
}

pub(super) fn size(body: &Body) -> Option<u64> {
    match body {
        Body::Whole(bytes) => Some(bytes.len() as u64),
        Body::NotKept(length) => *length,
    }
}

pub(super) fn mime(headers: &Headers) -> ShortBytes<'_> {
    let bytes = header(headers, "content-type").map_or(&b""[..], |value| value);
    ShortBytes { bytes, encoding: encoding(&[bytes]) }
}

pub(super) fn encoding(all: &[&[u8]]) -> Option<Short> {
    let utf8 = all.iter().all(|bytes| std::str::from_utf8(bytes).is_ok());
    (!utf8).then_some(Short::Latin1)
}
