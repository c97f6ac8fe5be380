//! A whole answer, and how two of them are compared.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::Stage;
use super::lane::Lane;
use super::pair::Head;
use crate::body::{Capture, ReplyBody};
use crate::exchange::Outcome;
use crate::observe::Series;
use crate::record::masked::Hidden;
use compare::{self, Differences, Headers, Limits, Match, Rules, Side};

/// Bytes of a body that is compared where it was read.
pub(super) const SMALL: u64 = 8 * 1024;

/// A decoded body may be this many times `MIRROR_MAX_BODY_BYTES`.
pub(super) const DECODED_FACTOR: usize = 8;

/// What came of a comparison, and what differs; `None` for the latter where nobody could tell.
pub(super) type Looked = (Outcome, Option<Differences>);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) body: Arc<ReplyBody>,
}

/// Compares two answers. Equal bytes are seen at once; a closer look at large bodies takes time
/// that no client should wait for, and has threads of its own.
pub(super) async fn compared(
    lane: &Arc<Lane>,
    series: &Series,
    ours: Arc<Reply>,
    theirs: Arc<Reply>,
) -> Option<Looked> {
    lane.probe(Stage::Compare);
    let chosen = ours.head.terms.rules(&series.label);
    let detail = chosen.wants_detail();
    let (side, other) = (ours.side(), theirs.side());
    if !detail && compare::same_bytes(&side, &other, &chosen.rules) {
        let uncompared = compare::uncompared_headers(&side, &other, &chosen.rules);
        return Some((
            Outcome::Matched,
            Some(Differences { uncompared, ..Differences::default() }),
        ));
    }
    if ours.is_small() && theirs.is_small() {
        return Some(look_closer(lane, &ours, &theirs, &chosen.rules, detail));
    }
    let look = {
        let (lane, rules) = (Arc::clone(lane), Arc::clone(&chosen.rules));
        async move { look_closer(&lane, &ours, &theirs, &rules, detail) }
    };
    lane.shared.compare_runtime.spawn(look).await.ok()
}

fn look_closer(lane: &Lane, ours: &Reply, theirs: &Reply, rules: &Rules, detail: bool) -> Looked {
    lane.probe(Stage::Look);
    let mut decoded = lane.budget.try_take(0);
    let mut grant = |bytes| decoded.as_mut().is_some_and(|held| held.try_grow(bytes));
    let max_decoded = ours.head.terms.max_body_bytes.saturating_mul(DECODED_FACTOR);
    let mut limits = Limits { max_decoded, grant: &mut grant };
    let (ours, theirs) = (ours.side(), theirs.side());
    let looked = compare::look_closer(&ours, &theirs, rules, detail, &mut limits);
    match looked.result {
        Match::Matched => (Outcome::Matched, Some(looked.differences)),
        Match::Mismatched => (Outcome::Mismatched, Some(looked.differences)),
        Match::ResponseTooLarge => (Outcome::ResponseTooLarge, None),
        Match::BufferFull => {
            lane.note_drop(Outcome::DroppedBufferFull);
            (Outcome::DroppedBufferFull, None)
        }
    }
}

impl Reply {
    /// The same without what was hidden in an answer that was recorded, so that only what was not is held against
    /// it; `None` where nothing was hidden, or no memory is left.
    pub(super) fn hidden_as(&self, recorded: &Self, label: &Arc<str>, lane: &Lane) -> Option<Self> {
        let terms = &self.head.terms;
        let rules = terms.rules(label);
        let hidden = Hidden { policy: &terms.redaction, rules: &rules.rules };
        let headers = self.headers_hidden_as(recorded, &hidden);
        let body = self.body_hidden_as(recorded, &hidden, lane);
        if headers.is_none() && body.is_none() {
            return None;
        }
        let mut head = self.head.clone();
        head.headers = headers.unwrap_or(head.headers);
        Some(Self { head, body: body.unwrap_or_else(|| Arc::clone(&self.body)) })
    }

    fn headers_hidden_as(&self, recorded: &Self, hidden: &Hidden<'_>) -> Option<Headers> {
        let ours = recorded.head.headers.lines();
        let names: Vec<_> =
            ours.filter(|(_, value)| Hidden::is_in_value(value)).map(|(name, _)| name).collect();
        let mask = |name: &_, value: &_| {
            names.contains(&name).then(|| hidden.header(name, value)).flatten()
        };
        (!names.is_empty()).then(|| self.head.headers.with(mask))
    }

    fn body_hidden_as(
        &self,
        recorded: &Self,
        hidden: &Hidden<'_>,
        lane: &Lane,
    ) -> Option<Arc<ReplyBody>> {
        let (ReplyBody::Whole(ours), ReplyBody::Whole(theirs)) = (&*recorded.body, &*self.body)
        else {
            return None;
        };
        if !Hidden::is_in(&recorded.said_of_body(), ours.bytes()) {
            return None;
        }
        let masked = hidden.body(&self.said_of_body(), theirs.bytes()).ok()?.into_owned();
        let held = lane.budget.try_take(masked.len())?;
        Some(Arc::new(ReplyBody::Whole(Capture::of(masked, held))))
    }

    /// The header lines that say how its body is read.
    fn said_of_body(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content_type = self.head.headers.content_type();
        let content_type = content_type.and_then(|it| HeaderValue::from_bytes(it).ok());
        headers.extend(content_type.map(|it| (CONTENT_TYPE, it)));
        for coding in &self.head.content_encoding {
            headers.append(CONTENT_ENCODING, coding.clone());
        }
        headers
    }

    /// Looking at it closely takes less than handing it to another thread. What is encoded may be
    /// of any size.
    pub(super) fn is_small(&self) -> bool {
        self.body.length() <= SMALL && self.head.content_encoding.is_empty()
    }

    pub(super) fn side(&self) -> Side<'_> {
        let Head { status, content_encoding, grpc_status, headers, .. } = &self.head;
        Side {
            status: status.as_u16(),
            content_type: headers.content_type(),
            content_encoding: content_encoding.iter().map(HeaderValue::as_bytes).collect(),
            grpc_status: grpc_status.as_ref().map(HeaderValue::as_bytes),
            headers: Some(headers),
            body: match &*self.body {
                ReplyBody::Whole(capture) => compare::Body::Whole(capture.bytes()),
                ReplyBody::Hashed { hasher, length, cause } => compare::Body::Hashed {
                    length: *length,
                    hash: hasher.digest128(),
                    cause: *cause,
                },
            },
        }
    }
}
