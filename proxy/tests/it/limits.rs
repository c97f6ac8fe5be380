//! What one client or all together may take, each limit refused in its own way and counted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy::limits::Limits;
use proxy::limits::pace::Pace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually;
use crate::support::{
    Proxy, fixed, hung, in_time, proxy, raw, read_head, read_until, refusing, status, text,
    upstream, writes,
};

async fn limited(set: impl FnOnce(&mut Limits)) -> Proxy {
    let baseline = upstream(|seen| async move { text(seen.body) }).await;
    proxy(baseline.addr, fixed("{}").await.addr, |config| set(&mut config.forward.limits)).await
}

async fn refused(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric("mirror_refused_total", &[&format!("reason=\"{reason}\"")]).await
}

async fn all_outcomes(proxy: &Proxy) -> f64 {
    proxy.metric("mirror_outcomes_total", &[]).await
}

/// Sends these bytes on a connection of their own and reads until it is closed.
async fn exchange(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut stream = proxy.connect().await;
    // The proxy may have answered and closed before it has read everything.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    in_time(stream.read_to_end(&mut answer)).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn with_lines(count: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".to_vec();
    for line in 2..count {
        write!(head, "x-{line}: 1\r\n").unwrap();
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[tokio::test]
async fn too_many_header_lines_are_431_below_and_above_what_the_parser_holds() {
    // The proxy adds lines of its own, so the baseline must not count.
    let baseline = writes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for limit in [10, 100, 200] {
        let proxy = proxy(baseline, refusing(), |config| {
            config.forward.limits.headers = limit;
        })
        .await;
        let answer = exchange(&proxy, &with_lines(limit)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{limit}: {answer}");
        let answer = exchange(&proxy, &with_lines(limit + 1)).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{limit}: {answer}");
        eventually!(refused(&proxy, "headers_too_large").await == 1.0);
        eventually!(all_outcomes(&proxy).await == 1.0);
    }
}

#[tokio::test]
async fn a_head_of_too_many_bytes_is_431() {
    let proxy = limited(|limits| limits.header_bytes = 16_384).await;
    let long = |length| format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n", "x".repeat(length));
    let whole = format!("{}connection: close\r\n\r\n", long(16_000));
    assert!(exchange(&proxy, whole.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let answer = exchange(&proxy, long(40_000).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    eventually!(refused(&proxy, "headers_too_large").await == 1.0);
}

#[tokio::test]
async fn hundreds_of_half_open_requests_delay_nobody_and_end_with_408() {
    const HALF_OPEN: usize = 300;
    let proxy = limited(|limits| limits.head_timeout = Duration::from_secs(3)).await;
    let mut half_open = Vec::new();
    for _ in 0..HALF_OPEN {
        let mut stream = proxy.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        half_open.push(stream);
    }
    for _ in 0..20 {
        let answered = tokio::time::timeout(Duration::from_secs(1), proxy.get("/")).await;
        assert_eq!(answered.expect("not delayed").status(), 200);
    }
    assert_eq!(refused(&proxy, "head_timeout").await, 0.0, "answered beside them, not after them");
    for mut stream in half_open {
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(refused(&proxy, "head_timeout").await, HALF_OPEN as f64);
    assert_eq!(refused(&proxy, "malformed").await, 0.0);
}

#[tokio::test]
async fn a_connection_that_is_kept_open_without_a_request_is_closed() {
    let proxy = limited(|limits| limits.idle_timeout = Duration::from_millis(300)).await;
    let silent = proxy.connect().await;
    let mut used = proxy.connect().await;
    used.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(in_time(read_head(&mut used)).await.starts_with("HTTP/1.1 200 "));
    for mut stream in [silent, used] {
        let mut rest = Vec::new();
        in_time(stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"");
    }
    eventually!(refused(&proxy, "idle_timeout").await >= 2.0);
}

#[tokio::test]
async fn a_slow_answer_and_a_slow_upload_are_not_idle() {
    let slow = |limits: &mut Limits| {
        limits.idle_timeout = Duration::from_millis(100);
        limits.head_timeout = Duration::from_millis(100);
    };
    let baseline = upstream(|seen| async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        text(seen.body)
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |config| slow(&mut config.forward.limits)).await;
    let mut stream = proxy.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nconnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    for byte in b"slow" {
        tokio::time::sleep(Duration::from_millis(150)).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_there_is_room_again_when_another_ends() {
    let proxy = limited(|limits| limits.connections = 2).await;
    let open = |mut stream: TcpStream| async move {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ok();
        (read_head(&mut stream).await, stream)
    };
    let (first, kept) = in_time(open(proxy.connect().await)).await;
    let (second, _other) = in_time(open(proxy.connect().await)).await;
    assert!(first.starts_with("HTTP/1.1 200 ") && second.starts_with("HTTP/1.1 200 "));
    let (third, _) = in_time(open(proxy.connect().await)).await;
    assert_eq!(third, "");
    drop(kept);
    eventually!(open(proxy.connect().await).await.0.starts_with("HTTP/1.1 200 "));
    eventually!({
        let metrics = client_metrics(&proxy).await;
        crate::support::sum(&metrics, "mirror_refused_total", &["reason=\"connections\""]) >= 1.0
    });
}

/// The metrics, when there is a connection left to read them on.
async fn client_metrics(proxy: &Proxy) -> String {
    match proxy.client.get(proxy.url("/metrics")).send().await {
        Ok(response) => response.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[tokio::test]
async fn a_request_too_many_in_flight_is_503_with_retry_after_and_the_admin_endpoints_answer() {
    let baseline = hung().await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.forward.limits.requests_in_flight = 2;
        config.forward.baseline_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = proxy.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    eventually!(baseline.count() == 2);
    let response = in_time(proxy.get("/")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(refused(&proxy, "requests_in_flight").await, 1.0);
    assert_eq!(proxy.metric("mirror_requests_in_flight", &[]).await, 2.0);
    drop(waiting);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_its_length_is_declared_or_not() {
    let proxy = limited(|limits| limits.request_bytes = Some(1000)).await;
    assert_eq!(in_time(proxy.post("/", vec![1; 1000])).await.status(), 200);
    assert_eq!(in_time(proxy.post("/", vec![1; 1001])).await.status(), 413);
    assert_eq!(refused(&proxy, "body_too_large").await, 1.0);
    eventually!(all_outcomes(&proxy).await == 1.0);
    let chunked = |length| {
        let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked";
        format!("{head}\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length))
    };
    assert!(exchange(&proxy, chunked(1000).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let answer = exchange(&proxy, chunked(1001).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(refused(&proxy, "body_too_large").await, 2.0);
    // It had been forwarded in part, and whatever is forwarded has an outcome.
    eventually!(proxy.outcome("body_too_large").await == 1.0);
    assert_eq!(all_outcomes(&proxy).await, 3.0);
}

#[tokio::test]
async fn a_body_that_grows_too_large_after_the_answer_began_breaks_the_answer_off() {
    let baseline = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(begin).await.unwrap();
        // Goes on until the proxy closes the connection.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
    });
    let baseline = baseline.await;
    let proxy = proxy(baseline, fixed("{}").await.addr, |config| {
        config.forward.limits.request_bytes = Some(1000);
    })
    .await;
    let mut client = proxy.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
    client.write_all(head).await.unwrap();
    let begun = in_time(read_until(&mut client, "hello\r\n")).await;
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    let rest = format!("7d0\r\n{}\r\n", "x".repeat(2000));
    client.write_all(rest.as_bytes()).await.unwrap();
    let mut end = Vec::new();
    in_time(client.read_to_end(&mut end)).await.ok();
    assert!(!end.ends_with(b"0\r\n\r\n"), "a clean end: {:?}", String::from_utf8_lossy(&end));
    eventually!(proxy.outcome("body_too_large").await == 1.0);
    assert_eq!(all_outcomes(&proxy).await, 1.0);
}

#[tokio::test]
async fn without_a_limit_a_body_may_be_of_any_size() {
    let baseline = upstream(|_| async { status(204) }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    assert_eq!(in_time(proxy.post("/", vec![1; 3 << 20])).await.status(), 204);
}

#[tokio::test]
async fn an_upload_that_trickles_is_408_and_its_place_is_free_again() {
    let proxy = limited(|limits| {
        limits.read = Pace { period: Duration::from_millis(300), rate: 1000 };
        limits.requests_in_flight = 1;
    })
    .await;
    let mut stream = proxy.connect().await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut answer = vec![0; 12];
    in_time(reading.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    assert_eq!(refused(&proxy, "read_timeout").await, 1.0);
    drop(reading);
    in_time(trickle).await.unwrap();
    assert_eq!(in_time(proxy.post("/", vec![1; 10])).await.status(), 200);
    eventually!(all_outcomes(&proxy).await == 2.0);
}

#[tokio::test]
async fn an_upload_over_http_2_that_never_ends_is_408() {
    let proxy = limited(|limits| {
        limits.read = Pace { period: Duration::from_millis(200), rate: 1 };
    })
    .await;
    let (sender, connection) = h2::client::handshake(proxy.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = http::Request::post("http://x/").body(()).unwrap();
    let (answer, _never_ended) = sender.send_request(request, false).unwrap();
    assert_eq!(in_time(answer).await.unwrap().status(), 408);
    assert_eq!(refused(&proxy, "read_timeout").await, 1.0);
}

/// A baseline with an answer that fills all buffers.
async fn large() -> Proxy {
    let baseline = upstream(|_| async { text("x".repeat(32 << 20)) }).await;
    proxy(baseline.addr, refusing(), |config| {
        config.mirror.fraction = 0.0;
        config.forward.limits.write = Pace { period: Duration::from_millis(300), rate: 1000 };
    })
    .await
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_its_connection() {
    let proxy = large().await;
    let mut stream = proxy.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually!(refused(&proxy, "write_timeout").await == 1.0);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
    drop(stream);
}

#[tokio::test]
async fn an_answer_over_http_2_whose_window_stays_shut_ends_its_connection() {
    let proxy = large().await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let io = proxy.connect().await;
    let (sender, connection) = builder.handshake::<_, bytes::Bytes>(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = http::Request::get("http://x/").body(()).unwrap();
    let (answer, _) = sender.send_request(request, true).unwrap();
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    in_time(connection).await.unwrap().ok();
    assert_eq!(refused(&proxy, "write_timeout").await, 1.0);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
}

#[tokio::test]
async fn one_client_cannot_take_all_places() {
    let baseline = hung().await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.forward.limits.requests_in_flight = 3;
        config.forward.limits.requests_per_client = 2;
        config.forward.baseline_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = proxy.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    eventually!(baseline.count() == 2);
    let response = in_time(proxy.get("/")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(refused(&proxy, "client_requests_in_flight").await, 1.0);
    // Another address of this machine.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    if socket.bind("127.0.0.2:0".parse().unwrap()).is_ok() {
        let mut other = socket.connect(proxy.app.traffic).await.unwrap();
        other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        eventually!(baseline.count() == 3);
    }
}

#[tokio::test]
async fn one_client_cannot_take_all_connections() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.forward.limits.connections = 3;
        config.forward.limits.connections_per_client = 2;
    })
    .await;
    let at = |ip: &str| {
        let address: std::net::IpAddr = ip.parse().unwrap();
        let client = reqwest::Client::builder().no_proxy().local_address(address);
        client.pool_max_idle_per_host(0).build().unwrap()
    };
    let mut open = vec![proxy.connect().await, proxy.connect().await];
    for stream in &mut open {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(in_time(read_head(stream)).await.starts_with("HTTP/1.1 200"));
    }
    // One connection more of the same client is closed, another client has its own.
    assert_eq!(in_time(read_head(&mut proxy.connect().await)).await, "");
    let metrics = at("127.0.0.2").get(proxy.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let reason = ["reason=\"client_connections\""];
    assert_eq!(crate::support::sum(&metrics, "mirror_refused_total", &reason), 1.0);
    // Its place is free again once it has left.
    drop(open);
    eventually!(at("127.0.0.1").get(proxy.url("/")).send().await.is_ok());
}

#[tokio::test]
async fn a_connection_that_takes_back_request_after_request_is_closed() {
    const BATCH: usize = 20;
    let baseline = hung().await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let (mut sender, connection) = h2::client::handshake(proxy.connect().await).await.unwrap();
    let connection = tokio::spawn(connection);
    while !connection.is_finished() {
        let before = baseline.count();
        assert!(before < 1000, "not closed");
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            let Ok(ready) = in_time(sender.clone().ready()).await else { break };
            sender = ready;
            let request = http::Request::get("http://x/").body(()).unwrap();
            batch.extend(sender.send_request(request, true));
        }
        // Handed over before they are taken back: of others the library itself has a limit.
        eventually!(connection.is_finished() || baseline.count() == before + batch.len());
        for (_, stream) in &mut batch {
            stream.send_reset(h2::Reason::CANCEL);
        }
        drop(batch);
        eventually!(
            connection.is_finished() || proxy.metric("mirror_requests_in_flight", &[]).await == 0.0
        );
    }
    in_time(connection).await.unwrap().ok();
    assert_eq!(refused(&proxy, "resets").await, 1.0);
}

type Http2 = hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>>;

async fn http2(proxy: &Proxy) -> Http2 {
    let io = TokioIo::new(proxy.connect().await);
    #[expect(clippy::disallowed_methods, reason = "a client of HTTP/2, which the tests' lacks")]
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn over_http_2_header_lines_and_requests_at_once_have_the_same_limits() {
    const STREAMS: usize = 2;
    let at_once = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, seen) = (Arc::clone(&at_once), Arc::clone(&most));
    let baseline = upstream(move |_| {
        let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            text("")
        }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.mirror.fraction = 0.0;
        config.forward.limits.headers = 10;
        config.forward.limits.streams = u32::try_from(STREAMS).unwrap();
    })
    .await;
    let mut sender = http2(&proxy).await;
    let request = |lines: usize| {
        let mut request = http::Request::get("http://x/").body(http_body_util::Empty::new());
        let headers = request.as_mut().unwrap().headers_mut();
        for _ in 0..lines {
            headers.append("x-line", http::HeaderValue::from_static("1"));
        }
        request.unwrap()
    };
    assert_eq!(in_time(sender.send_request(request(11))).await.unwrap().status(), 431);
    assert_eq!(refused(&proxy, "headers_too_large").await, 1.0);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let mut sender = sender.clone();
            let request = request(10);
            tokio::spawn(async move { sender.send_request(request).await.unwrap().status() })
        })
        .collect();
    for call in calls {
        assert_eq!(in_time(call).await.unwrap(), 200);
    }
    assert_eq!(most.load(Ordering::SeqCst), STREAMS);
}
