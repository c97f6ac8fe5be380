//! Requests that name nobody, or end where nobody can be sure: refused before anybody gets them.

use http::Request;
use proxy::upstream::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::eventually;
use crate::support::{Proxy, fixed, http2, in_time, proxy, refusing};

/// Sends bytes and reads up to the end of the connection.
async fn send(proxy: &Proxy, request: &[u8]) -> String {
    let mut client = proxy.connect().await;
    client.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    drop(in_time(client.read_to_end(&mut answer)).await);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn malformed(proxy: &Proxy) -> f64 {
    proxy.metric("mirror_refused_total", &["reason=\"malformed\""]).await
}

#[tokio::test]
async fn a_request_for_nobody_is_refused_everywhere() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut count = 0.0;
    for (target, hosts) in [
        ("/", "Host: x y\r\n"),
        ("/", "Host: a@b\r\n"),
        ("/", "Host: a\"><script>\r\n"),
        ("/", "Host: \r\n"),
        ("/", "Host: a/b\r\n"),
        ("/", "Host: a:b\r\n"),
        ("/", "Host: [::1\r\n"),
        ("/", "Host: a%zz\r\n"),
        ("admin.internal", "Host: x\r\n"),
        ("admin.internal:80", "Host: x\r\n"),
        ("http://u:p@evil/a", "Host: x\r\n"),
        ("http://evil/a", "Host: a b\r\n"),
        ("ftp://evil/a", "Host: evil\r\n"),
        ("/control/status", "Host: a\r\nHost: a\r\n"),
        ("/control/status", "Host: a b\r\n"),
        ("/healthz", ""),
        ("http://u:p@evil/metrics", "Host: x\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n");
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
        count += 1.0;
        eventually!(malformed(&proxy).await == count);
    }
    assert_eq!((baseline.count(), proxy.outcomes().await), (0, vec![]));
}

#[tokio::test]
async fn hosts_that_there_are_pass() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |config| config.mirror.fraction = 0.0).await;
    for (target, host) in [
        ("/", "shop.example"),
        ("/", "shop_1.example:8080"),
        ("/", "SHOP.example."),
        ("/", "192.0.2.1:80"),
        ("/", "[2001:db8::1]:80"),
        ("/", "a%20b!$&'()*+,;=~"),
        ("/", "shop.example:"),
        ("http://shop.example:81/a?b", "shop.example:81"),
        ("HTTPS://shop.example", "shop.example"),
        ("/control/status", "x"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{request}: {answer}");
    }
}

#[tokio::test]
async fn user_information_is_refused_over_http_2_too() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = http2(proxy.connect().await).await;
    let request = Request::get("http://u:p@evil/a").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(in_time(answer).await.unwrap().status(), 400);
    let request = Request::get("http://x/").header("host", "a b").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(in_time(answer).await.unwrap().status(), 400);
    assert_eq!((baseline.count(), malformed(&proxy).await), (0, 2.0));
}

#[tokio::test]
async fn a_coding_that_would_be_lost_on_the_way_is_refused() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut count = 0.0;
    for codings in [
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: cow, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Connection: transfer-encoding\r\nTransfer-Encoding: cow, chunked\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{codings}\r\n0\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{codings}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{codings}: {answer}");
        count += 1.0;
        eventually!(malformed(&proxy).await == count);
    }
    assert_eq!((baseline.count(), proxy.outcomes().await), (0, vec![]));
}

#[tokio::test]
async fn equal_lengths_leave_as_one() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
        let proxy = proxy(baseline.addr, candidate.addr, |config| {
            config.baseline.protocol = protocol;
            config.candidate.protocol = protocol;
        })
        .await;
        let mut client = http2(proxy.connect().await).await;
        let request = Request::post("http://x/").header("content-length", "2");
        let request = request.header("content-length", "2").body(()).unwrap();
        let (answer, mut upload) = client.send_request(request, false).unwrap();
        upload.send_data(bytes::Bytes::from_static(b"ok"), true).unwrap();
        assert_eq!(in_time(answer).await.unwrap().status(), 200);
        eventually!(candidate.count() == 1);
        for seen in [&baseline.seen()[0], &candidate.seen()[0]] {
            assert_eq!(seen.headers.get_all("content-length").iter().count(), 1, "{protocol:?}");
            assert_eq!(&seen.body[..], b"ok");
        }
    }
}

#[tokio::test]
async fn a_broken_chunk_is_the_clients_fault_and_ends_its_connection() {
    for (count, body) in
        ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n", "5 5\r\nhello\r\n", "5;\nx"]
            .into_iter()
            .enumerate()
    {
        let baseline = fixed("{}").await;
        let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
        let request =
            format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{count} {body}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{body}: {answer}");
        eventually!(malformed(&proxy).await == 1.0);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(malformed(&proxy).await, 1.0, "counted once");
    }
}

#[tokio::test]
async fn bytes_after_a_refused_connect_are_no_request() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let inside = "GET /inside HTTP/1.1\r\nHost: x\r\n\r\n";
    let request = format!("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n{inside}");
    let answer = send(&proxy, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(baseline.count(), 0);
}

#[tokio::test]
async fn a_bare_line_feed_after_the_last_chunk_hides_no_request() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    for (count, lines) in ["\n", "X-A: 1\n\n", "X-A: 1\r\nX-B: 2\r\n\n"].into_iter().enumerate() {
        let hidden = format!("{lines}GET /swallowed HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = send(&proxy, format!("{head}{hidden}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lines:?}: {answer}");
        eventually!(malformed(&proxy).await == count as f64 + 1.0);
    }
}

#[tokio::test]
async fn line_feeds_in_a_body_with_trailers_are_its_own_affair() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "4\r\na\n\n\r\r\n3\r\nb\nc\r\n0\r\nX-A: 1\r\n\r\n";
    let answer = send(&proxy, format!("{head}{body}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(baseline.seen()[0].body, "a\n\n\rb\nc");
}
