//! A request as examples tell it, made when somebody asks: most pairs are no example of anything.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, FORWARDED,
    HOST, RANGE, TRANSFER_ENCODING, USER_AGENT, VIA,
};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::body::Held;
use crate::exchange::RequestSnapshot;
use crate::route::shown;
use compare::{Rules, Stand};
use judge::pair::{Asked, AskedBody, Asking};

/// Header lines that say nothing of who asks.
const PLAIN: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, RANGE];
/// What finds a request in logs and traces.
const IDS: [&str; 7] = [
    "traceparent",
    "x-request-id",
    "x-correlation-id",
    "request-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-b3-traceid",
];
/// Header lines told of, and bytes of a value.
const LINES_MAX: usize = 32;
const VALUE_MAX: usize = 256;
/// Longest body that is kept, in bytes.
const BODY_MAX: usize = 4096;
/// What a look into such a body may take.
const MEMORY_MAX: usize = 64 * BODY_MAX;

/// A request that a pair is about.
pub(super) struct Told<'r> {
    snapshot: Arc<RequestSnapshot>,
    /// None where there was none, or none that can be kept.
    body: Option<Bytes>,
    is_large: bool,
    /// By which it is told.
    rules: &'r Rules,
    statuses: OnceLock<[u16; 2]>,
    shown: OnceLock<String>,
    asked: OnceLock<Arc<Asked>>,
    /// Pays for the snapshot.
    _held: Arc<Held>,
}

impl<'r> Told<'r> {
    /// Of a request as the client sent it, `held` paying for its head. A body that is too large to be kept is
    /// let go.
    pub(super) fn new(
        snapshot: &Arc<RequestSnapshot>,
        body: Option<&Bytes>,
        rules: &'r Rules,
        held: Arc<Held>,
    ) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            body: body.filter(|body| !body.is_empty() && body.len() <= BODY_MAX).cloned(),
            is_large: body.is_some_and(|body| body.len() > BODY_MAX),
            rules,
            statuses: OnceLock::new(),
            shown: OnceLock::new(),
            asked: OnceLock::new(),
            _held: held,
        }
    }

    /// How it was answered, by baseline and candidate; the first word counts.
    pub(super) fn answered(&self, statuses: [StatusCode; 2]) {
        self.statuses.get_or_init(|| statuses.map(|status| status.as_u16()));
    }

    fn make(&self) -> Asked {
        let shown = self.shown();
        let (method, target) = shown.split_once(' ').unwrap_or((shown, "/"));
        Asked {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: self.lines(),
            ids: self.ids(),
            body: self.kept_body(),
            statuses: self.statuses.get().copied(),
        }
    }

    fn lines(&self) -> Vec<(String, Option<String>)> {
        let sent = |name: &&HeaderName| !(is_own(name) || IDS.contains(&name.as_str()));
        let line = |name: &HeaderName| {
            let value = self.snapshot.headers.get(name).filter(|_| PLAIN.contains(name));
            (name.to_string(), value.and_then(|value| self.value(value)))
        };
        self.snapshot.headers.keys().filter(sent).take(LINES_MAX).map(line).collect()
    }

    fn ids(&self) -> Vec<(String, String)> {
        let id = |name: &&str| {
            let value = self.value(self.snapshot.headers.get(*name)?)?;
            Some(((*name).to_owned(), value))
        };
        IDS.iter().filter_map(id).collect()
    }

    /// A value that can be told; none of one that looks personal.
    fn value(&self, value: &HeaderValue) -> Option<String> {
        let text = value.to_str().ok()?;
        (text.len() <= VALUE_MAX && !self.rules.hides_looks(text)).then(|| text.to_owned())
    }

    fn kept_body(&self) -> AskedBody {
        let Some(body) = &self.body else {
            return if self.is_large { AskedBody::NotKept } else { AskedBody::None };
        };
        let mut grant = compare::up_to(MEMORY_MAX);
        let kept = compare::kept(body, self.rules, Stand::Mask, &mut grant);
        match kept.and_then(|kept| String::from_utf8(kept).ok()) {
            Some(kept) => AskedBody::Kept(kept),
            None => AskedBody::NotKept,
        }
    }
}

impl Asking for Told<'_> {
    fn shown(&self) -> &str {
        let RequestSnapshot { method, uri, .. } = &*self.snapshot;
        self.shown.get_or_init(|| shown(method, uri, self.rules))
    }

    fn asked(&self) -> Option<Arc<Asked>> {
        Some(Arc::clone(self.asked.get_or_init(|| Arc::new(self.make()))))
    }
}

/// Lines that whoever sends a request writes anew.
fn is_own(name: &HeaderName) -> bool {
    let own =
        [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT, VIA];
    own.contains(name) || name.as_str().starts_with("x-forwarded-") || *name == FORWARDED
}

#[cfg(test)]
mod tests {
    use http::{Extensions, HeaderMap, Method};

    use super::*;
    use crate::body::Budget;

    fn asked(method: Method, target: &str, headers: &[(&str, &str)], body: Option<&str>) -> Asked {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let uri = target.parse().unwrap();
        let extensions = Extensions::new();
        let snapshot = Arc::new(RequestSnapshot { method, uri, headers: map, extensions });
        let held = Arc::new(Budget::new(1 << 20).try_take(0).unwrap());
        let body = body.map(|body| Bytes::from(body.to_owned()));
        let rules = Rules::default();
        let told = Told::new(&snapshot, body.as_ref(), &rules, held);
        told.answered([StatusCode::OK, StatusCode::BAD_GATEWAY]);
        Asked::clone(&told.asked().unwrap())
    }

    #[test]
    fn what_is_kept_of_a_request_finds_it_and_sends_it_again_without_secrets() {
        let asked = asked(
            Method::POST,
            "/users/7?q=words&page=2",
            &[
                ("content-type", "application/json"),
                ("authorization", "Bearer abc"),
                ("x-tenant", "alice"),
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                ("x-request-id", "r-1"),
                ("content-length", "3"),
                ("x-forwarded-for", "192.0.2.1"),
            ],
            Some(r#"{"email":"a@b.c","n":1}"#),
        );
        let line = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let mut headers = asked.headers.clone();
        headers.sort();
        assert_eq!(
            headers,
            [
                line("authorization", None),
                line("content-type", Some("application/json")),
                line("x-tenant", None)
            ]
        );
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            ("POST", "/users/7?q=***&page=2")
        );
        assert_eq!(
            asked.ids.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            [IDS[0], IDS[1]]
        );
        assert_eq!(asked.body, AskedBody::Kept(r#"{"email":"***","n":1}"#.into()));
        assert_eq!(asked.statuses, Some([200, 502]));
    }

    #[test]
    fn of_bodies_that_are_large_or_no_json_it_is_told_that_they_were_there() {
        let large = format!("[{}1]", "1,".repeat(BODY_MAX));
        for body in [&*large, "a=b&password=c"] {
            let asked = asked(Method::PUT, "/", &[], Some(body));
            assert_eq!(asked.body, AskedBody::NotKept, "{body:.20}");
        }
        for none in [None, Some("")] {
            assert_eq!(asked(Method::GET, "/", &[], none).body, AskedBody::None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many: Vec<_> = (0..100).map(|at| (format!("x-{at}"), "v".repeat(9000))).collect();
        let mut many: Vec<_> = many.iter().map(|(name, it)| (&**name, &**it)).collect();
        let long = "a".repeat(9000);
        many.push(("x-request-id", &long));
        let asked = asked(Method::GET, "/", &many, None);
        assert_eq!((asked.headers.len(), asked.ids.len()), (LINES_MAX, 0));
        assert!(asked.bytes() < 8 << 10, "{}", asked.bytes());
    }
}
