//! A collector of spans: one that speaks gRPC, and one that speaks HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::support::{Answer, Seen, text, upstream};

type Batches = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// What a collector has got.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) addr: SocketAddr,
    /// The word of its protocol.
    pub(super) protocol: &'static str,
    batches: Batches,
}

#[derive(Clone)]
struct Service {
    batches: Batches,
    answer: fn(usize) -> Result<ExportTraceServiceResponse, Status>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut batches = self.batches.lock().unwrap();
        batches.push(request.into_inner());
        (self.answer)(batches.len()).map(Response::new)
    }
}

impl Collector {
    /// Takes all, by gRPC.
    pub(super) async fn grpc() -> Self {
        Self::grpc_that(|_| Ok(ExportTraceServiceResponse::default())).await
    }

    /// Answers the batch of each number so.
    pub(super) async fn grpc_that(
        answer: fn(usize) -> Result<ExportTraceServiceResponse, Status>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let batches = Batches::default();
        let service = Service { batches: Arc::clone(&batches), answer };
        let service = TraceServiceServer::new(service)
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
        let serving = Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
        Self { addr, protocol: "grpc", batches }
    }

    /// Takes all, by HTTP.
    pub(super) async fn http() -> Self {
        Self::http_that(|_| text(ExportTraceServiceResponse::default().encode_to_vec())).await
    }

    /// Answers the batch of each number so.
    pub(super) async fn http_that(answer: fn(usize) -> Answer) -> Self {
        let batches = Batches::default();
        let kept = Arc::clone(&batches);
        let server = upstream(move |seen: Seen| {
            assert_eq!((seen.method.as_str(), &*seen.target), ("POST", "/v1/traces"));
            assert_eq!(seen.headers["content-type"], "application/x-protobuf");
            let mut batches = kept.lock().unwrap();
            batches.push(ExportTraceServiceRequest::decode(seen.body).unwrap());
            let answer = answer(batches.len());
            async move { answer }
        });
        Self { addr: server.await.addr, protocol: "http/protobuf", batches }
    }

    pub(super) fn batches(&self) -> Vec<ExportTraceServiceRequest> {
        self.batches.lock().unwrap().clone()
    }

    /// All spans so far.
    pub(super) fn spans(&self) -> Vec<Span> {
        let batches = self.batches().into_iter();
        let scopes = batches.flat_map(|it| it.resource_spans).flat_map(|it| it.scope_spans);
        scopes.flat_map(|it| it.spans).collect()
    }

    /// The span of this name, of which there is one.
    pub(super) fn span(&self, name: &str) -> Span {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        assert_eq!(spans.len(), 1, "{name}: {spans:?}");
        spans.remove(0)
    }
}

/// The attributes of a span, as text.
pub(super) fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let attribute = |it: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| match it
        .value
        .clone()
        .and_then(|it| it.value)
    {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => panic!("{other:?}"),
    };
    span.attributes.iter().map(|it| (&*it.key, attribute(it))).collect()
}

pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
