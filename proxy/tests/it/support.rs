//! Scripted upstreams on port 0, a proxy between them, and a way to wait with a deadline.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use proxy::app::{self, App};
use proxy::config::Config;
use proxy::mirror::Failpoint;
use proxy::upstream::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Evaluates a condition until it holds; panics with its text when it does not in time.
#[macro_export]
macro_rules! eventually {
    ($condition:expr) => {{
        let deadline = tokio::time::Instant::now() + $crate::support::PATIENCE;
        loop {
            if $condition {
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "never held: {}",
                stringify!($condition)
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }};
}

/// A request as an upstream saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) type Answer = Response<BoxBody<Bytes, std::io::Error>>;

/// An upstream that records what it sees.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

impl Upstream {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// An upstream that reads each request whole and answers by `script`.
pub(crate) async fn upstream<F, A>(script: F) -> Upstream
where
    F: Fn(Seen) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let upstream = Upstream { addr, seen: Arc::default(), connections: Arc::default() };
    let (seen, connections) = (Arc::clone(&upstream.seen), Arc::clone(&upstream.connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *connections.lock().unwrap() += 1;
            let (script, seen) = (script.clone(), Arc::clone(&seen));
            let answer = service_fn(move |request: Request<Incoming>| {
                let (script, seen) = (script.clone(), Arc::clone(&seen));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map(|whole| whole.to_bytes());
                    let request = Seen {
                        version: head.version,
                        method: head.method,
                        target: head.uri.to_string(),
                        headers: head.headers,
                        body: body.unwrap_or_default(),
                    };
                    seen.lock().unwrap().push(request.clone());
                    Ok::<_, Infallible>(script(request).await)
                }
            });
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(TokioIo::new(stream), answer).await);
            });
        }
    });
    upstream
}

pub(crate) fn text(body: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed())
}

pub(crate) fn json(body: &str) -> Answer {
    let mut answer = text(body.to_owned());
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}

pub(crate) fn status(code: u16) -> Answer {
    let mut answer = text("");
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

/// An upstream that always answers the same.
pub(crate) async fn fixed(body: &'static str) -> Upstream {
    upstream(move |_| async move { json(body) }).await
}

/// An upstream that answers each request once it is let go.
pub(crate) async fn let_go(go: &Arc<Notify>, answer: fn() -> Answer) -> Upstream {
    let go = Arc::clone(go);
    upstream(move |_| {
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            answer()
        }
    })
    .await
}

/// An upstream that takes connections and requests and never answers.
pub(crate) async fn hung() -> Upstream {
    upstream(|_| std::future::pending()).await
}

/// An upstream that does to each connection what it likes.
pub(crate) async fn raw<F, A>(script: F) -> SocketAddr
where
    F: Fn(TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    addr
}

/// Reads a request head off a raw connection.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    read_until(stream, "\r\n\r\n").await
}

/// Reads up to these bytes, or to the end.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(end.as_bytes()) {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// An upstream that reads a request head, writes these bytes and closes.
pub(crate) async fn writes(bytes: &'static [u8]) -> SocketAddr {
    raw(move |mut stream| async move {
        read_head(&mut stream).await;
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
    })
    .await
}

/// An address where nobody listens before this socket is told to.
pub(crate) fn unheard() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// An address where nobody listens now, for another program to do so.
pub(crate) fn free() -> SocketAddr {
    unheard().1
}

/// An address where nobody listens, for as long as the tests run.
pub(crate) fn refusing() -> SocketAddr {
    let (socket, addr) = unheard();
    // So that no other test gets the port and listens there.
    std::mem::forget(socket);
    addr
}

/// An HTTP/2 client that knows beforehand what the proxy speaks.
pub(crate) async fn http2<I>(io: I) -> h2::client::SendRequest<Bytes>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// All of a body that comes over HTTP/2.
pub(crate) async fn http2_body(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len()).unwrap();
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// Something that a test needs is not there: says so, or fails where it is demanded.
#[expect(clippy::disallowed_methods, reason = "a test's switch")]
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var("PROXY_REQUIRE_SERVERS").is_err(), "{why}");
    eprintln!("skipped: {why}");
}

/// Runs curl with these arguments; `None` where there is no curl.
pub(crate) async fn curl(arguments: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]);
    command.args(arguments);
    let output = match tokio::task::spawn_blocking(move || command.output()).await.unwrap() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("cannot start curl: {error}"));
            return None;
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(text(&output.stdout) + &*text(&output.stderr))
}

/// An address that takes no connection and refuses none: its queue is full.
pub(crate) async fn silent() -> (SocketAddr, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let listener = socket.listen(1).unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    // Nobody will ever accept, and nobody closes it either.
    Box::leak(Box::new(listener));
    (addr, queued)
}

pub(crate) fn target(addr: SocketAddr) -> Target {
    Target::parse(&format!("http://{addr}")).unwrap()
}

/// A proxy on a port of its own that mirrors everything, unless configured otherwise.
pub(crate) struct Proxy {
    pub(crate) app: App,
    pub(crate) client: reqwest::Client,
}

pub(crate) fn config(baseline: SocketAddr, candidate: SocketAddr) -> Config {
    let mut config = Config::default();
    config.listen.addr = "127.0.0.1:0".parse().unwrap();
    config.baseline = target(baseline);
    config.candidate = target(candidate);
    config.mirror.fraction = 1.0;
    config.guardrail.consecutive = 1_000_000;
    // Latency is a verdict only where a test is about it: a busy machine is slow at random.
    config.guardrail.latency_floor = Duration::from_secs(3600);
    config
}

pub(crate) async fn proxy(
    baseline: SocketAddr,
    candidate: SocketAddr,
    configure: impl FnOnce(&mut Config),
) -> Proxy {
    probed(baseline, candidate, configure, None).await
}

pub(crate) async fn probed(
    baseline: SocketAddr,
    candidate: SocketAddr,
    configure: impl FnOnce(&mut Config),
    probe: Option<Failpoint>,
) -> Proxy {
    let mut config = config(baseline, candidate);
    configure(&mut config);
    let app = app::start_probed(config, Handle::current(), probe).await.unwrap();
    Proxy { app, client: client() }
}

/// A client with every automatism off.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

impl Proxy {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.traffic)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        self.client.post(self.url(path)).body(body).send().await.unwrap()
    }

    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.text().await.unwrap()
    }

    /// The sum of all series of a metric whose labels contain all of these `name="value"`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.metrics().await, name, labels)
    }

    pub(crate) async fn outcome(&self, outcome: &str) -> f64 {
        self.metric("mirror_outcomes_total", &[&format!("outcome=\"{outcome}\"")]).await
    }

    /// All outcomes that are not 0.
    pub(crate) async fn outcomes(&self) -> Vec<(String, f64)> {
        let metrics = self.metrics().await;
        let mut found: Vec<_> = proxy::exchange::Outcome::ALL
            .iter()
            .map(|outcome| {
                let label = format!("outcome=\"{}\"", outcome.name());
                (outcome.name().to_owned(), sum(&metrics, "mirror_outcomes_total", &[&label]))
            })
            .filter(|(_, count)| *count > 0.0)
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Sends one GET and waits for its outcome, which must be this one.
    pub(crate) async fn expect_outcome(&self, path: &str, outcome: &str) {
        let before = self.outcome(outcome).await;
        self.get(path).await.bytes().await.unwrap();
        eventually!(self.outcome(outcome).await > before);
    }

    pub(crate) async fn status(&self) -> serde_json::Value {
        self.get("/control/status").await.json().await.unwrap()
    }

    pub(crate) async fn control(&self, action: &str) -> reqwest::Response {
        self.client.post(self.url(&format!("/control/{action}"))).send().await.unwrap()
    }

    /// A plain connection, for exact bytes.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.app.traffic).await.unwrap()
    }
}

pub(crate) fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        })
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}

/// Waits for a future, but not for ever.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("did not happen in time")
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
