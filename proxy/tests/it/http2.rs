//! HTTP/2 towards upstreams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use proxy::config::Config;
use proxy::upstream::{Protocol, Target, Trust};
use tokio::io::AsyncWriteExt;

use crate::certificates::{Certificates, certificates};
use crate::eventually;
use crate::support::{fixed, hung, in_time, json, proxy, raw, read_head, refusing, text, upstream};

fn over_http2(config: &mut Config) {
    config.baseline.protocol = Protocol::Http2;
    config.candidate.protocol = Protocol::Http2;
}

#[tokio::test]
async fn with_the_setting_both_upstreams_are_asked_over_http_2() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, over_http2).await;
    proxy.expect_outcome("/a//b?c=%2F", "matched").await;
    assert_eq!(proxy.post("/", "body").await.status(), 200);
    eventually!(candidate.count() == 2);
    for upstream in [baseline, candidate] {
        let seen = upstream.seen();
        assert_eq!((seen[0].version, seen[1].version), (Version::HTTP_2, Version::HTTP_2));
        assert_eq!(seen[0].target, format!("http://{}/a//b?c=%2F", upstream.addr));
        assert_eq!(seen[1].body, "body");
        assert!(!seen[0].headers.contains_key("host"));
        assert_eq!(upstream.connections(), 1);
    }
}

#[tokio::test]
async fn an_answer_before_the_upload_is_whole_reaches_the_client_over_http_2_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let baseline = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Answers each request by its head alone.
        let refuse = service_fn(|_: http::Request<hyper::body::Incoming>| async {
            Response::builder().status(403).body(Full::new(Bytes::from("no")))
        });
        let builder = Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), refuse).await.ok();
    });
    let proxy = proxy(baseline, refusing(), over_http2).await;
    let mut client = proxy.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nbegin";
    client.write_all(head.as_bytes()).await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    drop(client);
    eventually!(proxy.outcome("body_incomplete").await == 1.0);
}

#[tokio::test]
async fn only_grpc_goes_over_http_2_by_itself_and_not_when_the_setting_says_1() {
    for (protocol, version) in
        [(Protocol::Auto, Version::HTTP_2), (Protocol::Http1, Version::HTTP_11)]
    {
        let baseline = fixed("{}").await;
        let proxy = proxy(baseline.addr, refusing(), |config| {
            config.baseline.protocol = protocol;
        })
        .await;
        for content_type in ["application/grpc+proto", "application/json"] {
            let post = proxy.client.post(proxy.url("/")).header("content-type", content_type);
            post.body("x").send().await.unwrap();
        }
        let versions: Vec<_> = baseline.seen().iter().map(|seen| seen.version).collect();
        assert_eq!(versions, [version, Version::HTTP_11]);
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_connection_and_more_of_them_open_another() {
    let (release, released) = tokio::sync::watch::channel(false);
    let baseline = upstream(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|go| *go).await.unwrap();
            json("{}")
        }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), over_http2).await;
    let ask = || {
        let get = proxy.client.get(proxy.url("/")).send();
        tokio::spawn(async move { get.await.unwrap().status() })
    };
    let mut asking: Vec<_> = (0..100).map(|_| ask()).collect();
    eventually!(baseline.count() == 100);
    assert_eq!(baseline.connections(), 1);
    asking.push(ask());
    eventually!(baseline.count() == 101);
    assert_eq!(baseline.connections(), 2);
    release.send(true).unwrap();
    for answer in asking {
        assert_eq!(in_time(answer).await.unwrap(), 200);
    }
    // More than both could take, were a place not free again after its answer.
    for _ in 0..200 {
        proxy.get("/").await;
    }
    assert_eq!(baseline.connections(), 2);
}

#[tokio::test]
async fn downloads_that_nobody_reads_do_not_hold_up_the_others_on_their_connection() {
    // More than all buffers on the way take up.
    let large = Bytes::from(vec![b'x'; 16 << 20]);
    let baseline = upstream(move |seen| {
        let large = large.clone();
        async move { if seen.target.ends_with("/large") { text(large) } else { json("{}") } }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), over_http2).await;
    let mut unread = Vec::new();
    for _ in 0..3 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // Left alone, some systems take up tens of megabytes that nobody reads.
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = in_time(socket.connect(proxy.app.traffic)).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let head = in_time(read_head(&mut client)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        unread.push(client);
    }
    // Enough of them that the downloads have come to a stop before the last.
    for _ in 0..100 {
        let other = in_time(async { proxy.get("/").await.text().await.unwrap() }).await;
        assert_eq!((other.as_str(), baseline.connections()), ("{}", 1));
    }
}

#[tokio::test]
async fn a_connection_that_ended_is_replaced_unnoticed() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let baseline = raw(move |stream| {
        let count = Arc::clone(&count);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(Response::new(()), true).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), over_http2).await;
    for round in 1..=5 {
        assert_eq!(in_time(proxy.get("/")).await.status(), 200);
        eventually!(served.load(Ordering::Relaxed) == round);
        // Let the closing reach the proxy: what was sent before cannot be repeated safely.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_is_a_broken_transfer_and_the_connection_goes_on() {
    let heard = Arc::new(tokio::sync::Notify::new());
    let (when_heard, connections) = (Arc::clone(&heard), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    let baseline = raw(move |stream| {
        let heard = Arc::clone(&when_heard);
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from("only this"), false).unwrap();
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    heard.notified().await;
                    body.send_reset(h2::Reason::INTERNAL_ERROR);
                });
            }
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), over_http2).await;
    for _ in 0..2 {
        let mut answer = in_time(proxy.get("/")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(in_time(answer.chunk()).await.unwrap().unwrap(), "only this");
        heard.notify_one();
        in_time(answer.chunk()).await.unwrap_err();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_baseline_without_an_answer_in_time_is_a_504_and_its_stream_is_reset() {
    let (send, mut resets) = tokio::sync::mpsc::channel(1);
    let baseline = raw(move |stream| {
        let send = send.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            tokio::spawn(async move { while connection.accept().await.is_some() {} });
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
            send.send(reason).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |config| {
        over_http2(config);
        config.forward.baseline_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    assert_eq!(in_time(proxy.get("/")).await.status(), 504);
    assert_eq!(in_time(resets.recv()).await, Some(h2::Reason::CANCEL));
}

#[tokio::test]
async fn a_candidate_that_hangs_over_http_2_costs_the_client_nothing() {
    let proxy = proxy(fixed("{}").await.addr, hung().await.addr, |config| {
        over_http2(config);
        config.mirror.timeout = std::time::Duration::from_millis(100);
    })
    .await;
    proxy.expect_outcome("/", "candidate_timeout").await;
}

/// A server over TLS that tells the version it was asked in.
async fn versions(certificates: &Certificates) -> SocketAddr {
    let acceptor = certificates.identity().acceptor();
    raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let version = format!("{:?}", request.version());
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(version))))
            });
            let builder = Builder::new(TokioExecutor::new());
            drop(builder.serve_connection(TokioIo::new(stream), answer).await);
        }
    })
    .await
}

#[tokio::test]
async fn over_tls_the_version_is_agreed_on_and_the_authority_checked() {
    let certificates = certificates();
    let addr = versions(&certificates).await;
    let url = format!("https://localhost:{}", addr.port());
    for (protocol, expected) in [(Protocol::Http2, "HTTP/2.0"), (Protocol::Auto, "HTTP/1.1")] {
        let trust = Trust::System(vec![certificates.authority()]);
        let proxy = proxy(addr, refusing(), |config| {
            config.baseline = Target::parse(&url).unwrap();
            config.baseline.protocol = protocol;
            config.trust = trust;
        })
        .await;
        assert_eq!(proxy.get("/").await.text().await.unwrap(), expected);
    }
    let proxy = proxy(addr, refusing(), |config| {
        config.baseline = Target::parse(&url).unwrap();
        config.baseline.protocol = Protocol::Http2;
        config.trust = Trust::System(vec![crate::certificates::certificates().authority()]);
    })
    .await;
    assert_eq!(proxy.get("/").await.status(), 502);
}
