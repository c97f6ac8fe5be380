//! Entries that other tools wrote, above all browsers: Chrome and Firefox write what their page saw, not
//! what went over the network.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::fields::{Asked, Param, PostData};
use super::text::{Text, posted};
use crate::exchange::{Answer, Body, Headers, Request, header};
use crate::fault::Fault;

/// Authority and what follows it, of an absolute URL.
pub(super) fn after_authority(url: &str) -> Result<(&str, &str), Fault> {
    let scheme = url.get(..7).filter(|it| it.eq_ignore_ascii_case("http://"));
    let scheme = scheme.or_else(|| url.get(..8).filter(|it| it.eq_ignore_ascii_case("https://")));
    let Some(scheme) = scheme else {
        return Err(Fault::value("request.url", url, "an absolute URL of http or https"));
    };
    let rest = &url[scheme.len()..];
    Ok(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

pub(super) fn request(asked: Asked<'_>, mut headers: Headers) -> Result<Request, Fault> {
    let url = asked.url.ok_or_else(|| Fault::missing("request.url", "an absolute URL"))?;
    let (authority, target) = after_authority(&url.0)?;
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };

    without_pseudo(&mut headers);
    if header(&headers, "host").is_none() {
        let host = authority.rsplit('@').next().unwrap_or_default();
        headers.insert(0, (Bytes::from_static(b"host"), Bytes::copy_from_slice(host.as_bytes())));
    }
    Ok(Request {
        method: asked.method.into_bytes(),
        target: Bytes::from(format!("{slash}{target}")),
        version: Bytes::from_static(version(asked.http_version.as_ref())),
        body: body(asked.post_data, asked.body_size)?,
        headers,
    })
}

/// Of HTTP/2 and HTTP/3 (RFC 9113, 8.3): they say what stands in other fields.
fn without_pseudo(headers: &mut Headers) {
    headers.retain(|(name, _)| !name.starts_with(b":"));
}

/// Browsers write `HTTP/1.1`, `http/2.0`, `h2`, `HTTP/3`, `unknown`.
fn version(text: Option<&Text<'_>>) -> &'static [u8] {
    match text.map_or("", |it| &*it.0).to_ascii_lowercase().as_str() {
        "http/1.0" => b"1.0",
        "http/1.1" => b"1.1",
        "http/2" | "http/2.0" | "h2" => b"2",
        "http/3" | "http/3.0" | "h3" => b"3",
        _ => b"",
    }
}

fn body(data: Option<PostData<'_>>, size: Option<f64>) -> Result<Body, Fault> {
    let length = size.filter(|size| *size >= 1.0).map(|size| size as u64);
    let Some(data) = data else {
        return Ok(length.map_or_else(Body::default, |length| Body::NotKept(Some(length))));
    };
    let params = data.params.unwrap_or_default();
    let has_text = data.text.as_ref().is_some_and(|text| !text.0.is_empty());
    if has_text || params.is_empty() {
        return posted(data.text, data.encoding.as_ref());
    }
    let mime = data.mime_type.unwrap_or_default();
    if mime.0.to_ascii_lowercase().starts_with("multipart/") {
        // Its boundary and the parts' heads are gone.
        return Ok(Body::NotKept(length));
    }
    Ok(Body::Whole(Bytes::from(form(&params))))
}

/// As forms are sent, `application/x-www-form-urlencoded`.
fn form(params: &[Param<'_>]) -> String {
    let field = |param: &Param<'_>| {
        let value = param.value.as_ref().map_or("", |value| &*value.0);
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!("{}={}", encoded(&param.name.0), encoded(value))
    };
    params.iter().map(field).collect::<Vec<_>>().join("&")
}

/// Puts right what a browser changed; true if the content had been decoded.
pub(super) fn answer(
    answer: &mut Answer,
    size: Option<f64>,
    had_text: bool,
    wait_ms: Option<f64>,
) -> bool {
    without_pseudo(&mut answer.headers);
    let wait = wait_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
    // As long as nanoseconds can be written: 584 years.
    answer.latency = wait.filter(|wait| u64::try_from(wait.as_nanos()).is_ok());
    if answer.status == 304 {
        // The content is the cache's.
        answer.body = Body::default();
        return false;
    }
    let length = size.filter(|size| *size >= 1.0).map(|size| size as u64);
    if !had_text && let Some(length) = length {
        answer.body = Body::NotKept(Some(length));
    }
    let decoded = had_text && header(&answer.headers, "content-encoding").is_some();
    if decoded {
        answer.headers.retain(|(name, _)| {
            ![&b"content-encoding"[..], b"content-length"]
                .iter()
                .any(|it| name.eq_ignore_ascii_case(it))
        });
    }
    decoded
}
