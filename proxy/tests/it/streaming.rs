//! What passes beside and between the bytes of a body: trailers, `100 Continue`, events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use proxy::config::Config;
use proxy::headers::{Chain, Forwarding};

use crate::eventually;
use crate::support::{
    fixed, http2, http2_body, hung, in_time, proxy, raw, read_head, read_until, refusing, text,
    upstream, writes,
};

const WITH_TRAILERS: &[u8] =
    b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
    2\r\nok\r\n0\r\nX-Sum: 42\r\nX-Unannounced: 1\r\n\r\n";

#[tokio::test]
async fn trailers_pass_both_ways_where_announced_and_asked_for() {
    let (send, mut requests) = mpsc::channel(1);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let baseline = raw(move |mut stream| {
        let send = send.clone();
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            loop {
                let request = read_until(&mut stream, "\r\nx-sum: 3\r\n\r\n").await;
                if request.is_empty() || send.send(request).await.is_err() {
                    return;
                }
                stream.write_all(WITH_TRAILERS).await.unwrap();
            }
        }
    })
    .await;
    let candidate = upstream(|_| async { text("ok") }).await;
    let proxy = proxy(baseline, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    let request = b"POST / HTTP/1.1\r\nhost: x\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n";
    for _ in 0..2 {
        client.write_all(request).await.unwrap();
        let request = in_time(requests.recv()).await.unwrap().to_lowercase();
        for line in ["te: trailers\r\n", "connection: te\r\n", "trailer: x-sum\r\n"] {
            assert!(request.contains(line), "{line}: {request}");
        }
        assert!(request.ends_with("\r\n3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n"), "{request}");
        let answer = in_time(read_until(&mut client, "42\r\n\r\n")).await.to_lowercase();
        assert!(answer.ends_with("\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n"), "{answer}");
    }
    // The copy is whole when it is sent and has none.
    eventually!(proxy.outcome("matched").await == 2.0);
    assert_eq!(candidate.seen()[0].body, "abc");
    assert!(!candidate.seen()[0].headers.contains_key("trailer"));
    assert_eq!(connections.load(Ordering::Relaxed), 1, "a body that ends in trailers is whole");
}

/// What a baseline gets of an upload with these trailers, up to this end.
async fn upload(trailers: &str, end: &'static str, change: impl FnOnce(&mut Config)) -> String {
    let (send, mut requests) = mpsc::channel(1);
    let baseline = raw(move |mut stream| {
        let send = send.clone();
        async move {
            let request = read_until(&mut stream, end).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            send.send(request).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), change).await;
    let mut client = proxy.connect().await;
    let names: Vec<_> = trailers.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let head =
        format!("POST / HTTP/1.1\r\nhost: x\r\nTE: trailers\r\nTrailer: {}", names.join(", "));
    let body = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0";
    client.write_all(format!("{head}\r\n{body}\r\n{trailers}\r\n").as_bytes()).await.unwrap();
    let request = in_time(requests.recv()).await.unwrap();
    assert!(in_time(read_until(&mut client, "\r\n\r\n")).await.starts_with("HTTP/1.1 200"));
    request.split_once("\r\n\r\n3\r\nabc\r\n0\r\n").unwrap().1.to_owned()
}

/// Servers there are that add trailers to the head.
#[tokio::test]
async fn what_clients_may_not_say_in_a_head_does_not_pass_in_trailers() {
    let forged = "X-Mirror: 1\r\nx_mirror: 1\r\nX-Forwarded-For: 1\r\nX_Forwarded_Proto: 1\r\n\
                  Forwarded: for=1\r\nVia: 1.1 a\r\n";
    let all = format!("{forged}x-sum: 3\r\n");
    let chains = |chain| Forwarding { x_forwarded: chain, forwarded: chain, via: chain };
    for chain in [Chain::Extend, Chain::Replace] {
        let told = move |config: &mut Config| config.forward.forwarding = chains(chain);
        assert_eq!(upload(&all, "x-sum: 3\r\n\r\n", told).await, "x-sum: 3\r\n\r\n");
        assert_eq!(upload(forged, "\r\n0\r\n\r\n", told).await, "\r\n");
    }
    let passed = upload(&all, "x-sum: 3\r\n\r\n", |config| {
        config.forward.forwarding = chains(Chain::Off);
        config.mirror.trust_mark = true;
    });
    assert_eq!(passed.await, format!("{}\r\n", all.to_lowercase()));
}

#[tokio::test]
async fn a_client_that_did_not_ask_for_trailers_gets_none() {
    let proxy = proxy(writes(WITH_TRAILERS).await, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    in_time(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("\r\n2\r\nok\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn trailers_of_an_http_1_1_baseline_reach_an_http_2_client() {
    let proxy = proxy(writes(WITH_TRAILERS).await, refusing(), |_| {}).await;
    let request = Request::get("http://x/").header("te", "trailers").body(()).unwrap();
    let mut client = http2(proxy.connect().await).await;
    let (answer, _) = client.send_request(request, true).unwrap();
    let mut body = in_time(answer).await.unwrap().into_body();
    assert_eq!(in_time(body.data()).await.unwrap().unwrap(), "ok");
    let trailers = in_time(body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["x-sum"], "42");
}

const EXPECTING: &[u8] =
    b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";

/// What has come so far, without waiting for more.
fn so_far(stream: &TcpStream) -> String {
    let mut bytes = [0; 1000];
    let read = stream.try_read(&mut bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn a_client_is_asked_for_its_body_when_the_baseline_asks() {
    let (send, mut heads) = mpsc::channel(1);
    let (go, gone) = tokio::sync::watch::channel(false);
    let baseline = raw(move |mut stream| {
        let (send, mut go) = (send.clone(), gone.clone());
        async move {
            send.send(read_head(&mut stream).await).await.unwrap();
            go.wait_for(|go| *go).await.unwrap();
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            let mut body = [0; 5];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |config| {
        config.forward.continue_patience = Duration::from_secs(3600);
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(EXPECTING).await.unwrap();
    let head = in_time(heads.recv()).await.unwrap().to_lowercase();
    assert!(head.contains("expect: 100-continue"), "{head}");
    for _ in 0..20 {
        // Time enough for a proxy that asks by itself.
        proxy.metrics().await;
    }
    assert_eq!(so_far(&client), "");
    go.send(true).unwrap();
    assert_eq!(in_time(read_head(&mut client)).await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    let answer = in_time(read_until(&mut client, "hello")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_baseline_that_wants_no_body_gets_none_and_the_client_is_not_asked() {
    let (send, mut rest) = mpsc::channel(1);
    let baseline = raw(move |mut stream| {
        let send = send.clone();
        async move {
            read_head(&mut stream).await;
            let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
            let mut more = Vec::new();
            // The end is what matters, however it comes.
            drop(stream.read_to_end(&mut more).await);
            send.send(more).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(EXPECTING).await.unwrap();
    let answer = in_time(read_until(&mut client, "no")).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(in_time(rest.recv()).await.unwrap(), b"", "no body, and the connection is closed");
    eventually!(proxy.outcome("body_incomplete").await == 1.0);
}

/// A baseline that reads a body of five bytes and never sends a 100.
async fn unasking() -> std::net::SocketAddr {
    raw(|mut stream| async move {
        read_head(&mut stream).await;
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_baseline_that_does_not_know_expect_gets_the_body_after_a_while() {
    let proxy = proxy(unasking().await, refusing(), |config| {
        config.forward.continue_patience = Duration::from_millis(100);
        config.forward.baseline_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(EXPECTING).await.unwrap();
    assert_eq!(in_time(read_head(&mut client)).await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    assert!(in_time(read_head(&mut client)).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_body_that_the_client_sends_without_being_asked_goes_on_at_once() {
    let baseline = unasking().await;
    let proxy = proxy(baseline, refusing(), |config| {
        config.forward.continue_patience = Duration::from_secs(3600);
        config.forward.baseline_timeout = Duration::from_secs(3600);
    })
    .await;
    let with_the_head = [EXPECTING, b"hello"].concat();
    for parts in [[with_the_head.as_slice(), b""], [EXPECTING, b"hello"]] {
        let mut client = proxy.connect().await;
        client.write_all(parts[0]).await.unwrap();
        if !parts[1].is_empty() {
            eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 1.0);
            client.write_all(parts[1]).await.unwrap();
        }
        assert_eq!(in_time(read_head(&mut client)).await, "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(in_time(read_head(&mut client)).await.starts_with("HTTP/1.1 200 OK"));
        drop(client);
        eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_it_was_asked_for_its_body_is_noticed_at_once() {
    let proxy = proxy(unasking().await, refusing(), |config| {
        config.forward.continue_patience = Duration::from_secs(3600);
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(EXPECTING).await.unwrap();
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 1.0);
    drop(client);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
}

#[tokio::test]
async fn other_informational_answers_are_left_out_and_the_final_one_passes() {
    let early = writes(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    );
    let proxy = proxy(early.await, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
}

#[tokio::test]
async fn events_reach_the_client_one_by_one_whatever_becomes_of_the_copy() {
    for candidate in [hung().await.addr, refusing(), fixed("{}").await.addr] {
        let (events, receiver) = mpsc::channel::<Bytes>(1);
        let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
        let baseline = upstream(move |_| {
            let receiver = receiver.lock().unwrap().take().unwrap();
            async move {
                let events = futures_util::stream::unfold(receiver, |mut receiver| async move {
                    Some((Ok(Frame::data(receiver.recv().await?)), receiver))
                });
                let mut answer = Response::new(BodyExt::boxed(StreamBody::new(events)));
                let sse = "text/event-stream".parse().unwrap();
                answer.headers_mut().insert("content-type", sse);
                answer
            }
        })
        .await;
        let proxy = proxy(baseline.addr, candidate, |_| {}).await;
        let mut stream = in_time(proxy.get("/events")).await;
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        for number in 0..5 {
            let event = format!("id: {number}\ndata: news\n\n");
            events.send(Bytes::from(event.clone())).await.unwrap();
            assert_eq!(in_time(stream.chunk()).await.unwrap().unwrap(), event);
        }
        drop(events);
        assert_eq!(in_time(stream.chunk()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_baseline_that_breaks_off_is_a_broken_transfer_in_every_version() {
    let sized = &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this"[..];
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n";
    // Mirrored and not.
    for (answer, fraction) in [(sized, 0.0), (sized, 1.0), (chunked, 0.0), (chunked, 1.0)] {
        let proxy = proxy(writes(answer).await, refusing(), |config| {
            config.mirror.fraction = fraction;
        })
        .await;
        let mut client = http2(proxy.connect().await).await;
        let get = Request::get("http://x/").body(()).unwrap();
        let (response, _) = client.send_request(get, true).unwrap();
        let body = in_time(response).await.unwrap().into_body();
        let error = in_time(http2_body(body)).await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        let mut client = proxy.connect().await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        // The connection ends, and what came is no whole answer.
        drop(in_time(client.read_to_end(&mut received)).await);
        let received = String::from_utf8(received).unwrap();
        assert!(received.contains("only this") && !received.ends_with("0\r\n\r\n"), "{received}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_baselines_call_at_once_and_the_copy_goes_on() {
    let (send, mut ended) = mpsc::channel(8);
    let baseline = raw(move |mut stream| {
        let send = send.clone();
        async move {
            read_head(&mut stream).await;
            send.send("asked").await.unwrap();
            let mut more = Vec::new();
            // The end is what matters, however it comes.
            drop(stream.read_to_end(&mut more).await);
            send.send("ended").await.unwrap();
        }
    })
    .await;
    let (release, released) = tokio::sync::watch::channel(false);
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let candidate = upstream(move |_| {
        let (mut released, count) = (released.clone(), Arc::clone(&count));
        async move {
            released.wait_for(|go| *go).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            crate::support::json("{}")
        }
    })
    .await;
    let proxy = proxy(baseline, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(in_time(ended.recv()).await, Some("asked"));
    drop(client);
    assert_eq!(in_time(ended.recv()).await, Some("ended"));
    // Over HTTP/2 the stream goes, and the connection stays.
    let mut client = http2(proxy.connect().await).await;
    let get = Request::get("http://x/").body(()).unwrap();
    let (response, mut stream) = client.send_request(get, true).unwrap();
    assert_eq!(in_time(ended.recv()).await, Some("asked"));
    stream.send_reset(h2::Reason::CANCEL);
    assert_eq!(in_time(ended.recv()).await, Some("ended"));
    drop(response);
    eventually!(candidate.count() == 2);
    release.send(true).unwrap();
    eventually!(answered.load(Ordering::Relaxed) == 2);
    eventually!(proxy.outcome("client_aborted").await == 2.0);
}
