//! What a body is, by what its content type says and by how it begins.

use super::lines::Lines;
use super::signature;

/// What is told in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort<'t> {
    Lines,
    /// With what is between its columns.
    Csv(u8),
    Ndjson,
    Html,
    Xml,
    Form,
    /// With what is between its parts.
    Multipart(&'t [u8]),
    /// An image, an archive or the like.
    File(&'static str),
    /// No text, or text in a charset that nobody looks into.
    Bytes,
    /// Messages that are compared as bytes whatever is in them.
    Message,
}

impl<'t> Sort<'t> {
    /// Finds it.
    pub(super) fn of(content_type: Option<&'t [u8]>, bytes: &[u8]) -> Self {
        let said = content_type.unwrap_or_default();
        let (essence, parameters) =
            said.split_at(said.iter().position(|byte| *byte == b';').unwrap_or(said.len()));
        let essence = essence.trim_ascii().to_ascii_lowercase();
        if is_message(&essence) {
            return Self::Message;
        }
        if essence.starts_with(b"multipart/")
            && let Some(boundary) = boundary(parameters)
        {
            return Self::Multipart(boundary);
        }
        if let Some(name) = signature::of(bytes) {
            return Self::File(name);
        }
        if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
            return Self::Bytes;
        }
        Self::named(&essence).unwrap_or_else(|| Self::sniffed(&essence, bytes))
    }

    /// What its content type says for certain.
    fn named(essence: &[u8]) -> Option<Self> {
        Some(match essence {
            b"text/csv" | b"application/csv" => Self::Csv(b','),
            b"text/tab-separated-values" => Self::Csv(b'\t'),
            b"application/x-ndjson"
            | b"application/ndjson"
            | b"application/jsonl"
            | b"application/x-jsonlines"
            | b"application/jsonlines"
            | b"application/stream+json" => Self::Ndjson,
            b"text/html" => Self::Html,
            b"application/x-www-form-urlencoded" => Self::Form,
            _ if essence.ends_with(b"/xml") || essence.ends_with(b"+xml") => Self::Xml,
            _ => return None,
        })
    }

    /// What it begins like, where its content type says little.
    fn sniffed(essence: &[u8], bytes: &[u8]) -> Self {
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii();
        let is_plain = essence.starts_with(b"text/");
        if !is_plain && text.starts_with(b"<?xml") {
            return Self::Xml;
        }
        let is_tag = |next: &u8| next.is_ascii_alphabetic() || *next == b'!';
        if !is_plain && text.first() == Some(&b'<') && text.get(1).is_some_and(is_tag) {
            return Self::Html;
        }
        if is_ndjson(text) { Self::Ndjson } else { Self::Lines }
    }

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lines => "text",
            Self::Csv(_) => "CSV",
            Self::Ndjson => "lines of JSON",
            Self::Html => "HTML",
            Self::Xml => "XML",
            Self::Form => "form",
            Self::Multipart(_) => "multipart",
            Self::File(name) => name,
            Self::Bytes | Self::Message => "bytes",
        }
    }

    /// Whether both are read in the same way.
    pub(super) fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Csv(_), Self::Csv(_)) | (Self::Multipart(_), Self::Multipart(_)) => true,
            _ => self == other,
        }
    }
}

fn is_message(essence: &[u8]) -> bool {
    essence.starts_with(b"application/grpc")
        || essence.ends_with(b"protobuf")
        || essence.ends_with(b"+proto")
        || essence == b"application/proto"
}

/// Several lines, each of which begins and ends like an object or an array.
fn is_ndjson(text: &[u8]) -> bool {
    let mut lines =
        Lines { rest: Some(text) }.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let is_json = |line: &[u8]| {
        let ends = [line.first(), line.last()].map(|end| end.copied().unwrap_or_default());
        ends == [b'{', b'}'] || ends == [b'[', b']']
    };
    lines.next().is_some_and(is_json) && lines.next().is_some_and(is_json) && lines.all(is_json)
}

/// What is between the parts (RFC 2046 section 5.1.1).
fn boundary(parameters: &[u8]) -> Option<&[u8]> {
    let mut parameters = parameters.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(9)?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let value =
        value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_their_content_type_says_or_what_they_begin_like() {
        let of = |said: &'static str, bytes: &[u8]| Sort::of(Some(said.as_bytes()), bytes);
        assert_eq!(of("text/html; charset=utf-8", b"a"), Sort::Html);
        assert_eq!(of("Application/SOAP+XML", b"a"), Sort::Xml);
        assert_eq!(of("text/csv;header=present", b"a"), Sort::Csv(b','));
        assert_eq!(of("multipart/mixed; boundary=\"a b\"", b"\xff"), Sort::Multipart(b"a b"));
        assert_eq!(of("multipart/mixed", b"a"), Sort::Lines);
        assert_eq!(of("application/x-protobuf", b"a"), Sort::Message);
        assert_eq!(of("application/grpc-web+proto", b"a"), Sort::Message);
        assert_eq!(of("text/plain", b"<p>a</p>"), Sort::Lines);
        assert_eq!(of("text/plain", b"caf\xe9"), Sort::Bytes);
        assert_eq!(of("image/png", b"\x89PNG\r\n\x1a\n"), Sort::File("PNG"));
        assert_eq!(Sort::of(None, b"\xEF\xBB\xBF<?xml version='1.0'?><a/>"), Sort::Xml);
        assert_eq!(Sort::of(None, b"<!DOCTYPE html><p>"), Sort::Html);
        assert_eq!(Sort::of(None, b"{\"a\":1}\n\n[2]\n"), Sort::Ndjson);
        assert_eq!(Sort::of(None, b"{\"a\":1"), Sort::Lines);
        assert_eq!(Sort::of(None, b"{}\ntext"), Sort::Lines);
    }
}
