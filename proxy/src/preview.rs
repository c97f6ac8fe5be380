//! `try`: the copy of a request that would go out to each candidate, as a difference to the request, with the rule
//! behind each change.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::config::Config;
use crate::explain::Explaining;
use crate::headers::{self, target};
use crate::plan::{Identities, Plan, Preparation, Rule, Terms, Treatment};
use crate::policy::hook::Hook;
use crate::policy::matcher::Seen;
use compare::Limits;
use transform::CopyRequest;
use transform::hook::{self, Failure, Verdict};
use transform::identity::copies;
use transform::parts::Fault;
use transform::value::{About, Secret};

/// Header lines that a request may have.
const LINES_MAX: usize = 1000;
/// Largest request, in bytes.
pub const BYTES_MAX: usize = 64 << 20;
/// What `{request_id}` is where the request has none; each copy has another.
const REQUEST_ID: &str = "00000000000000000000000000000000";

/// What is to be tried.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// The name or label of a route, in place of the one that the request fits.
    pub route: Option<String>,
    /// The name of a candidate; all where it does not say.
    pub candidate: Option<String>,
    /// Who sends it.
    pub client: Option<IpAddr>,
}

/// A request as it is read.
struct Read {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// What would go out for a request (HTTP/1.1, RFC 9112).
///
/// # Errors
/// What is wrong with the request, or with what is to be tried.
pub fn shown(config: &Config, tried: &Tried, request: &[u8]) -> Result<String, String> {
    let request = read(request)?;
    let plan = Plan::new(config.parts(), None, Instant::now());
    let treatment = chosen(&plan, tried, &request)?;
    let Read { method, uri, .. } = &request;
    let label = plan.label_of(treatment, method, || uri.path().into());
    let mut text = String::new();
    let mut found = false;
    for (candidate, terms) in plan.candidates.iter().zip(&treatment.terms) {
        if tried.candidate.as_ref().is_some_and(|name| **name != *candidate.name) {
            continue;
        }
        found = true;
        let route = match &*treatment.policy.place {
            "" => "no route".to_owned(),
            place => format!("route {:?} ({place})", treatment.policy.id),
        };
        line(&mut text, &format!("candidate {:?}, {route}", candidate.name));
        match terms {
            None => line(&mut text, "gets no copy"),
            Some(terms) => {
                let (about, secrets) = ((&*label, &*candidate.name), &config.preparations.secrets);
                text.push_str(&copy(about, terms, &request, secrets));
            }
        }
    }
    if !found {
        let names: Vec<_> = plan.candidates.iter().map(|it| &*it.name).collect();
        let name = tried.candidate.as_deref().unwrap_or_default();
        return Err(format!("--candidate={name:?}: is none; allowed is {}", names.join(", ")));
    }
    Ok(text)
}

fn chosen<'p>(plan: &'p Plan, tried: &Tried, request: &Read) -> Result<&'p Treatment, String> {
    if let Some(name) = &tried.route {
        let named = |it: &&std::sync::Arc<Treatment>| *it.policy.id == **name;
        return plan.treatments().find(named).map(|it| &**it).ok_or_else(|| {
            let ids: Vec<_> = plan.policies().map(|it| &*it.id).collect();
            format!("--route={name:?}: is no route; allowed is {}", ids.join(", "))
        });
    }
    let Read { method, uri, headers, .. } = request;
    let client = tried.client.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    let seen = Seen { method, uri, headers, client };
    let mut label = |path: &str| plan.labels().of(method, path).into();
    Ok(plan.of(&seen, &mut label).treatment)
}

/// Shows what becomes of the copy for one candidate.
fn copy(about: (&str, &str), terms: &Terms, request: &Read, secrets: &[Secret]) -> String {
    let mut copy = of(request, terms);
    let mut told = Explaining::clear(&copy, secrets);
    if let Some(preparation) = &terms.preparation {
        prepare(&mut told, about, preparation, &mut copy);
    }
    told.traced(terms.traces);
    told.marked(terms.mark.as_ref());
    told.text()
}

fn prepare(
    told: &mut Explaining<'_>,
    (route, candidate): (&str, &str),
    preparation: &Preparation,
    copy: &mut CopyRequest,
) {
    identities(told, &preparation.identities, copy);
    let about = About { route, candidate, request_id: REQUEST_ID };
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: BYTES_MAX, grant: &mut grant };
    let mut watch = |rule: Rule, copy: &CopyRequest, done: Result<(), Fault>| {
        told.step(rule, copy, done);
    };
    if let Err(failed) = preparation.apply(copy, &[], &about, &mut limits, Some(&mut watch)) {
        return told.unsent(format!("{:?}: {}", failed.step, failed.fault));
    }
    for hook in &preparation.pre {
        let said = run(hook, copy, (route, candidate));
        told.hook(hook, copy, said.as_ref().map_err(ToString::to_string));
        if !matches!(said, Ok(Verdict::Send)) {
            return;
        }
    }
}

/// Tells the values that are the baseline's, of which nobody knows here what the candidate calls them.
fn identities(told: &mut Explaining<'_>, identities: &Identities, copy: &CopyRequest) {
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: BYTES_MAX, grant: &mut grant };
    let mut found: Vec<Vec<String>> = vec![Vec::new(); identities.places.len()];
    let mut look = |at: usize, value: &[u8]| {
        let value = format!("{:?}", String::from_utf8_lossy(value));
        if !found[at].contains(&value) {
            found[at].push(value);
        }
        None
    };
    copies::replace(&identities.places, &mut copy.clone(), &mut look, &mut limits);
    for (rule, values) in identities.rules().zip(found) {
        let what = match values[..] {
            [] => "finds nothing".to_owned(),
            _ => format!("puts in what the candidate calls {}", values.join(", ")),
        };
        told.told(rule, what);
    }
}

/// Lets a hook see the copy.
fn run(
    hook: &Hook,
    copy: &mut CopyRequest,
    (route, candidate): (&str, &str),
) -> Result<Verdict, Failure> {
    let until = Instant::now() + hook.timeout;
    let limits = hook::Limits {
        steps: hook.steps,
        bytes: hook.bytes,
        over: Arc::new(move || Instant::now() >= until),
        grant: Box::new(|_| true),
    };
    let said = hook.script.pre(copy, hook::About { route, candidate }, limits)?;
    Ok(said.verdict)
}

/// The request as its copy begins.
fn of(request: &Read, terms: &Terms) -> CopyRequest {
    let mut headers = request.headers.clone();
    headers::strip_connection_level(&mut headers);
    for name in [HOST, CONTENT_LENGTH] {
        headers.remove(name);
    }
    CopyRequest {
        method: request.method.clone(),
        path: target::shown(request.uri.path()).into_owned(),
        query: request.uri.query().map(|query| target::shown(query).into_owned()),
        host: None,
        headers,
        body: terms.body.then(|| request.body.clone()),
    }
}

fn line(text: &mut String, what: &str) {
    text.push_str(what);
    text.push('\n');
}

/// Reads a request; its body is all that is behind its head.
fn read(bytes: &[u8]) -> Result<Read, String> {
    let mut lines = vec![httparse::EMPTY_HEADER; LINES_MAX];
    let mut parsed = httparse::Request::new(&mut lines);
    // Who writes one by hand leaves out the empty line behind the head.
    let ended = [bytes, b"\r\n\r\n"].concat();
    let length = match parsed.parse(&ended) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err("the request has no whole head".to_owned()),
        Err(error) => return Err(format!("is no HTTP/1.1 request: {error}")),
    };
    let bad = |what: &str| format!("the request has no {what} that may be there");
    let (method, path) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let method = method.parse().map_err(|_| bad("method"))?;
    let uri = target::as_read(path).parse().map_err(|_| bad("target"))?;
    let mut headers = HeaderMap::new();
    for header in parsed.headers.iter() {
        let name =
            HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| bad("header name"))?;
        headers.append(name, HeaderValue::from_bytes(header.value).map_err(|_| bad("header"))?);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err("the request has Transfer-Encoding; allowed is a body as it is".to_owned());
    }
    let body = bytes.get(length..).unwrap_or_default();
    let declared = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let body = &body[..body.len().min(declared.unwrap_or(body.len()))];
    Ok(Read { method, uri, headers, body: Bytes::copy_from_slice(body) })
}

#[cfg(test)]
mod tests;
