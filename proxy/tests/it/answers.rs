//! Answers that are early, late on their connection, or not quite well-formed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use proxy::exchange::Role;
use proxy::upstream::{Dns, Sent, Trust, Upstream, full_body};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

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

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_the_head_of_an_upload_reaches_the_client_though_the_body_is_unread() {
    let baseline = raw(|mut stream| async move { refuse(&mut stream).await }).await;
    let proxy = proxy(baseline, refusing().await, |_| {}).await;
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
async fn an_answer_that_has_come_wins_over_an_error_in_writing_for_a_copy() {
    let plain = raw(|mut stream| async move { refuse(&mut stream).await }).await;
    let trust = Trust::default();
    let upstream =
        Upstream::new(Role::Candidate, target(plain), &trust, support::PATIENCE, Dns::default());
    let upstream = upstream.unwrap();
    for round in 0..20 {
        for size in SIZES {
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
    let proxy = proxy(addr, refusing().await, |_| {}).await;
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
        let proxy = proxy(addr, refusing().await, |_| {}).await;
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
    let header = |name| answer.headers().get(name).map(|value| value.as_bytes().to_owned());
    assert_eq!(header("x-space").as_deref(), Some(&b"1"[..]));
    assert_eq!(header("x-good").as_deref(), Some(&b"2"[..]));
    assert_eq!(header("x-bad"), None);
    assert_eq!(header("x-fold").as_deref(), Some(&b"a b"[..]));
    assert_eq!(in_time(answer.text()).await.unwrap(), "ok");
}
