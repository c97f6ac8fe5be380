//! Answers that are early, late on their connection, or not quite well-formed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use proxy::exchange::Role;
use proxy::listen::tls::{Identity, certificates as authorities};
use proxy::upstream::{Dns, Sent, Target, Trust, Upstream, full_body};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{Certificates, certificates};
use crate::eventually;
use crate::support::{self, fixed, in_time, proxy, raw, read_head, refusing, target, writes};

const REFUSAL: &[u8] =
    b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig";
const SIZES: [usize; 5] = [70_000, 150_000, 300_000, 600_000, 1_000_000];

/// Answers on the head and leaves the body unread, which makes of closing a reset.
async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(REFUSAL).await.unwrap();
    stream.flush().await.unwrap();
}

async fn uploads_are_refused(proxy: &support::Proxy) {
    for round in 0..4 {
        for size in SIZES {
            let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n");
            let (mut from, mut to) = proxy.connect().await.into_split();
            let writing = tokio::spawn(async move {
                // The proxy may close before it has all.
                drop(to.write_all(head.as_bytes()).await);
                drop(to.write_all(&vec![b'x'; size]).await);
                to
            });
            let mut answer = [0; 12];
            in_time(from.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 413", "{size} bytes, round {round}");
            writing.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_the_head_of_an_upload_reaches_the_client_though_the_body_is_unread() {
    let baseline = raw(|mut stream| async move { refuse(&mut stream).await }).await;
    uploads_are_refused(&proxy(baseline, refusing(), |_| {}).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_the_head_of_an_upload_reaches_the_client_over_tls_as_well() {
    let Certificates { authority, chain, key } = certificates();
    let acceptor = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap().acceptor();
    let baseline = raw(move |stream| {
        // What waits for an acknowledgement of the handshake's last bytes is lost in the reset.
        stream.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        async move { refuse(&mut acceptor.accept(stream).await.unwrap()).await }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |config| {
        config.baseline = Target::parse(&format!("https://localhost:{}", baseline.port())).unwrap();
        config.trust = Trust::System(authorities(authority.as_bytes()).unwrap());
    });
    uploads_are_refused(&proxy.await).await;
}

async fn copies_are_refused(at: Target, trust: &Trust) {
    let upstream = Upstream::new(Role::Candidate, at, trust, support::PATIENCE, Dns::default());
    let upstream = upstream.unwrap();
    for round in 0..8 {
        // More than the buffers of both ends take at once.
        for size in SIZES.map(|size| 20 * size) {
            let request = Request::post("/").body(full_body(Bytes::from(vec![b'x'; size])));
            let sent = Sent::default();
            let response = in_time(upstream.send(request.unwrap(), &sent, false)).await;
            let response =
                response.unwrap_or_else(|error| panic!("{size} bytes, round {round}: {error:?}"));
            assert_eq!(response.status(), 413);
            let body = in_time(response.into_body().collect()).await.unwrap().to_bytes();
            assert_eq!(body, "big");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_come_wins_over_an_error_in_writing_for_a_copy() {
    let plain = raw(|mut stream| async move { refuse(&mut stream).await }).await;
    copies_are_refused(target(plain), &Trust::default()).await;
}

#[tokio::test]
async fn an_answer_has_one_length_and_no_coding_that_is_not_undone() {
    let over = refusing();
    let twice = writes(b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok").await;
    let answer = in_time(proxy(twice, over, |_| {}).await.get("/")).await;
    assert_eq!(answer.headers()["content-length"], "2");
    assert_eq!(in_time(answer.text()).await.unwrap(), "ok");
    let to_the_end = writes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok").await;
    let answer = in_time(proxy(to_the_end, over, |_| {}).await.get("/")).await;
    assert_eq!(in_time(answer.text()).await.unwrap(), "ok");
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let answer = in_time(proxy(writes(bytes).await, over, |_| {}).await.get("/")).await;
        assert_eq!(answer.status(), 502);
        assert!(in_time(answer.text()).await.unwrap().contains("unsupported transfer coding"));
    }
}

/// Answers one upload on its first connection and closes it upon the second; serves all others.
async fn closes_upon_the_second() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let addr = raw(move |mut stream: TcpStream| {
        let connection = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            for round in 0.. {
                if read_head(&mut stream).await.is_empty() || connection == 0 && round == 1 {
                    return;
                }
                stream.read_exact(&mut [0; 4]).await.unwrap();
                drop(stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await);
            }
        }
    })
    .await;
    (addr, count)
}

#[tokio::test]
async fn an_idempotent_upload_is_repeated_where_its_connection_closes_without_an_answer() {
    for (method, second) in [("PUT", 204), ("DELETE", 204), ("POST", 502)] {
        let (addr, count) = closes_upon_the_second().await;
        let proxy = proxy(addr, refusing(), |_| {}).await;
        for status in [204, second] {
            let request = support::client().request(method.parse().unwrap(), proxy.url("/"));
            let answer = in_time(request.body("body").send()).await.unwrap();
            assert_eq!(answer.status(), status, "{method}");
        }
        assert_eq!(count.load(Ordering::Relaxed), if second == 204 { 2 } else { 1 });
    }
}

/// Frames by which an HTTP/2 server says that it did not process the first stream.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const REFUSED_STREAM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
const GOAWAY_BEFORE_IT: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Says `frame` once a stream's headers are there, and nothing more.
async fn declines(stream: &mut TcpStream, frame: &[u8]) {
    const HEADERS: u8 = 1;
    stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()]).await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        if head[3] == HEADERS {
            stream.write_all(frame).await.unwrap();
        }
    }
}

/// Answers each call with what it sent.
async fn echoes(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let body = support::http2_body(request.into_body()).await.unwrap();
            let mut answer = respond.send_response(http::Response::new(()), false).unwrap();
            answer.send_data(body.into(), true).unwrap();
        });
    }
}

#[tokio::test]
async fn a_request_that_an_http_2_server_did_not_process_goes_out_on_another_connection() {
    for frame in [REFUSED_STREAM, GOAWAY_BEFORE_IT] {
        for (method, content) in
            [("POST", "text/plain"), ("PUT", "text/plain"), ("POST", "application/grpc")]
        {
            let count = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&count);
            let addr = raw(move |mut stream| {
                let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
                async move {
                    if first {
                        declines(&mut stream, frame).await;
                    } else {
                        echoes(stream).await;
                    }
                }
            })
            .await;
            let proxy = proxy(addr, refusing(), |config| {
                config.baseline.protocol = proxy::upstream::Protocol::Http2;
            })
            .await;
            for _ in 0..3 {
                let request = support::client().request(method.parse().unwrap(), proxy.url("/"));
                let answer = in_time(request.header("content-type", content).body("body").send());
                let answer = answer.await.unwrap();
                assert_eq!(answer.status(), 200, "{method} {content} {frame:?}");
                assert_eq!(in_time(answer.text()).await.unwrap(), "body");
            }
            // The one that did not take it is not asked again.
            assert_eq!(count.load(Ordering::Relaxed), 2, "{method} {content} {frame:?}");
        }
    }
}

/// Answers a request on each connection and closes it without a word; counts what it has closed.
async fn closes_after_each() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let addr = raw(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            stream.read_exact(&mut [0; 4]).await.unwrap();
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
            drop(stream);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    (addr, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_not_sent_on_a_connection_that_was_closed_meanwhile() {
    let (addr, count) = closes_after_each().await;
    let proxy = proxy(addr, refusing(), |_| {}).await;
    for round in 1..=50 {
        assert_eq!(in_time(proxy.post("/", "body")).await.status(), 200);
        eventually!(count.load(Ordering::Relaxed) == round);
    }
}

#[tokio::test]
async fn a_connection_is_left_before_the_server_said_it_closes_it() {
    for (told, again) in [("timeout=0", false), ("max=5, timeout=30", true), ("x", true)] {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let addr = raw(move |mut stream: TcpStream| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                while read_head(&mut stream).await.ends_with("\r\n\r\n") {
                    let answer = format!("HTTP/1.1 204 No\r\nkeep-alive: {told}\r\n\r\n");
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            }
        })
        .await;
        let proxy = proxy(addr, refusing(), |_| {}).await;
        for _ in 0..3 {
            assert_eq!(in_time(proxy.get("/")).await.status(), 204);
        }
        assert_eq!(count.load(Ordering::Relaxed), if again { 1 } else { 3 }, "{told}");
    }
}

#[tokio::test]
async fn lines_of_an_answer_that_are_no_headers_are_mended_or_left_out() {
    let baseline = writes(
        b"HTTP/1.1 200 OK\r\nX-Space : 1\r\nno colon\r\nX-Bad: a\x01b\r\nX-Fold: a\r\n  b\r\nX-Good: 2\r\n\
          content-length: 2\r\n\r\nok",
    )
    .await;
    let proxy = proxy(baseline, fixed("ok").await.addr, |_| {}).await;
    let answer = in_time(proxy.get("/")).await;
    assert_eq!(answer.status(), 200);
    let dropped = "mirror_response_lines_dropped_total";
    assert_eq!(proxy.metric(dropped, &["target=\"baseline\""]).await, 2.0);
    assert_eq!(proxy.metric(dropped, &["target=\"candidate\""]).await, 0.0);
    let header = |name| answer.headers().get(name).map(|value| value.as_bytes().to_owned());
    assert_eq!(header("x-space").as_deref(), Some(&b"1"[..]));
    assert_eq!(header("x-good").as_deref(), Some(&b"2"[..]));
    assert_eq!(header("x-bad"), None);
    assert_eq!(header("x-fold").as_deref(), Some(&b"a b"[..]));
    assert_eq!(in_time(answer.text()).await.unwrap(), "ok");
}
