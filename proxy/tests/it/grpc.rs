//! gRPC with a real client and real servers: passed, mirrored, compared.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use http::uri::PathAndQuery;
use tonic::server::{NamedService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::eventually;
use crate::support::{Proxy, in_time, proxy, refusing};

/// `message Note { string text = 1; uint32 count = 2; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    count: u32,
}

fn note(text: &str, count: u32) -> Note {
    Note { text: text.to_owned(), count }
}

type Answered<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Notes = Pin<Box<dyn Stream<Item = Result<Note, Status>> + Send>>;
type Reply = fn(Note) -> Result<Note, Status>;

/// `service Notes { rpc Ask(Note) returns (Note); rpc Chat(stream Note) returns (stream Note); }`
#[derive(Clone)]
struct Service {
    reply: Reply,
    asked: Arc<AtomicUsize>,
}

impl NamedService for Service {
    const NAME: &'static str = "notes.Notes";
}

impl UnaryService<Note> for Service {
    type Response = Note;
    type Future = Answered<Note>;
    fn call(&mut self, request: Request<Note>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let reply = (self.reply)(request.into_inner());
        Box::pin(async { reply.map(Response::new) })
    }
}

impl StreamingService<Note> for Service {
    type Response = Note;
    type ResponseStream = Notes;
    type Future = Answered<Notes>;
    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let reply = self.reply;
        let notes = request.into_inner().map(move |note| reply(note?));
        Box::pin(async { Ok(Response::new(Box::pin(notes) as Notes)) })
    }
}

impl tower::Service<http::Request<tonic::body::Body>> for Service {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(match request.uri().path() {
                "/notes.Notes/Ask" => grpc.unary(service, request).await,
                _ => grpc.streaming(service, request).await,
            })
        })
    }
}

struct Running {
    addr: SocketAddr,
    asked: Arc<AtomicUsize>,
}

async fn server(reply: Reply) -> Running {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = Service { reply, asked: Arc::default() };
    let asked = Arc::clone(&service.asked);
    tokio::spawn(
        Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
    );
    Running { addr, asked }
}

type Client = tonic::client::Grpc<Channel>;

async fn client(proxy: &Proxy) -> Client {
    let endpoint = Endpoint::try_from(proxy.url("")).unwrap();
    tonic::client::Grpc::new(in_time(endpoint.connect()).await.unwrap())
}

async fn ask(client: &mut Client, asked: Note) -> Result<Note, Status> {
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/notes.Notes/Ask");
    let call = client.unary(Request::new(asked), path, ProstCodec::<Note, Note>::default());
    in_time(call).await.map(Response::into_inner)
}

const ECHO: Reply = |note| match note.text.as_str() {
    "missing" => Err(Status::not_found("no such note")),
    _ => Ok(note),
};

#[tokio::test]
async fn a_unary_call_is_answered_by_the_baseline_mirrored_and_matched() {
    let (baseline, candidate) = (server(ECHO).await, server(ECHO).await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let mut client = client(&proxy).await;
    assert_eq!(ask(&mut client, note("hello", 7)).await.unwrap(), note("hello", 7));
    let status = ask(&mut client, note("missing", 0)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such note"));
    eventually!(proxy.outcome("matched").await == 2.0);
    assert_eq!(candidate.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn calls_differ_by_the_status_in_the_trailers_and_by_any_byte_of_the_message() {
    for (reply, failed) in [
        // 32 and 10: a space and a line feed, were it text.
        ((|note| Ok(Note { count: 10, ..note })) as Reply, false),
        (|_| Err(Status::not_found("")), false),
        (|_| Err(Status::internal("")), true),
    ] {
        let (baseline, candidate) = (server(ECHO).await, server(reply).await);
        let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
        let mut client = client(&proxy).await;
        assert_eq!(ask(&mut client, note("hello", 32)).await.unwrap(), note("hello", 32));
        eventually!(proxy.outcome("mismatched").await == 1.0);
        // A server's own failure is evidence as a 500 is.
        assert_eq!(proxy.status().await["breachStreak"], u32::from(failed));
    }
}

#[tokio::test]
async fn a_chat_passes_message_by_message_and_ends_with_its_status() {
    for candidate in [server(ECHO).await.addr, refusing()] {
        let baseline = server(ECHO).await;
        let proxy = proxy(baseline.addr, candidate, |_| {}).await;
        let mut client = client(&proxy).await;
        client.ready().await.unwrap();
        let (say, said) = futures_channel();
        let path = PathAndQuery::from_static("/notes.Notes/Chat");
        let codec = ProstCodec::<Note, Note>::default();
        let call = client.streaming(Request::new(said), path, codec);
        let mut heard = in_time(call).await.unwrap().into_inner();
        for number in 0..5 {
            say.send(note("hello", number)).await.unwrap();
            let echo = in_time(heard.message()).await.unwrap().unwrap();
            assert_eq!(echo, note("hello", number));
        }
        say.send(note("missing", 0)).await.unwrap();
        assert_eq!(in_time(heard.message()).await.unwrap_err().code(), Code::NotFound);
    }
}

/// A stream of what is sent.
fn futures_channel() -> (tokio::sync::mpsc::Sender<Note>, impl Stream<Item = Note> + Send) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    (sender, stream)
}

#[tokio::test]
async fn a_candidate_without_grpc_fails_alone() {
    let baseline = server(ECHO).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = client(&proxy).await;
    assert_eq!(ask(&mut client, note("hello", 7)).await.unwrap(), note("hello", 7));
    eventually!(proxy.outcome("candidate_failed").await == 1.0);
}
