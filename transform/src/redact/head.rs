//! Target, headers and cookies of a copy.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::policy::Rule;
use super::run::Run;
use super::way::Way;
use crate::CopyRequest;
use crate::parts::headers::reads_as;
use crate::parts::pairs::Edit;
use crate::parts::{Fault, cookies, pairs};

/// Schemes of credentials that are known, of IANA's registry and of those that are seen: any other word may be a part
/// of a secret.
const SCHEMES: [&str; 15] = [
    "Basic",
    "Bearer",
    "Digest",
    "DPoP",
    "HOBA",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "vapid",
    "Token",
    "ApiKey",
    "AWS4-HMAC-SHA256",
];

pub(super) fn target(run: &Run<'_>, copy: &mut CopyRequest) {
    if let Cow::Owned(path) = run.path(&copy.path) {
        copy.path = path;
    }
    let query = copy.query.as_deref().map(|query| run.pairs(query, |rule| &rule.query));
    if let Some(Cow::Owned(query)) = query {
        copy.query = (!query.is_empty()).then_some(query);
    }
}

pub(super) fn headers(run: &Run<'_>, copy: &mut CopyRequest) -> Result<(), Fault> {
    if !cookies(run, &mut copy.headers) {
        return Err(Fault::Value);
    }
    let mut edits: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::new();
    for name in copy.headers.keys() {
        let rule = rule_of(run, name);
        if rule.is_none() && *name == COOKIE {
            continue;
        }
        let mut changed = false;
        let mut lines = Vec::new();
        for value in copy.headers.get_all(name) {
            match line(run, name, value, rule)? {
                None => lines.push(value.clone()),
                Some(with) => {
                    changed = true;
                    lines.extend(with);
                }
            }
        }
        if changed {
            edits.push((name.clone(), lines));
        }
    }
    for (name, lines) in edits {
        copy.headers.remove(&name);
        for line in lines {
            copy.headers.append(&name, line);
        }
    }
    Ok(())
}

pub(super) fn rule_of(run: &Run<'_>, name: &HeaderName) -> Option<usize> {
    let is_it = |rule: &Rule| rule.headers.iter().any(|it| reads_as(name, it));
    run.policy.rules().iter().position(is_it)
}

/// What becomes of a header line: `None` where it stays, `Some(None)` where it goes.
pub(super) fn line(
    run: &Run<'_>,
    name: &HeaderName,
    value: &HeaderValue,
    rule: Option<usize>,
) -> Result<Option<Option<HeaderValue>>, Fault> {
    let text = text_of(value);
    let with = match rule {
        Some(rule) => match credentials(name, &text) {
            // Its scheme tells what follows, and is nobody's.
            Some((scheme, rest)) if !matches!(run.way_of(rule), Way::Mask) => {
                run.ruled(rule, rest).map(|rest| format!("{scheme} {rest}"))
            }
            _ => run.ruled(rule, &text),
        },
        None => match run.value(&text) {
            Some(with) => Some(with),
            None => return Ok(None),
        },
    };
    match with {
        Some(with) if with == text => Ok(None),
        Some(with) => {
            HeaderValue::try_from(with).map(|it| Some(Some(it))).map_err(|_| Fault::Value)
        }
        None => Ok(Some(None)),
    }
}

/// The scheme of credentials, and the rest.
fn credentials<'t>(name: &HeaderName, text: &'t str) -> Option<(&'t str, &'t str)> {
    let may_have_scheme = *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION;
    let is_scheme = |text: &str| SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(text));
    text.split_once(' ').filter(|(scheme, _)| may_have_scheme && is_scheme(scheme))
}

/// The text of a header; of one that is no UTF-8 the letters that its bytes were once (ISO 8859-1).
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// Changes cookies. Whether all could be written.
fn cookies(run: &Run<'_>, headers: &mut HeaderMap) -> bool {
    if rule_of(run, &COOKIE).is_some() {
        return true;
    }
    let mut fits = true;
    let written = cookies::rewrite(headers, &mut |name, value| {
        let decoded = percent_decode_str(name).decode_utf8_lossy();
        if let Some(rule) = run.policy.named(&decoded, |rule: &Rule| &rule.cookies) {
            // There are servers that take what is behind a semicolon in quotes for a part of it.
            fits &= !value.starts_with('"') || value.len() > 1 && value.ends_with('"');
            return match run.ruled(rule, value) {
                None => Edit::Remove,
                Some(with) if with == value => Edit::Keep,
                Some(with) => Edit::Value(with),
            };
        }
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        // What was encoded is encoded again.
        let is_encoded = decoded != value;
        let value = run.value(&decoded);
        let value = value.map(|it| if is_encoded { pairs::encoded(&it) } else { it });
        match (run.text(name), value) {
            (Cow::Borrowed(_), None) => Edit::Keep,
            (Cow::Borrowed(_), Some(value)) => Edit::Value(value),
            (Cow::Owned(name), None) => Edit::Name(name),
            (Cow::Owned(name), Some(value)) => Edit::Both(name, value),
        }
    });
    written && fits
}
