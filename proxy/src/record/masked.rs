//! What may be recorded of an exchange. It is read again to be sent to candidates and held against their answers, so
//! that no more is hidden than has to be, and the same of whatever an answer says: a mask stands for any value.

use std::borrow::Cow;

use bytes::Bytes;
use compare::redaction::Redaction;
use compare::{Limits, Rules, Stand};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use transform::CopyRequest;
use transform::parts::media::Media;
use transform::parts::{Fault, coding, multipart, pairs};
use transform::redact::Policy;

/// Stands for what is hidden.
const MASK: &str = "***";
/// A decoded body may be so many times as long as it was sent, and this much longer.
const GROWS: usize = 16;
const GROWS_BY: usize = 64 << 10;
/// Memory that one body may take to be looked into, for each of its bytes.
const MEMORY: usize = 64;

/// What hides.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'r> {
    /// What rules and looks say.
    pub policy: &'r Policy,
    /// What is masked in answers, and what names secrets.
    pub rules: &'r Rules,
}

impl Hidden<'_> {
    /// A request without it.
    ///
    /// # Errors
    /// It cannot be taken out; nothing of the request may be kept then.
    pub fn request(&self, copy: &mut CopyRequest) -> Result<(), Fault> {
        let length = copy.body.as_ref().map_or(0, Bytes::len);
        let mut grant = compare::up_to(MEMORY * (length + GROWS_BY));
        let mut limits = Limits { max_decoded: most(length), grant: &mut grant };
        self.policy.redact(copy, &[], &mut limits)?;
        if let Cow::Owned(path) = self.policy.shown_path(copy.path.as_bytes()) {
            copy.path = String::from_utf8(path).map_err(|_| Fault::Value)?;
        }
        if copy.path.contains(';') {
            // Parameters of a segment: `/cart;jsessionid=...`.
            let segments = copy.path.split('/').map(|segment| self.pairs(segment));
            copy.path = segments.collect::<Vec<_>>().join("/");
        }
        copy.query = copy.query.take().map(|query| self.pairs(&query));
        self.headers(&mut copy.headers);
        if let Some(body) = copy.body.clone()
            && let Cow::Owned(masked) = self.body(&copy.headers, &body)?
        {
            copy.set_body(masked.into());
        }
        Ok(())
    }

    /// Header lines without it.
    pub fn headers(&self, headers: &mut HeaderMap) {
        for (name, value) in headers.iter_mut() {
            if let Some(masked) = self.header(name, value) {
                *value = masked;
            }
        }
    }

    /// A value without it, where it has any.
    pub fn header(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        let masked = match *name {
            COOKIE => Some(cookies(value)),
            SET_COOKIE => Some(set_cookie(value)),
            _ if self.rules.hides_header(name, value.as_bytes()) => Some(MASK.to_owned()),
            _ => self.line(name, value),
        };
        let value =
            |text| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(MASK));
        masked.map(value)
    }

    fn line(&self, name: &HeaderName, value: &HeaderValue) -> Option<String> {
        if self.rules.hides(name.as_str()) {
            return Some(MASK.to_owned());
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.as_ref();
        let without = without_user_info(text);
        let text = without.as_deref().unwrap_or(text);
        // A URL may have in its query what a form may have, behind `#` too, and in its path what that of a request may.
        let masked = match text.find(['?', '#']).filter(|_| text.contains('=')) {
            Some(at) => {
                let path = self.policy.shown_path(&text.as_bytes()[..at]);
                let path = std::str::from_utf8(&path).unwrap_or(MASK);
                let masked = format!("{path}{}{}", &text[at..=at], self.pairs(&text[at + 1..]));
                (masked != text).then_some(masked)
            }
            None => self.policy.to_show(text),
        };
        masked.or(without)
    }

    /// A body without it, under the codings that it has.
    ///
    /// # Errors
    /// It cannot be looked into.
    pub fn body<'b>(&self, headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
        if body.is_empty() {
            return Ok(Cow::Borrowed(body));
        }
        let mut grant = compare::up_to(MEMORY * (body.len() + GROWS_BY));
        let plain = {
            let max_decoded = most(body.len());
            coding::decode(headers, body, &mut Limits { max_decoded, grant: &mut grant })?
        };
        let masked = match Media::of(headers) {
            Media::Multipart(boundary) => self.parts(&plain, &boundary)?,
            media => self.plain(&plain, &media)?,
        };
        if *masked == *plain {
            return Ok(Cow::Borrowed(body));
        }
        match coding::is_coded(headers) {
            true => coding::encode(headers, &masked).map(Cow::Owned),
            false => Ok(Cow::Owned(masked.into_owned())),
        }
    }

    /// Whether something was hidden in a value.
    pub fn is_in_value(value: &HeaderValue) -> bool {
        memmem::find(value.as_bytes(), MASK.as_bytes()).is_some()
    }

    /// Whether something was hidden in a body, under the codings that it has.
    pub fn is_in(headers: &HeaderMap, body: &[u8]) -> bool {
        let is_masked = |plain: &[u8]| memmem::find(plain, MASK.as_bytes()).is_some();
        if !coding::is_coded(headers) {
            return is_masked(body);
        }
        let mut grant = compare::up_to(MEMORY * (body.len() + GROWS_BY));
        let mut limits = Limits { max_decoded: most(body.len()), grant: &mut grant };
        coding::decode(headers, body, &mut limits).is_ok_and(|plain| is_masked(&plain))
    }

    /// Which parts there are must be sure: one that is not seen has its name in it.
    fn parts<'b>(&self, body: &'b [u8], boundary: &str) -> Result<Cow<'b, [u8]>, Fault> {
        let mut fault = None;
        let changed = multipart::rewrite(body, boundary, &mut |part| {
            let name = part.name.map(pairs::decoded);
            if name.is_some_and(|name| self.names_secret(&name)) {
                return multipart::Edit::Body(MASK.into());
            }
            match self.plain(part.body, &Media::Unsaid) {
                Ok(Cow::Owned(masked)) if *masked != *part.body => multipart::Edit::Body(masked),
                Ok(_) => multipart::Edit::Keep,
                Err(why) => {
                    fault = Some(why);
                    multipart::Edit::Keep
                }
            }
        });
        fault.map_or_else(|| changed.ok_or(Fault::NotForm), Err)
    }

    /// Whether a field of a form is called so, `user[password]` too.
    fn names_secret(&self, name: &str) -> bool {
        self.rules.hides(name.trim_end_matches(']').rsplit('[').next().unwrap_or_default())
    }

    fn plain<'b>(&self, plain: &'b [u8], media: &Media) -> Result<Cow<'b, [u8]>, Fault> {
        if let Some(masked) = self.json(plain) {
            return Ok(Cow::Owned(masked));
        }
        let Ok(text) = std::str::from_utf8(plain) else {
            return match media {
                // It has no other letters (WHATWG URL, section 5.2).
                Media::Form => Err(Fault::NotForm),
                Media::Other | Media::Unsaid | Media::Grpc => Ok(Cow::Borrowed(plain)),
                // In the letters of another charset nothing can be looked for.
                _ => Err(Fault::Opaque),
            };
        };
        if *media == Media::Form {
            return Ok(Cow::Owned(self.pairs(text).into_bytes()));
        }
        let mut out = Vec::with_capacity(plain.len());
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end_matches(['\n', '\r']);
            let masked = self.json(bare.as_bytes());
            let shown = || {
                let named = self.after_a_name(bare);
                let masked = self.policy.to_show(named.as_deref().unwrap_or(bare)).or(named);
                masked.map(String::into_bytes)
            };
            match masked.or_else(shown) {
                Some(masked) => {
                    out.extend_from_slice(&masked);
                    out.extend_from_slice(&line.as_bytes()[bare.len()..]);
                }
                None => out.extend_from_slice(line.as_bytes()),
            }
        }
        Ok(Cow::Owned(out))
    }

    /// A line in which what is called like a secret is masked, and all behind it: XML, scripts, JSON that is none.
    fn after_a_name(&self, line: &str) -> Option<String> {
        let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let mut at = 0;
        while let Some(from) = line[at..].find(is_part).map(|from| at + from) {
            at = line[from..].find(|c| !is_part(c)).map_or(line.len(), |to| from + to);
            let rest = line[at..].trim_start_matches(['"', '\'', '\\', ' ', '\t']);
            let value = rest.strip_prefix([':', '=', '>']).unwrap_or_default();
            if !value.trim().is_empty() && value.trim() != MASK && self.rules.hides(&line[from..at])
            {
                return Some(format!("{}{MASK}", &line[..line.len() - value.len()]));
            }
        }
        None
    }

    fn json(&self, text: &[u8]) -> Option<Vec<u8>> {
        let begins = text.trim_ascii_start().first().is_some_and(|byte| b"{[\"".contains(byte));
        let mut grant = compare::up_to(MEMORY * (text.len() + GROWS_BY));
        begins.then(|| compare::kept(text, self.rules, Stand::Mask, &mut grant)).flatten()
    }

    /// A query, a form, or parameters; servers differ in what stands between them.
    fn pairs(&self, text: &str) -> String {
        let one = |part: &str| {
            let (part, end) = part.split_at(part.trim_end_matches(BETWEEN).len());
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
            let spaced = value.replace('+', " ");
            let value = percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy();
            let is_hidden = !value.is_empty()
                && (self.names_secret(decoded.trim()) || self.policy.to_show(&value).is_some());
            // Without a name it is all value.
            match self.policy.to_show(&decoded) {
                Some(_) => format!("{MASK}{end}"),
                None if is_hidden => format!("{name}={MASK}{end}"),
                None => format!("{part}{end}"),
            }
        };
        text.split_inclusive(BETWEEN).map(one).collect()
    }
}

/// What may stand between the pairs of a query or a form, and before a fragment.
const BETWEEN: [char; 4] = ['&', ';', '?', '#'];

/// A URL whose user and password are masked, where it has any (RFC 3986, section 3.2.1).
fn without_user_info(text: &str) -> Option<String> {
    let from = text.find("://")? + 3;
    let rest = &text[from..];
    let authority = &rest[..rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len())];
    let at = authority.rfind('@')?;
    Some(format!("{}{MASK}{}", &text[..from], &rest[at..]))
}

fn most(length: usize) -> usize {
    length.saturating_mul(GROWS).saturating_add(GROWS_BY)
}

/// Of cookies no more than their names.
fn cookies(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.split(';').map(cookie).collect::<Vec<_>>().join("; ")
}

fn set_cookie(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.split_once(';') {
        None => cookie(&text),
        Some((first, attributes)) => format!("{};{attributes}", cookie(first)),
    }
}

/// One without a name is all value: browsers send it so.
fn cookie(text: &str) -> String {
    match text.split_once('=') {
        Some((name, _)) => format!("{}={MASK}", name.trim()),
        None => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn hidden(test: impl FnOnce(&Hidden<'_>)) {
        let policy = Policy::default();
        let redacted = compare::rules::Redacted {
            by: std::sync::Arc::new(Policy::default()),
            copies: false,
            rules: Vec::new(),
        };
        let book = compare::rules::RuleBook { redacted: Some(redacted), ..Default::default() };
        let rules = compare::Policy::new(&book, &Default::default(), 7).of("");
        test(&Hidden { policy: &policy, rules: &rules.rules });
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn credentials_and_what_is_personal_are_masked_and_the_rest_stays() {
        hidden(|it| {
            let mut copy = CopyRequest {
                method: Method::POST,
                path: "/users/ann@example.com/cart".to_owned(),
                query: Some("q=ssd&token=abc123&mail=ann%40example.com".to_owned()),
                host: None,
                headers: headers(&[
                    ("authorization", "Bearer abc123def456"),
                    ("cookie", "sid=1234; theme=dark"),
                    ("accept", "*/*"),
                    ("referer", "http://x/y?password=hunter2&q=1"),
                ]),
                body: Some(r#"{"name":"Ann","items":[1,2.50],"password":"hunter2"}"#.into()),
            };
            it.request(&mut copy).unwrap();
            assert_eq!(copy.path, "/users/***/cart");
            assert_eq!(copy.query.as_deref(), Some("q=ssd&token=***&mail=***"));
            let line = |name: &str| copy.headers[name].to_str().unwrap();
            assert_eq!(line("authorization"), "***");
            assert_eq!(line("cookie"), "sid=***; theme=***");
            assert_eq!(line("accept"), "*/*");
            assert_eq!(line("referer"), "http://x/y?password=***&q=1");
            let body = std::str::from_utf8(copy.body.as_ref().unwrap()).unwrap();
            assert_eq!(body, r#"{"name":"***","items":[1,2.50],"password":"***"}"#);
        });
    }

    #[test]
    fn what_has_no_name_and_what_is_in_the_path_of_a_url_is_masked_too() {
        hidden(|it| {
            let mut lines = headers(&[
                ("cookie", "1234567890abcdef"),
                ("set-cookie", "1234567890abcdef; Path=/"),
                ("referer", "http://x/users/ann@example.com?q=1"),
            ]);
            it.headers(&mut lines);
            let line = |name: &str| lines[name].to_str().unwrap();
            assert_eq!(line("cookie"), "***");
            assert_eq!(line("set-cookie"), "***; Path=/");
            assert_eq!(line("referer"), "http://x/users/***?q=1");
            assert_eq!(it.pairs("ann%40example.com&q=1"), "***&q=1");
        });
    }

    #[test]
    fn forms_lines_and_texts_are_masked_each_in_its_way() {
        hidden(|it| {
            let masked = |kind: &str, body: &str| {
                let headers = headers(&[("content-type", kind)]);
                let masked = it.body(&headers, body.as_bytes()).unwrap();
                String::from_utf8(masked.into_owned()).unwrap()
            };
            let form = "application/x-www-form-urlencoded";
            assert_eq!(masked(form, "a=1&user[password]=x"), "a=1&user[password]=***");
            let latin1 = it.body(&headers(&[("content-type", form)]), b"name=J\xf6rg&password=x");
            assert_eq!(latin1, Err(Fault::NotForm));
            let lines = masked("application/x-ndjson", "{\"email\":\"a\"}\n{\"n\":1}\n");
            assert_eq!(lines, "{\"email\":\"***\"}\n{\"n\":1}\n");
            assert_eq!(masked("text/plain", "write to ann@example.com\n"), "write to ***\n");
            assert_eq!(masked("text/plain", "nothing\r\nhere"), "nothing\r\nhere");
        });
    }

    #[test]
    fn secrets_in_parts_of_urls_and_of_paths_are_masked() {
        hidden(|it| {
            let mut headers = headers(&[
                ("referer", "https://ann:pw@x/y#access_token=abc&q=1"),
                ("location", "/back;x=1?a=1;token=abc"),
                ("origin", "http://x"),
            ]);
            it.headers(&mut headers);
            assert_eq!(headers["referer"], "https://***@x/y#access_token=***&q=1");
            assert_eq!(headers["location"], "/back;x=1?a=1;token=***");
            assert_eq!(headers["origin"], "http://x");
            let mut copy = CopyRequest {
                method: Method::GET,
                path: "/cart;jsessionid=abc;v=1/items;n=2".to_owned(),
                query: Some("a=1;secret=x;b=2".to_owned()),
                host: None,
                headers,
                body: None,
            };
            it.request(&mut copy).unwrap();
            assert_eq!(copy.path, "/cart;jsessionid=***;v=1/items;n=2");
            assert_eq!(copy.query.as_deref(), Some("a=1;secret=***;b=2"));
        });
    }

    #[test]
    fn what_is_called_like_a_secret_is_masked_in_what_is_no_json() {
        hidden(|it| {
            let masked = |kind: &str, body: &[u8]| {
                let headers = headers(&[("content-type", kind)]);
                let masked = it.body(&headers, body)?;
                Ok(String::from_utf8_lossy(&masked).into_owned())
            };
            for (kind, body, expected) in [
                (
                    "text/xml",
                    "<a><password>x</password>\n<n>1</n></a>",
                    "<a><password>***\n<n>1</n></a>",
                ),
                ("text/javascript", "cb({\"token\":\"x\",\"n\":1})", "cb({\"token\":***"),
                (
                    "application/json",
                    "{\n \"n\": 1,\n \"password\" : \"x\",\n}",
                    "***\n \"n\": 1,\n \"password\" :***\n}",
                ),
                ("text/plain", "password\ntoken of love\n", "password\ntoken of love\n"),
            ] {
                assert_eq!(masked(kind, body.as_bytes()).as_deref(), Ok(expected));
                assert_eq!(masked(kind, expected.as_bytes()).as_deref(), Ok(expected), "twice");
            }
            assert_eq!(masked("text/plain; charset=latin1", b"Stra\xdfe"), Err(Fault::Opaque));
            assert!(masked("image/png", b"\x89PNG\xff").is_ok());
        });
    }

    #[test]
    fn parts_of_a_form_are_masked_by_their_names_and_one_that_cannot_be_read_is_not_kept() {
        hidden(|it| {
            let headers = headers(&[("content-type", "multipart/form-data; boundary=b")]);
            let part = |name: &str, says: &str| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{says}\r\n")
            };
            let form = |password: &str, mail: &str| {
                let parts = [
                    part("user[password]", password),
                    part("q", "ssd"),
                    part("about", &format!("{{\"email\":\"{mail}\"}}")),
                ];
                format!("{}--b--\r\n", parts.concat())
            };
            let sent = form("hunter2", "ann@example.com");
            let masked = it.body(&headers, sent.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&masked).unwrap(), form("***", "***"));
            let torn = &sent.as_bytes()[..sent.len() - 10];
            assert_eq!(it.body(&headers, torn), Err(Fault::NotForm));
        });
    }

    #[test]
    fn a_body_under_a_coding_keeps_it() {
        hidden(|it| {
            let headers =
                headers(&[("content-encoding", "gzip"), ("content-type", "application/json")]);
            let body = coding::encode(&headers, br#"{"email":"ann@example.com"}"#).unwrap();
            let masked = it.body(&headers, &body).unwrap();
            let mut grant = |_| true;
            let mut limits = Limits { max_decoded: 1 << 16, grant: &mut grant };
            let plain = coding::decode(&headers, &masked, &mut limits).unwrap();
            assert_eq!(&*plain, br#"{"email":"***"}"#);
            let twice = it.body(&headers, &masked).unwrap();
            assert!(matches!(twice, Cow::Borrowed(_)), "what is masked is masked");
            assert!(Hidden::is_in(&headers, &masked) && !Hidden::is_in(&headers, &body));
        });
    }
}
