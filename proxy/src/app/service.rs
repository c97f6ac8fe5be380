//! What a listener serves: traffic, the admin endpoints, or both, told apart by the path.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::control;
use crate::exchange::Refusal;
use crate::forward::{self, Downstream, DownstreamBody, Forward};
use crate::headers::Peer;
use crate::limits::timed::Activity;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::serve::Answer;

/// What a listener serves.
pub(super) enum Service {
    Traffic(Traffic),
    Admin(Router),
    Relay(Arc<Relay>),
}

pub(super) struct Traffic {
    pub(super) forward: Arc<Forward>,
    /// Served here when the admin endpoints have no listener of their own.
    pub(super) admin: Option<(String, Router)>,
    pub(super) metrics: Arc<Metrics>,
}

impl Answer for Service {
    type Body = Downstream;

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        client: &Arc<AtomicUsize>,
        connection: &Activity,
    ) -> Response<Downstream> {
        match self {
            Self::Admin(router) => by_router(router, request, peer).await,
            Self::Traffic(Traffic { admin: Some((prefix, router)), .. })
                if control::is_admin_path(prefix, request.uri().path()) =>
            {
                // Boxed, or each request's future would be as large as a router's.
                Box::pin(by_router(router, request, peer)).await
            }
            Self::Traffic(traffic) => {
                traffic.forward.handle(request, peer, client, connection).await
            }
            Self::Relay(relay) => relay.answer(request, peer, connection).await,
        }
    }

    fn malformed(&self) -> Response<Downstream> {
        forward::malformed()
    }

    fn note_refused(&self, refusal: Refusal) {
        match self {
            Self::Traffic(traffic) => traffic.metrics.count_refused(refusal),
            Self::Relay(relay) => relay.note_refused(refusal),
            Self::Admin(_) => {}
        }
    }

    fn note_broken_response(&self) {
        if let Self::Traffic(traffic) = self {
            traffic.forward.note_broken_response();
        }
    }
}

async fn by_router(
    router: &Router,
    mut request: Request<Incoming>,
    peer: &Peer,
) -> Response<Downstream> {
    // Who asks decides what is shown.
    request.extensions_mut().insert(peer.clone());
    let answer = router.clone().oneshot(request.map(axum::body::Body::new));
    let response = answer.await.unwrap_or_else(|never| match never {});
    response.map(|body| DownstreamBody::Admin(body).into())
}
