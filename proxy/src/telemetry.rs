//! Traces: what copies say of the trace that their request is part of, and spans, which are exported by OTLP.
//!
//! Spans are made after the fact, of moments that are noted on the way, and where spans are exported alone: whoever
//! notes one never waits. Those that are over go through a bounded queue to a task that serves no clients, which
//! makes them what OTLP wants and sends them in batches. What finds no place there, or is not taken by
//! the collector, is dropped and counted.
//!
//! The messages are OpenTelemetry's own; its SDK is not used. That drops spans without telling how many, reads the
//! environment by itself, and brings an HTTP client and a second TLS for what [`upstream`](crate::upstream) does.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

mod carried;
pub mod context;
mod exporter;
mod ids;
mod request;
pub mod sampler;
mod span;
mod wire;

pub use carried::Carried;
pub use exporter::Batches;
pub use request::{AnswerSide, Traced, TracedCopy};
pub use wire::{Endpoint, Protocol, Sender, Wire};

use crate::exchange::Spans;
use crate::metrics::SpanMetrics;
use crate::upstream::Target;
use exporter::Exporter;
use sampler::Sampler;
use span::{Finished, Server};

/// How long the last spans may take to be sent.
const LAST: Duration = Duration::from_secs(5);

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub struct Config {
    /// How they are sent.
    pub wire: Wire,
    /// Who they are of, as names and values.
    pub resource: Vec<(String, String)>,
    /// Which of them.
    pub sampler: Sampler,
    /// How many wait, and for how long.
    pub batches: Batches,
}

/// Makes spans, or does not. Copies are of the same one.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    queue: mpsc::Sender<Finished>,
    sampler: Sampler,
    metrics: SpanMetrics,
    /// Whom requests go to.
    baseline: Server,
    closing: watch::Sender<bool>,
    ended: watch::Receiver<()>,
}

impl Tracer {
    /// Starts the task that exports, on threads that serve no clients.
    pub fn start(
        config: Config,
        sender: Sender,
        (baseline, metrics): (&Target, &SpanMetrics),
        runtime: &Handle,
    ) -> Self {
        let Config { resource, sampler, batches, .. } = config;
        let (queue, spans) = mpsc::channel(batches.queue);
        let (closing, is_closing) = watch::channel(false);
        let (at_end, ended) = watch::channel(());
        let exporter = Exporter::new(sender, batches, &resource, metrics.clone(), is_closing);
        runtime.spawn(async move {
            exporter.run(spans).await;
            drop(at_end);
        });
        let (metrics, baseline) = (metrics.clone(), Server::of(baseline));
        Self(Some(Arc::new(Running { queue, sampler, metrics, baseline, closing, ended })))
    }

    /// Follows a request of these headers, whose method and route label this is, from now on; `None` where it has
    /// no spans.
    pub fn begin(
        &self,
        headers: &HeaderMap,
        method: &Method,
        label: &Arc<str>,
    ) -> Option<Arc<Traced>> {
        let running = self.0.as_ref()?;
        Traced::begin(running, headers, method, label)
    }

    /// Sends what is there, but not for long.
    pub async fn close(&self) {
        let Some(running) = &self.0 else { return };
        running.closing.send_replace(true);
        let mut ended = running.ended.clone();
        let all = async { while ended.changed().await.is_ok() {} };
        // What is not sent by then is lost.
        tokio::time::timeout(LAST, all).await.ok();
    }
}

impl Running {
    /// Takes a span that is over. Returns at once.
    fn offer(&self, span: Finished) {
        if self.queue.try_send(span).is_err() {
            self.metrics.count(Spans::DroppedQueueFull, 1);
        }
    }
}
