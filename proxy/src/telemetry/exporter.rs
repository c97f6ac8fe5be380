//! Gathers spans that are over, and sends them in batches.
//!
//! Nobody waits for it. As many spans as fit into the queue wait while a batch is on its way, and one that the
//! collector may take later is tried again for a while; what comes then finds no place.

use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::span::{Finished, text};
use super::wire::{Failed, Sender};
use crate::exchange::Spans;
use crate::log_limit::LogLimit;
use crate::metrics::SpanMetrics;

/// How often failures are logged at most.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Pause before the second try; each after it is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How many spans wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// Most that wait.
    pub queue: usize,
    /// Most that are sent at once.
    pub size: usize,
    /// How long the first of a batch waits for others.
    pub delay: Duration,
    /// How long a batch may take, with all its tries.
    pub timeout: Duration,
}

/// Sends what comes out of the queue.
#[derive(Debug)]
pub(super) struct Exporter {
    sender: Sender,
    batches: Batches,
    resource: Resource,
    metrics: SpanMetrics,
    /// Nothing is tried again any more.
    closing: watch::Receiver<bool>,
    failures: LogLimit,
}

impl Exporter {
    pub(super) fn new(
        sender: Sender,
        batches: Batches,
        resource: &[(String, String)],
        metrics: SpanMetrics,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let attributes = resource.iter().map(|(key, value)| text(key, value)).collect();
        let resource = Resource { attributes, ..Resource::default() };
        let failures = LogLimit::new(LOG_EVERY);
        Self { sender, batches, resource, metrics, closing, failures }
    }

    /// Works until nobody is left who has a span, or it is closing and there is none any more.
    pub(super) async fn run(mut self, mut spans: mpsc::Receiver<Finished>) {
        let mut batch = Vec::new();
        loop {
            let goes_on = self.gather(&mut spans, &mut batch).await;
            if !batch.is_empty() {
                self.export(batch.drain(..)).await;
            } else if !goes_on {
                return;
            }
        }
    }

    /// Waits until there is a batch to send; whether more are to be waited for.
    async fn gather(
        &mut self,
        spans: &mut mpsc::Receiver<Finished>,
        batch: &mut Vec<Finished>,
    ) -> bool {
        let Batches { size, delay, .. } = self.batches;
        let more = async {
            if spans.recv_many(batch, size).await == 0 {
                return false;
            }
            let rest = async {
                while batch.len() < size && spans.recv_many(batch, size - batch.len()).await > 0 {}
            };
            // Late is full enough.
            timeout(delay, rest).await.ok();
            true
        };
        let goes_on = tokio::select! {
            more = more => more,
            // Whoever could close it is gone with those who have spans.
            _ = self.closing.wait_for(|is_closing| *is_closing) => false,
        };
        while !goes_on
            && batch.len() < size
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        goes_on
    }

    async fn export(&mut self, batch: impl ExactSizeIterator<Item = Finished>) {
        let count = batch.len() as u64;
        let message = self.message(batch);
        let limit = self.batches.timeout;
        let (result, why) = match timeout(limit, self.deliver(&message)).await {
            Ok(Ok(refused)) => {
                let refused = refused.min(count);
                self.metrics.count(Spans::Rejected, refused);
                return self.metrics.count(Spans::Exported, count - refused);
            }
            Ok(Err(Failed::Refused(why))) => (Spans::Rejected, why),
            Ok(Err(Failed::Away(why, _))) => (Spans::Failed, why),
            Err(_) => (Spans::Failed, "not taken in time".to_owned()),
        };
        self.metrics.count(result, count);
        if let Some(before) = self.failures.admit(Instant::now()) {
            let result = result.name();
            warn!(result, why, spans = count, not_logged_before = before, "spans are not exported");
        }
    }

    async fn deliver(&mut self, message: &Bytes) -> Result<u64, Failed> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (why, asked) = match self.sender.send(message).await {
                Err(Failed::Away(why, asked)) => (why, asked),
                answer => return answer,
            };
            // Not all of those that were sent away come back at once.
            let pauses = asked.unwrap_or_else(|| pause.mul_f64(rand::random_range(0.5..1.0)));
            tokio::select! {
                () = sleep(pauses) => {}
                _ = self.closing.wait_for(|is_closing| *is_closing) => {
                    return Err(Failed::Away(why, None));
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn message(&self, batch: impl Iterator<Item = Finished>) -> Bytes {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = batch.map(Finished::message).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let of_resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![of_resource] };
        Bytes::from(request.encode_to_vec())
    }
}
