//! The bytes on the wire: what must pass as it is, and what could be read in two ways.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually;
use crate::support::{
    PATIENCE, Proxy, fixed, in_time, proxy, raw, read_until, refusing, text, upstream, writes,
};

/// A baseline that keeps every byte it gets and answers the first head on a connection.
async fn recorder(answer: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let addr = raw(move |mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            let (mut head, mut answered) = (Vec::new(), false);
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                keep.lock().unwrap().extend_from_slice(&bytes[..read]);
                head.extend_from_slice(&bytes[..read]);
                if !answered && contains(&head, b"\r\n\r\n") {
                    answered = true;
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
    })
    .await;
    (addr, kept)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Sends bytes and reads up to the end of the connection.
async fn send(proxy: &Proxy, request: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(proxy.app.traffic).await.unwrap();
    client.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    drop(in_time(client.read_to_end(&mut answer)).await);
    answer
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    let lines: [&[u8]; 18] = [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"X-Folded: one\r\n two\r\n",
        b"X-Bare: one\rtwo\r\n",
        b"X-Nul: one\0two\r\n",
        b" X-First: space\r\n",
        b"Host: other\r\n",
    ];
    for line in lines {
        let shown = String::from_utf8_lossy(line).into_owned();
        let (baseline, kept) = recorder(OK).await;
        let proxy = proxy(baseline, refusing(), |_| {}).await;
        let request = [
            b"POST / HTTP/1.1\r\nHost: x\r\n",
            line,
            b"\r\nhelloGET /second HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        let request = request.concat();
        let answer = tokio::time::timeout(PATIENCE / 4, send(&proxy, &request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{shown}: no end"));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{shown}: {answer}");
        assert!(kept.lock().unwrap().is_empty(), "{shown}");
        eventually!(proxy.metric("mirror_refused_total", &["reason=\"malformed\""]).await == 1.0);
        assert_eq!(proxy.outcomes().await, []);
    }
}

#[tokio::test]
async fn only_http_1_0_may_leave_out_the_host() {
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "400"),
        (b"GET / HTTP/1.0\r\n\r\n", "200"),
        (b"GET http://x/ HTTP/1.1\r\nConnection: close\r\n\r\n", "200"),
    ] {
        let (baseline, kept) = recorder(OK).await;
        let proxy = proxy(baseline, refusing(), |_| {}).await;
        let answer = String::from_utf8(in_time(send(&proxy, request)).await).unwrap();
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
        assert_eq!(kept.lock().unwrap().is_empty(), status == "400");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn what_is_harmless_leaves_in_one_form_and_is_never_two_requests() {
    let chunked = &b"5\r\nhello\r\n0\r\n\r\n"[..];
    let cases: [(&[u8], &[u8], &str, &str); 6] = [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked, "chunked", "content-len"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked, "chunked", "content-len"),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello", "content-length: 5", "transfer"),
        (b"Content-Length: 5\nX-Bare: end\n", b"hello", "x-bare: end\r\n", "transfer"),
        (
            b"Connection: content-length\r\nContent-Length: 5\r\n",
            b"hello",
            "content-length: 5",
            "transfer",
        ),
        (
            b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
            chunked,
            "chunked",
            "content-len",
        ),
    ];
    for (lines, body, expected, forbidden) in cases {
        let shown = String::from_utf8_lossy(lines).into_owned();
        let (baseline, kept) = recorder(OK).await;
        let proxy = proxy(baseline, refusing(), |_| {}).await;
        let start = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let second = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer = send(&proxy, &[start, lines, b"\r\n", body, second].concat()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{shown}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{shown}: {answer}");
        let kept = String::from_utf8(kept.lock().unwrap().clone()).unwrap().to_lowercase();
        assert_eq!(kept.matches("http/1.1").count(), 1, "{shown}: {kept}");
        assert_eq!(kept.matches(expected).count(), 1, "{shown}: {kept}");
        assert!(!kept.contains(forbidden), "{shown}: {kept}");
        assert!(!kept.replace("\r\n", "").contains('\n'), "{shown}: {kept}");
    }
}

#[tokio::test]
async fn a_chunked_body_that_is_none_never_reaches_the_baseline_as_a_whole() {
    for body in [
        &b"5\r\nhelloXX0\r\n\r\n"[..],
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
    ] {
        let (baseline, kept) = recorder(b"").await;
        let proxy = proxy(baseline, fixed("{}").await.addr, |_| {}).await;
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let second = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n";
        send(&proxy, &[head, body, second].concat()).await;
        let kept = kept.lock().unwrap().clone();
        assert!(!contains(&kept, b"0\r\n\r\n") && !contains(&kept, b"/second"), "{kept:?}");
        eventually!(proxy.outcome("client_aborted").await == 1.0);
    }
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_a_502_or_leaves_in_one_form() {
    let conflict = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc";
    let proxy = self::proxy(writes(conflict).await, refusing(), |_| {}).await;
    assert_eq!(proxy.get("/").await.status(), 502);
    let both = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\n\r\n";
    let proxy = self::proxy(writes(both).await, refusing(), |_| {}).await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(send(&proxy, request).await).unwrap().to_lowercase();
    let one_form = answer.starts_with("http/1.1 502 ")
        || answer.ends_with("\r\n5\r\nhello\r\n0\r\n\r\n") && !answer.contains("content-length");
    assert!(one_form, "{answer}");
}

#[tokio::test]
async fn header_lines_keep_their_number_bytes_case_and_order_within_a_name() {
    let answer = b"HTTP/1.1 299 Very Fine\r\nX-Two: 1\r\nSet-Cookie: a=1\r\nx-TWO: \xe9\xff\r\n\
        set-cookie: b=2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n";
    let (baseline, kept) = recorder(answer).await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nX-Other: \xe9\xff caf\xc3\xa9\r\n\
        x-TWO: 2\r\nX-Empty:\r\nX-tWo: 1\r\nConnection: close\r\n\r\n";
    let received = send(&proxy, request).await;
    let sent = kept.lock().unwrap().clone();
    let positions = |bytes: &[u8], lines: &[&[u8]]| -> Vec<usize> {
        let find = |line: &&[u8]| bytes.windows(line.len()).position(|window| window == *line);
        let shown = String::from_utf8_lossy(bytes).into_owned();
        lines.iter().map(|line| find(line).unwrap_or_else(|| panic!("{shown}"))).collect()
    };
    let twos = positions(&sent, &[b"\r\nX-Two: 1\r\n", b"\r\nx-TWO: 2\r\n", b"\r\nX-tWo: 1\r\n"]);
    assert!(twos.is_sorted(), "{twos:?}");
    positions(&sent, &[b"\r\nX-Other: \xe9\xff caf\xc3\xa9\r\n", b"\r\nX-Empty:"]);
    assert!(received.starts_with(b"HTTP/1.1 299 Very Fine\r\n"));
    for lines in [
        [&b"\r\nX-Two: 1\r\n"[..], b"\r\nx-TWO: \xe9\xff\r\n"],
        [b"\r\nSet-Cookie: a=1\r\n", b"\r\nset-cookie: b=2\r\n"],
    ] {
        assert!(positions(&received, &lines).is_sorted());
    }
}

#[tokio::test]
async fn request_targets_pass_byte_for_byte() {
    for target in [
        "/",
        "//",
        "/a//b/../c/./d/",
        "/%2f%2F%zz%00%",
        "/a;b=c,d:e@f!$&'()*+=~",
        "/?",
        "/a?b=c&&d=%20+e?f/g",
        "/{braces}/\"quotes\"",
        "/caf\u{e9}",
        "*",
    ] {
        let (baseline, kept) = recorder(OK).await;
        let proxy = proxy(baseline, refusing(), |_| {}).await;
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{target}");
        let kept = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
        assert!(kept.starts_with(&format!("OPTIONS {target} HTTP/1.1\r\n")), "{target}: {kept}");
    }
}

#[tokio::test]
async fn an_absolute_target_leaves_as_a_path_and_its_host_counts() {
    let (baseline, kept) = recorder(OK).await;
    let proxy = proxy(baseline, refusing(), |config| {
        config.baseline.host_header = proxy::upstream::HostHeader::Preserve;
    })
    .await;
    let request =
        b"GET http://shop.example/a?b HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n";
    send(&proxy, request).await;
    let kept = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
    assert!(kept.starts_with("GET /a?b HTTP/1.1\r\n"), "{kept}");
    assert!(kept.contains("Host: shop.example\r\n") && !kept.contains("other"), "{kept}");
}

#[tokio::test]
async fn every_method_passes_known_or_not() {
    let baseline = upstream(|seen| async move { text(seen.method.as_str().to_owned()) }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    for method in
        ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "M-SEARCH", "get"]
    {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(send(&proxy, request.as_bytes()).await).unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\n{method}")), "{answer}");
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_what_they_say_of_one() {
    for (method, answer, kept) in [
        ("HEAD", &b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"[..], "content-length: 1234"),
        (
            "GET",
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\netag: \"x\"\r\n\r\n",
            "etag",
        ),
        ("GET", b"HTTP/1.1 204 No Content\r\nx-kept: 1\r\n\r\n", "x-kept: 1"),
        ("POST", b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n", "content-length: 0"),
    ] {
        let (baseline, _) = recorder(answer).await;
        let proxy = proxy(baseline, refusing(), |_| {}).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let received = send(&proxy, request.as_bytes()).await;
        let received = String::from_utf8(received).unwrap().to_lowercase();
        let status = String::from_utf8_lossy(&answer[..12]).to_lowercase();
        assert!(received.starts_with(&status), "{received}");
        assert!(received.contains(kept), "{received}");
        assert!(!received.contains("transfer-encoding"), "{received}");
        assert!(received.ends_with("\r\n\r\n"), "{received}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let baseline = upstream(|seen| async move { text(seen.target) }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let both = request("/first") + &*request("/second");
    client.write_all(both.as_bytes()).await.unwrap();
    for path in ["/first", "/second"] {
        let answer = in_time(read_until(&mut client, path)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}
