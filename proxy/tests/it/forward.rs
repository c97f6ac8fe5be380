//! The main path: what the baseline gets, what the client gets, and when.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use proxy::upstream::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::eventually;
use crate::support::{
    fixed, hung, in_time, json, proxy, raw, read_head, refusing, silent, status, text, upstream,
    writes,
};

#[tokio::test]
async fn the_client_gets_the_baselines_status_headers_and_bytes() {
    let baseline = upstream(|_| async {
        let mut answer = text("the baseline's");
        *answer.status_mut() = http::StatusCode::IM_A_TEAPOT;
        answer.headers_mut().append("x-one", "1".parse().unwrap());
        answer.headers_mut().append("x-one", "2".parse().unwrap());
        answer
    })
    .await;
    let candidate = upstream(|_| async { status(500) }).await;
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let response = proxy.get("/a//b?q=%2F&x=%zz").await;
    assert_eq!(response.status(), 418);
    let ones: Vec<_> = response.headers().get_all("x-one").iter().cloned().collect();
    assert_eq!(ones, ["1", "2"]);
    assert_eq!(response.text().await.unwrap(), "the baseline's");
    assert_eq!(baseline.seen()[0].target, "/a//b?q=%2F&x=%zz");
}

#[tokio::test]
async fn a_target_path_is_a_prefix_and_host_is_the_targets() {
    let baseline = fixed("{}").await;
    let candidate = fixed("{}").await;
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        let url = format!("http://{}/base/", baseline.addr);
        config.baseline = proxy::upstream::Target::parse(&url).unwrap();
    })
    .await;
    proxy.get("/x?y=1").await;
    assert_eq!(baseline.seen()[0].target, "/base/x?y=1");
    assert_eq!(baseline.seen()[0].headers["host"], baseline.addr.to_string());
    eventually!(candidate.count() == 1);
    assert_eq!(candidate.seen()[0].target, "/x?y=1");
    assert_eq!(candidate.seen()[0].headers["host"], candidate.addr.to_string());
}

#[tokio::test]
async fn forwarded_headers_tell_who_asked_and_connection_headers_stay_behind() {
    let baseline = upstream(|_| async {
        let mut answer = json("{}");
        answer.headers_mut().insert("connection", "x-hop".parse().unwrap());
        answer.headers_mut().insert("x-hop", "1".parse().unwrap());
        answer.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
        answer
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let request = proxy
        .client
        .get(proxy.url("/"))
        .header("x-forwarded-for", "10.1.1.1")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "forged")
        .header("connection", "x-mine")
        .header("x-mine", "1")
        .header("te", "trailers");
    let response = request.send().await.unwrap();
    assert!(!response.headers().contains_key("x-hop"));
    assert!(!response.headers().contains_key("keep-alive"));
    let seen = &baseline.seen()[0].headers;
    assert_eq!(seen["x-forwarded-for"], "10.1.1.1, 127.0.0.1");
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-forwarded-host"], proxy.app.traffic.to_string());
    assert_eq!(
        (&seen["te"], &seen["connection"]),
        (&"trailers".parse().unwrap(), &"te".parse().unwrap())
    );
    for gone in ["x-mine", "via"] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn half_an_upload_reaches_the_baseline_before_the_other_half_is_sent() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let baseline = raw(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            read_head(&mut stream).await;
            let mut half = [0; 5];
            stream.read_exact(&mut half).await.unwrap();
            arrived.send(half).await.unwrap();
            stream.read_exact(&mut half).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nfirst";
    client.write_all(head).await.unwrap();
    assert_eq!(&in_time(arrivals.recv()).await.unwrap(), b"first");
    client.write_all(b"other").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn half_a_response_reaches_the_client_before_the_other_half_is_there() {
    let (chunks, receiver) = mpsc::channel::<Bytes>(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let baseline = upstream(move |_| {
        let receiver = receiver.clone();
        async move {
            let mut chunks = receiver.lock().await.take().unwrap();
            let frames = futures_stream(move |cx| chunks.poll_recv(cx));
            Response::new(BodyExt::boxed(StreamBody::new(frames)))
        }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    chunks.send(Bytes::from("first")).await.unwrap();
    let mut response = in_time(proxy.get("/")).await;
    assert_eq!(in_time(response.chunk()).await.unwrap().unwrap(), "first");
    chunks.send(Bytes::from("other")).await.unwrap();
    assert_eq!(in_time(response.chunk()).await.unwrap().unwrap(), "other");
    drop(chunks);
    assert_eq!(in_time(response.chunk()).await.unwrap(), None);
}

/// A stream of data frames from a poll function.
fn futures_stream(
    mut poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>>
    + Send
    + Sync
    + Unpin
    + 'static,
) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync {
    struct Polled<F>(F);
    impl<F> futures_core::Stream for Polled<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin,
    {
        type Item = Result<Frame<Bytes>, std::io::Error>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            (self.0)(cx).map(|chunk| chunk.map(|data| Ok(Frame::data(data))))
        }
    }
    Polled(move |cx: &mut std::task::Context<'_>| poll(cx))
}

#[tokio::test]
async fn a_get_with_a_chunked_body_keeps_its_body() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let request =
        b"GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.write_all(request).await.unwrap();
    in_time(read_head(&mut client)).await;
    assert_eq!(baseline.seen()[0].body, "abc");
}

#[tokio::test]
async fn an_unreachable_baseline_is_a_502_without_internals() {
    let proxy = proxy(refusing(), refusing(), |_| {}).await;
    let response = proxy.get("/").await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: serde_json::Value = response.json().await.unwrap();
    let expected = serde_json::json!({
        "error": "bad gateway", "upstream": "baseline", "reason": "connection refused"
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_baseline_that_speaks_no_http_is_a_502() {
    let garbage = writes(b"\x00\x01garbage\r\n\r\n").await;
    let proxy = proxy(garbage, refusing(), |_| {}).await;
    assert_eq!(proxy.get("/").await.status(), 502);
}

#[tokio::test]
async fn a_baseline_without_an_answer_in_time_is_a_504() {
    let proxy = proxy(hung().await.addr, refusing(), |config| {
        config.forward.baseline_timeout = Duration::from_millis(50);
    })
    .await;
    let response = proxy.get("/").await;
    assert_eq!(response.status(), 504);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["reason"], "no response in time");
}

#[tokio::test]
async fn a_baseline_may_take_its_time_to_answer_and_not_to_connect() {
    let slow = upstream(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        text("at last")
    })
    .await;
    let short = Duration::from_millis(50);
    let patient = proxy(slow.addr, refusing(), |config| config.connect_timeout = short).await;
    assert_eq!(in_time(patient.get("/")).await.status(), 200);

    let (silent, _queued) = silent().await;
    let proxy = proxy(silent, refusing(), |config| config.connect_timeout = short).await;
    let response = in_time(proxy.get("/")).await;
    assert_eq!(response.status(), 504);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["reason"], "no connection in time");
}

#[tokio::test]
async fn a_candidate_that_takes_no_connection_is_given_up_after_the_same_time() {
    let (silent, _queued) = silent().await;
    let proxy = proxy(fixed("{}").await.addr, silent, |config| {
        config.connect_timeout = Duration::from_millis(50);
        config.mirror.timeout = Duration::from_secs(3600);
    })
    .await;
    in_time(proxy.expect_outcome("/", "candidate_failed")).await;
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_baseline() {
    let baseline = fixed("{}").await;
    let limit = Duration::from_millis(200);
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.forward.baseline_timeout = limit;
    })
    .await;
    let mut client = proxy.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
    client.write_all(head).await.unwrap();
    for byte in b"slow" {
        tokio::time::sleep(limit / 2).await;
        client.write_all(&[*byte]).await.unwrap();
    }
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_baseline_that_breaks_off_is_seen_as_a_broken_transfer() {
    let broken = writes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
    let proxy = proxy(broken, fixed("{}").await.addr, |_| {}).await;
    let response = proxy.get("/").await;
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap_err();
    eventually!(proxy.outcome("baseline_failed").await == 1.0);
}

#[tokio::test]
async fn connections_to_upstreams_are_reused_each_in_its_own_pool() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    for _ in 0..20 {
        proxy.expect_outcome("/", "matched").await;
    }
    assert_eq!((baseline.connections(), candidate.connections()), (1, 1));
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced_unnoticed() {
    let baseline = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    for _ in 0..20 {
        let response = proxy.get("/").await;
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
        // Let the closing reach the proxy: a request written before cannot be repeated safely.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_gzip_body_passes_byte_for_byte() {
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let baseline = upstream(move |_| async move {
        let mut answer = text(gzip);
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        answer
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let request =
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut whole = Vec::new();
    in_time(client.read_to_end(&mut whole)).await.unwrap();
    assert!(whole.ends_with(gzip));
    assert_eq!(baseline.seen()[0].headers["accept-encoding"], "gzip");
    assert!(!baseline.seen()[0].headers.contains_key("accept"), "nothing is added");
}

#[tokio::test]
async fn header_names_keep_their_letter_case() {
    let (send, mut heads) = mpsc::channel(1);
    let baseline = raw(move |mut stream| {
        let send = send.clone();
        async move {
            send.send(read_head(&mut stream).await).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nX-CamelCase: 1\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-MiXed: 1\r\n\r\n").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.contains("X-CamelCase: 1"), "{head}");
    assert!(heads.recv().await.unwrap().contains("X-MiXed: 1"));
    assert!(!head.to_lowercase().contains("date:"), "nothing is added: {head}");
}

#[tokio::test]
async fn connect_is_refused_and_counted() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    assert!(head.to_lowercase().contains("allow: get"), "{head}");
    assert_eq!(proxy.metric("mirror_refused_total", &["reason=\"method\""]).await, 1.0);
    assert_eq!((baseline.count(), proxy.outcomes().await.len()), (0, 0));
}

#[tokio::test]
async fn connect_is_refused_over_http_2_as_well() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = crate::support::http2(proxy.connect().await).await;
    let connect = http::Request::connect("shop.example:443").body(()).unwrap();
    let (answer, _tunnel) = client.send_request(connect, false).unwrap();
    assert_eq!(in_time(answer).await.unwrap().status(), 405);
    assert_eq!(baseline.count(), 0);
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_400_and_has_no_outcome() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nbad header line\r\n\r\n").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    eventually!(proxy.metric("mirror_refused_total", &["reason=\"malformed\""]).await == 1.0);
    assert_eq!(proxy.outcomes().await, []);
}

#[tokio::test]
async fn a_head_request_has_its_headers_and_no_body() {
    let baseline = upstream(|_| async { json("{\"a\":1}") }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let response = proxy.client.head(proxy.url("/")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-length"], "7");
    assert!(in_time(response.bytes()).await.unwrap().is_empty());
}

/// An upstream whose answers have heads of different sizes.
async fn large_heads() -> crate::support::Upstream {
    upstream(|seen| async move {
        let mut answer = text("ok");
        let headers = answer.headers_mut();
        // Over HTTP/2 the target is a whole URL.
        let (name, lines, length) = match seen.target.rsplit('/').next().unwrap() {
            "lines" => ("x-line", 101, 1),
            "cookies" => ("set-cookie", 160, 20),
            "large" => ("x-large", 50, 4000),
            _ => ("x-huge", 50, 20_000),
        };
        for number in 0..lines {
            let value = format!("c{number}={}", "v".repeat(length));
            headers.append(name, value.parse().unwrap());
        }
        answer
    })
    .await
}

#[tokio::test]
async fn answers_with_many_or_large_header_lines_pass_from_baseline_and_candidate_alike() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (baseline, candidate) = (large_heads().await, large_heads().await);
        let proxy = proxy(baseline.addr, candidate.addr, |config| {
            config.baseline.protocol = protocol;
            config.candidate.protocol = protocol;
        })
        .await;
        for (path, name, lines) in
            [("/lines", "x-line", 101), ("/cookies", "set-cookie", 160), ("/large", "x-large", 50)]
        {
            // By hand: the usual client takes no more than 100 lines itself.
            let mut client = proxy.connect().await;
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let head = in_time(read_head(&mut client)).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{path} over {protocol:?}");
            let found = head.lines().filter(|line| line.to_lowercase().starts_with(name)).count();
            assert_eq!(found, lines, "{path} over {protocol:?}");
        }
        eventually!(proxy.outcomes().await == [("matched".to_owned(), 3.0)]);
    }
}

#[tokio::test]
async fn an_answer_whose_head_is_over_the_limit_is_a_502_and_a_failed_copy() {
    let (large, small) = (large_heads().await, fixed("{}").await);
    let limit = |config: &mut proxy::config::Config| config.answer_heads.bytes = 100_000;
    let proxy = proxy(large.addr, small.addr, limit).await;
    let response = proxy.get("/large").await;
    assert_eq!(response.status(), 502);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["reason"], "response header too large");
    let proxy = crate::support::proxy(small.addr, large.addr, limit).await;
    proxy.expect_outcome("/large", "candidate_failed").await;
}
