//! Bytes in JSON, which is text: as they are where they are UTF-8, else in an encoding that is named
//! beside them. Short things, such as header lines, stay legible as Latin-1 (each byte the character of
//! its number), bodies become base64, as HAR has it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::exchange::Body;
use crate::fault::Fault;

/// A string that is borrowed from the line where it has no escapes.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        from.deserialize_str(Strings)
    }
}

impl Text<'_> {
    pub(super) fn into_bytes(self) -> Bytes {
        match self.0 {
            Cow::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        }
    }

    /// The bytes whose numbers the characters are.
    ///
    /// # Errors
    ///
    /// The first character that has no place in a byte.
    pub(super) fn latin1(&self) -> Result<Bytes, char> {
        let bytes = self.0.chars().map(|it| u8::try_from(it).map_err(|_| it));
        bytes.collect::<Result<Vec<u8>, char>>().map(Bytes::from)
    }

    /// `None` if this is no base64.
    pub(super) fn base64(&self) -> Option<Bytes> {
        STANDARD.decode(self.0.as_bytes()).ok().map(Bytes::from)
    }
}

/// How short things are written that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Short {
    Latin1,
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match &*Text::deserialize(from)?.0 {
            "latin1" => Ok(Self::Latin1),
            other => Err(D::Error::unknown_variant(other, &["latin1"])),
        }
    }
}

/// The bytes of a short thing.
pub(super) fn short(field: &str, text: Text<'_>, encoding: Option<Short>) -> Result<Bytes, Fault> {
    match encoding {
        None => Ok(text.into_bytes()),
        Some(Short::Latin1) => text.latin1().map_err(|character| {
            Fault::value(field, &character.to_string(), "characters up to U+00FF, as for latin1")
        }),
    }
}

/// The bytes of a body.
pub(super) fn long(
    field: &str,
    encoding_field: &str,
    text: Text<'_>,
    encoding: Option<&Text<'_>>,
) -> Result<Body, Fault> {
    match encoding.map(|it| &*it.0) {
        None | Some("") => Ok(Body::Whole(text.into_bytes())),
        Some("base64") => {
            let bytes = text.base64();
            bytes.map(Body::Whole).ok_or_else(|| Fault::value(field, &text.0, "base64"))
        }
        Some(other) => Err(Fault::value(encoding_field, other, "`base64`")),
    }
}

/// The body of a request.
pub(super) fn posted(text: Option<Text<'_>>, encoding: Option<&Text<'_>>) -> Result<Body, Fault> {
    let text = text.unwrap_or_default();
    long("request.postData.text", "request.postData._encoding", text, encoding)
}

/// Whether text of JSON can say these bytes to every reader: databases refuse a NUL in a string.
pub(super) fn legible(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    memchr::memchr(0, bytes).is_none().then_some(text)
}

/// Bytes as text, or as Latin-1 where they are no UTF-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortBytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Option<Short>,
}

impl Serialize for ShortBytes<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match (self.encoding, std::str::from_utf8(self.bytes)) {
            (None, Ok(text)) => into.serialize_str(text),
            _ => into.collect_str(&Latin1(self.bytes)),
        }
    }
}

struct Latin1<'a>(&'a [u8]);

impl fmt::Display for Latin1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

/// A body as text, or as base64.
#[derive(Clone, Copy, Debug)]
pub(super) enum Long<'a> {
    Text(&'a str),
    Base64(&'a [u8]),
}

impl<'a> Long<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        legible(bytes).map_or(Self::Base64(bytes), Self::Text)
    }

    pub(super) fn encoding(&self) -> Option<&'static str> {
        matches!(self, Self::Base64(_)).then_some("base64")
    }
}

impl Serialize for Long<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => into.serialize_str(text),
            Self::Base64(bytes) => into.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}
