//! Bodies of copies: what cannot be read is not sent, since what should have been taken out would leak.

use std::borrow::Cow;

use bytes::Bytes;
use compare::Limits;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::detect::hits;
use super::run::Run;
use super::way::MASK;
use crate::parts::json::BYTE_ORDER_MARK;
use crate::parts::media::Media;
use crate::parts::{Fault, coding, multipart, pairs};

/// Kinds of media that have no members and no fields.
const PICTURES: [&str; 4] = ["image/", "video/", "audio/", "font/"];

/// A body under all of its codings, which it has afterwards; `None` where it stays.
pub(super) fn redacted(
    run: &Run<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    max_decoded: usize,
) -> Result<Option<Bytes>, Fault> {
    let policy = run.policy;
    let is_none = !policy.has_json() && !policy.has_form() && policy.detect_copies().is_empty();
    if is_none && !policy.has_query() || body.is_empty() {
        return Ok(None);
    }
    match looked_into(run, headers, body, max_decoded) {
        // Rules for parameters are for URLs in bodies that have any, and of no other need they be readable.
        Err(Fault::NotJson | Fault::NotForm | Fault::Opaque | Fault::Encoding) if is_none => {
            Ok(None)
        }
        looked => looked,
    }
}

fn looked_into(
    run: &Run<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    max_decoded: usize,
) -> Result<Option<Bytes>, Fault> {
    let plain = {
        let mut grant = |bytes| run.granted(bytes).is_ok();
        let mut limits = Limits { max_decoded, grant: &mut grant };
        coding::decode(headers, body, &mut limits)?
    };
    let Cow::Owned(changed) = content(run, headers, &plain)? else { return Ok(None) };
    if changed.len() > max_decoded {
        return Err(Fault::TooLarge);
    }
    if !coding::is_coded(headers) {
        return Ok(Some(changed.into()));
    }
    run.granted(changed.len())?;
    coding::encode(headers, &changed).map(|coded| Some(coded.into()))
}

/// A body, or a part of one, without codings.
fn content<'b>(run: &Run<'_>, headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
    let trimmed = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
    if trimmed.is_empty() {
        return Ok(Cow::Borrowed(body));
    }
    match Media::of(headers) {
        Media::Json => run.json(body, 0),
        Media::JsonLines => run.lines(body, 0),
        Media::Form => form(run, body),
        Media::Multipart(boundary) => parts(run, body, &boundary),
        Media::Text if is_utf8(headers) => text(run, body),
        Media::Unsaid if looks_like_form(trimmed) => form(run, body),
        Media::Unsaid => text(run, body),
        Media::Other | Media::Text => other(run, headers, body),
        Media::Grpc => Err(Fault::Opaque),
    }
}

/// Text, which may be JSON that nobody said so of: browsers send it as text where they may not say.
fn text<'b>(run: &Run<'_>, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
    if looks_like_json(body) {
        match run.json(body, 0).or_else(|_| run.lines(body, 0)) {
            // Without rules for JSON it need be none.
            Err(Fault::NotJson) if !run.policy.has_json() => {}
            looked => return looked,
        }
    }
    without_names(run, body)?;
    let Ok(text) = std::str::from_utf8(body) else {
        // In the letters of another charset only ASCII can be looked at.
        let is_found = hits(body, run.policy.detect_copies()).next().is_some();
        return if is_found { Err(Fault::Opaque) } else { Ok(Cow::Borrowed(body)) };
    };
    Ok(match run.value(text) {
        None => Cow::Borrowed(body),
        Some(changed) => Cow::Owned(changed.into_bytes()),
    })
}

/// In what has no fields that can be told apart nothing is hidden by its name: where one stands in it, it is not sent.
fn without_names(run: &Run<'_>, body: &[u8]) -> Result<(), Fault> {
    // Every other letter of UTF-16 is a zero.
    if body.contains(&0) || run.policy.names_in(body) { Err(Fault::Opaque) } else { Ok(()) }
}

fn form<'b>(run: &Run<'_>, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
    // `curl -d '{…}'` says that it is a form.
    if looks_like_json(body) {
        return run.json(body, 0);
    }
    let text = std::str::from_utf8(body).map_err(|_| Fault::NotForm)?;
    // Forms have no lines: it may be multipart, or the form of an e-mail.
    if text.trim_ascii_end().contains(['\r', '\n', '\0']) {
        without_names(run, body)?;
    }
    Ok(match run.pairs(text, |rule| &rule.form) {
        Cow::Borrowed(_) => Cow::Borrowed(body),
        Cow::Owned(changed) => Cow::Owned(changed.into_bytes()),
    })
}

/// A body of a kind that is not known. One that is JSON is taken for it; else nobody knows what is in it.
fn other<'b>(run: &Run<'_>, headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
    if looks_like_json(body)
        && let Ok(changed) = run.json(body, 0)
    {
        return Ok(changed);
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_picture = PICTURES.iter().any(|begin| {
        content_type.get(..begin.len()).is_some_and(|it| it.eq_ignore_ascii_case(begin.as_bytes()))
    });
    // No picture is text, whatever it is said to be.
    let is_text = std::str::from_utf8(body).is_ok();
    match is_picture && !is_text && run.policy.detect_copies().is_empty() {
        true => Ok(Cow::Borrowed(body)),
        false => Err(Fault::Opaque),
    }
}

fn parts<'b>(run: &Run<'_>, body: &'b [u8], boundary: &str) -> Result<Cow<'b, [u8]>, Fault> {
    run.granted(body.len())?;
    let mut fault = None;
    let changed = multipart::rewrite(body, boundary, &mut |part| {
        part_of(run, part).unwrap_or_else(|why| {
            fault = Some(why);
            multipart::Edit::Keep
        })
    });
    match fault {
        Some(fault) => Err(fault),
        None => changed.ok_or(Fault::NotForm),
    }
}

fn part_of(run: &Run<'_>, part: multipart::Part<'_>) -> Result<multipart::Edit, Fault> {
    use multipart::Edit;
    let name = part.name.map(pairs::decoded);
    let rule = name.and_then(|name| run.policy.named(&name, |rule| &rule.form));
    if let Some(rule) = rule {
        let said = std::str::from_utf8(part.body);
        return Ok(match run.ruled(rule, said.unwrap_or(MASK)) {
            None => Edit::Remove,
            Some(with) => Edit::Body(with.into_bytes()),
        });
    }
    let head = std::str::from_utf8(part.head).map_err(|_| Fault::NotForm)?;
    if is_encoded(head) {
        return Err(Fault::Opaque);
    }
    let headers = part_headers(head);
    let (head, body) = (run.text(head), part_body(run, &headers, part.body)?);
    Ok(match (head, body) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => Edit::Keep,
        (Cow::Borrowed(_), Cow::Owned(body)) => Edit::Body(body),
        (Cow::Owned(head), body) => Edit::Both(head.into_bytes(), body.into_owned()),
    })
}

/// A part without a type is a field, and its name was looked at.
fn part_body<'b>(
    run: &Run<'_>,
    headers: &HeaderMap,
    body: &'b [u8],
) -> Result<Cow<'b, [u8]>, Fault> {
    match Media::of(headers) {
        Media::Unsaid => match std::str::from_utf8(body) {
            // It may be UTF-16.
            Ok(text) if text.contains('\0') => Err(Fault::Opaque),
            Ok(text) => {
                Ok(run.value(text).map_or(Cow::Borrowed(body), |it| Cow::Owned(it.into_bytes())))
            }
            Err(_) => Err(Fault::Opaque),
        },
        Media::Multipart(_) => Err(Fault::NotForm),
        _ => content(run, headers, body),
    }
}

/// Whether a part is written in another way, as those of e-mails are (RFC 2045 section 6).
fn is_encoded(head: &str) -> bool {
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-transfer-encoding")).any(
        |(_, value)| {
            let value = value.trim();
            !["7bit", "8bit", "binary"].iter().any(|plain| plain.eq_ignore_ascii_case(value))
        },
    )
}

fn part_headers(head: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split("\r\n") {
        if let Some((name, value)) = line.split_once(':')
            && name.trim().eq_ignore_ascii_case(CONTENT_TYPE.as_str())
            && let Ok(value) = HeaderValue::from_str(value.trim())
        {
            headers.append(CONTENT_TYPE, value);
        }
    }
    headers
}

fn looks_like_json(body: &[u8]) -> bool {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    matches!(text.first(), Some(b'{' | b'['))
}

fn looks_like_form(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%+*[]=&".contains(byte);
    text.contains(&b'=') && text.iter().all(is_part)
}

/// Whether the content type names no other charset.
fn is_utf8(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value = value.to_ascii_lowercase();
    let charset = value.split_once("charset=").map(|(_, charset)| charset.trim_matches('"'));
    charset.is_none_or(|charset| {
        ["utf-8", "utf8", "us-ascii", "iso-8859-1", "latin1"]
            .iter()
            .any(|it| charset.starts_with(it))
    })
}
