//! The two sides of a pair meet here: the client path tells of the baseline's answer, the worker
//! that sent the copy waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tokio::sync::oneshot;

use crate::body::ReplyBody;
use crate::headers::is_grpc;
use crate::plan::Terms;
use compare::Headers;
use compare::reply::{copied, says_grpc};
use judge::Call;
use transform::identity::Reached;

/// What is kept of a response head.
#[derive(Clone, Debug)]
pub struct Head {
    /// By which the answer is compared.
    pub terms: Arc<Terms>,
    /// The status.
    pub status: StatusCode,
    /// From the request sent whole to the last byte of this head.
    pub latency: Duration,
    /// The headers that may be compared.
    pub headers: Headers,
    /// The header lines of this name.
    pub content_encoding: Vec<HeaderValue>,
    /// The status of a gRPC call; in the trailers, where the answer has a body.
    pub grpc_status: Option<HeaderValue>,
    /// Those that identities look at; of a candidate's answer, and where hooks see answers, all. Empty on routes
    /// without either.
    pub kept: HeaderMap,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The codes that are the server's own failures, as Google's APIs map them to 500 and up: unknown,
/// deadline exceeded, unimplemented, internal, unavailable, data loss.
const GRPC_FAILURES: [&[u8]; 6] = [b"2", b"4", b"12", b"13", b"14", b"15"];

impl Head {
    /// Keeps what the comparison needs: of the headers the default ones and those of the rules.
    pub fn of<B>(response: &Response<B>, latency: Duration, terms: &Arc<Terms>) -> Self {
        let names = terms.comparison().headers();
        let headers = response.headers();
        let grpc_status =
            if is_grpc(headers) { headers.get(GRPC_STATUS).map(copied) } else { None };
        Self {
            terms: Arc::clone(terms),
            grpc_status,
            status: response.status(),
            latency,
            headers: Headers::of(headers, response.status(), names),
            content_encoding: headers.get_all(CONTENT_ENCODING).iter().map(copied).collect(),
            kept: kept(headers, terms),
        }
    }

    /// Keeps all headers, where they may have to be changed to be compared, or are recorded.
    pub(super) fn keep_all(&mut self, headers: &HeaderMap, is_recorded: bool) {
        if is_recorded || self.terms.identities().is_some() || !self.terms.post_hooks().is_empty() {
            self.kept = headers.clone();
        }
    }

    /// Trailers have come.
    pub fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = self.grpc_status_of(trailers) {
            self.grpc_status = Some(status);
        }
    }

    pub(super) fn grpc_status_of(&self, trailers: &HeaderMap) -> Option<HeaderValue> {
        trailers.get(GRPC_STATUS).filter(|_| self.is_grpc()).cloned()
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.headers.content_type().is_some_and(says_grpc)
    }

    /// What is known of a side whose head has come.
    pub(super) fn call(&self) -> Call {
        Call { latency: Some(self.latency), failed: self.is_failure() }
    }

    /// Whether the server failed.
    pub fn is_failure(&self) -> bool {
        let grpc = self.grpc_status.as_ref().map(HeaderValue::as_bytes);
        self.status.is_server_error() || grpc.is_some_and(|code| GRPC_FAILURES.contains(&code))
    }
}

fn kept(headers: &HeaderMap, terms: &Terms) -> HeaderMap {
    if terms.post_hooks().is_empty() {
        return terms.identities().map(|it| named(headers, &it.headers)).unwrap_or_default();
    }
    headers.iter().map(|(name, value)| (name.clone(), copied(value))).collect()
}

fn named(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            kept.append(name, copied(value));
        }
    }
    kept
}

/// How the baseline's side of a pair ended.
#[derive(Clone, Debug)]
pub(super) enum End<B = ReplyBody> {
    /// Its answer is whole.
    Answered(B),
    /// There is none, or it broke off, after this time; `None` where the request was not sent whole.
    Failed(Option<Duration>),
    /// The client left before it was whole, after this time; `None` as above.
    Aborted(Option<Duration>),
    /// The mirror side failed while keeping it.
    Broken,
}

/// The same for all who want to know.
pub(super) type Ended = End<Arc<ReplyBody>>;

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Answered(body) => Self::Answered(Arc::new(body)),
            End::Failed(after) => Self::Failed(after),
            End::Aborted(after) => Self::Aborted(after),
            End::Broken => Self::Broken,
        }
    }
}

/// How far the baseline's answer has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// By which the pair is judged, whatever is reloaded meanwhile.
    pub(super) terms: Arc<Terms>,
    pub(super) head: OnceLock<Head>,
    /// From the trailers.
    pub(super) grpc_status: OnceLock<HeaderValue>,
    pub(super) length: AtomicU64,
    /// All of it has come.
    pub(super) is_whole: AtomicBool,
    /// It may make what requests that follow are about, and these do not wait for it: whoever sends them has had
    /// an answer elsewhere.
    pub(super) is_overtaken: bool,
    /// It was not asked for: its latency was measured elsewhere, at another time.
    pub(super) is_known: bool,
}

/// What the worker has of the baseline's side.
#[derive(Debug)]
pub(super) struct BaselineSide {
    pub(super) progress: Arc<Progress>,
    /// Until the head has come, or never will.
    pub(super) head_seen: Option<oneshot::Receiver<()>>,
    pub(super) end: oneshot::Receiver<End>,
    /// What came of it, once somebody has looked.
    pub(super) ended: Option<Ended>,
}

impl Progress {
    /// How far the answer has come.
    pub(super) fn reached(&self) -> Reached {
        match self.head.get() {
            None => Reached::Nothing,
            Some(_) if self.is_whole.load(Ordering::Acquire) => Reached::End,
            Some(_) => Reached::Head,
        }
    }

    /// Bytes of the answer's body so far.
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}

impl BaselineSide {
    /// How far the answer has come, for those who do not wait for its end.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The end, if it has come.
    pub(super) fn end_so_far(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = match self.end.try_recv() {
                Ok(end) => Some(end.into()),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => Some(End::Broken),
            };
        }
        self.ended.clone()
    }

    /// Waits for the end.
    pub(super) async fn end(&mut self) -> Ended {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let ended = (&mut self.end).await.map_or(End::Broken, Ended::from);
        self.ended.insert(ended).clone()
    }

    /// The head, if it has come.
    pub(super) fn head_so_far(&self) -> Option<&Head> {
        self.progress.head.get()
    }

    /// Waits for the head; `None` when there will be none.
    pub(super) async fn head(&mut self) -> Option<&Head> {
        if let Some(seen) = &mut self.head_seen {
            // Whether it came or never will, the last line tells.
            seen.await.ok();
            self.head_seen = None;
        }
        self.progress.head.get()
    }

    /// The head of an answer that is whole, with what its trailers told.
    pub(super) async fn whole_head(&mut self) -> Option<Head> {
        let mut head = self.head().await?.clone();
        if let Some(status) = self.progress.grpc_status.get() {
            head.grpc_status = Some(status.clone());
        }
        Some(head)
    }
}
