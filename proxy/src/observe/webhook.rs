//! Posts events to a URL, in the background: bounded in number, in tries and in time, and never in
//! anybody's way.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::exchange::Role;
use crate::log_limit::LogLimit;
use crate::upstream::{Dns, Sent, Target, Trust, Upstream, full_body};

/// Events that may wait; more are not posted.
const WAITING_MAX: usize = 32;
/// To connect, and again for the whole of one try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often failures are logged at most.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Pauses before the second try and those after it; after the last the event is given up.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// Where events are posted to. The path is often a secret and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    target: Target,
    path: PathAndQuery,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({}, …)", self.target.authority())
    }
}

impl Webhook {
    /// Reads an http or https URL; path and query are used as they are.
    ///
    /// # Errors
    /// What is wrong with it; the text never repeats the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (base, _) = url.split_once('?').unwrap_or((url, ""));
        // A fragment after the query is one too.
        let fragment = if url.contains('#') { "#" } else { "" };
        let mut target = Target::parse(&format!("{base}{fragment}"))?;
        target.prefix.clear();
        let uri: Uri = url.parse().map_err(|_| "is no URL".to_owned())?;
        let path = uri.path_and_query().cloned();
        Ok(Self { target, path: path.unwrap_or_else(|| PathAndQuery::from_static("/")) })
    }
}

/// Where events go in, and the work that posts them, which ends when the sender is gone.
///
/// # Errors
/// For https, when the system has no usable root certificates.
pub fn start(
    webhook: Webhook,
    trust: &Trust,
    dns: Dns,
) -> io::Result<(mpsc::Sender<Value>, impl Future<Output = ()> + use<>)> {
    let Webhook { target, path } = webhook;
    let (sender, mut events) = mpsc::channel::<Value>(WAITING_MAX);
    let receiver = Upstream::new(Role::Candidate, target, trust, TIMEOUT, dns)?;
    let failures = LogLimit::new(LOG_EVERY);
    let work = async move {
        while let Some(event) = events.recv().await {
            deliver(&receiver, &path, &Bytes::from(event.to_string()), &failures).await;
        }
    };
    Ok((sender, work))
}

async fn deliver(
    receiver: &Arc<Upstream>,
    path: &PathAndQuery,
    event: &Bytes,
    failures: &LogLimit,
) {
    let mut pauses = PAUSES.into_iter();
    loop {
        let why = match timeout(TIMEOUT, post(receiver, path, event)).await {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "no answer in time".to_owned(),
        };
        let Some(pause) = pauses.next() else {
            if let Some(before) = failures.admit(Instant::now()) {
                let not_logged_before = before;
                warn!(why, not_logged_before, "an event could not be posted to the webhook");
            }
            return;
        };
        sleep(pause).await;
    }
}

async fn post(receiver: &Arc<Upstream>, path: &PathAndQuery, event: &Bytes) -> Result<(), String> {
    let mut request = Request::new(full_body(event.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(path.clone());
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(event.len()));
    let answer = receiver.send(request, &Sent::default(), false).await;
    let status = answer.map_err(|error| error.reason().to_owned())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("status {}", status.as_u16())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_used_as_they_are() {
        for (url, authority, path) in [
            ("http://hooks", "hooks", "/"),
            ("http://hooks:81/a/b", "hooks:81", "/a/b"),
            ("https://hooks/a/?key=s3cret&x=/", "hooks", "/a/?key=s3cret&x=/"),
        ] {
            let webhook = Webhook::parse(url).unwrap();
            assert_eq!(webhook.target.authority(), authority);
            assert_eq!((webhook.path.as_str(), webhook.target.prefix.as_str()), (path, ""));
            assert!(!format!("{webhook:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for url in
            ["hooks/s3cret", "ftp://hooks/s3cret", "http://u:s3cret@h/", "http://h/?a#s3cret"]
        {
            let why = Webhook::parse(url).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
