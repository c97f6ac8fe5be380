//! Request targets with bytes that no URI has: what the client sent is what upstreams get.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proxy::listen::tls::{Identity, certificates as authorities};
use proxy::upstream::{Protocol, Target, Trust};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::certificates::{Certificates, certificates};
use crate::eventually;
use crate::support::{in_time, proxy, raw, read_until, refusing, upstream};

mod framed;

type Lines = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers each request without a body, and keeps the line.
async fn keeps(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), lines: &Lines) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        // What names such bytes within the proxy stays there.
        assert!(!head.windows(2).any(|window| window == b"~m"));
        let line = head.split(|byte| *byte == b'\r').next().unwrap().to_vec();
        lines.lock().unwrap().push(line);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn plain() -> (SocketAddr, Lines) {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    let addr = raw(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move { keeps(&mut stream, &kept).await }
    })
    .await;
    (addr, lines)
}

const TARGETS: [&[u8]; 10] = [
    b"/a\"b",
    b"/<script>",
    b"/a`b?c=`d`",
    b"/a\x7fb",
    b"/caf\xe9",
    b"/?q=\"caf\xe9\"",
    b"/a#b?c",
    b"/caf\xc3\xa9?<\xc3\xa9>",
    b"/a%22b?c={d}|e",
    b"/a/path/that/is/longer/than/the/preface/of/http/2/<\xe9>",
];

fn request(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nhost: x\r\nx-a: \"<\xe9>\"\r\n\r\n"].concat()
}

fn lines() -> Vec<Vec<u8>> {
    TARGETS.map(|target| [b"GET ", target, b" HTTP/1.1"].concat()).to_vec()
}

#[tokio::test]
async fn what_a_client_sent_is_what_baseline_and_candidate_get() {
    let ((baseline, asked), (candidate, copied)) = (plain().await, plain().await);
    let proxy = proxy(baseline, candidate, |_| {}).await;
    let mut client = proxy.connect().await;
    for (count, target) in TARGETS.into_iter().enumerate() {
        // As the first request of a connection, and as a later one.
        if count % 2 == 1 {
            client = proxy.connect().await;
        }
        client.write_all(&request(target)).await.unwrap();
        let answer = in_time(read_until(&mut client, "ok")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        eventually!(copied.lock().unwrap().len() == count + 1);
    }
    assert_eq!(*asked.lock().unwrap(), lines());
    assert_eq!(*copied.lock().unwrap(), lines());
    eventually!(proxy.outcome("matched").await == TARGETS.len() as f64);
    // What people see has them percent-encoded.
    let metrics = proxy.metrics().await;
    assert!(metrics.contains("route=\"GET /%3Cscript%3E\""), "{metrics}");
    assert!(!metrics.contains("~m"), "{metrics}");
}

/// A `#` right behind the host ends the target, since one in its place would change the host.
#[tokio::test]
async fn of_a_url_all_behind_the_host_passes_and_an_empty_path_is_the_root() {
    let ((baseline, asked), (candidate, copied)) = (plain().await, plain().await);
    let http2 = upstream(|_| async move { crate::support::text("ok") }).await;
    let proxy = proxy(baseline, candidate, |_| {}).await;
    let to_http2 = self::proxy(http2.addr, refusing(), |config| {
        config.baseline.protocol = Protocol::Http2;
    })
    .await;
    let cases: [(&[u8], &[u8], &str); 7] = [
        (b"http://x", b"/", "/"),
        (b"http://x#y", b"/", "/"),
        (b"http://x#/y?z", b"/", "/"),
        (b"http://x?y", b"/?y", "/?y"),
        (b"http://x?y#\"", b"/?y#\"", "/?y%23%22"),
        (b"http://x/#y", b"/#y", "/%23y"),
        (b"http://x/a\xe9#y?z", b"/a\xe9#y?z", "/a%E9%23y?z"),
    ];
    for (count, (target, line, encoded)) in cases.into_iter().enumerate() {
        for proxy in [&proxy, &to_http2] {
            let mut client = proxy.connect().await;
            client.write_all(&request(target)).await.unwrap();
            let answer = in_time(read_until(&mut client, "ok")).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{target:?}: {answer}");
        }
        let line = [b"GET ", line, b" HTTP/1.1"].concat();
        eventually!(copied.lock().unwrap().len() == count + 1);
        for lines in [&asked, &copied] {
            assert_eq!(
                lines.lock().unwrap()[count].escape_ascii().to_string(),
                line.escape_ascii().to_string()
            );
        }
        assert!(http2.seen()[count].target.ends_with(encoded), "{}", http2.seen()[count].target);
    }
}

#[tokio::test]
async fn the_same_holds_behind_a_prefix_and_over_tls() {
    let Certificates { authority, chain, key } = certificates();
    let acceptor = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap().acceptor();
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    let baseline = raw(move |stream| {
        let (kept, acceptor) = (Arc::clone(&kept), acceptor.clone());
        async move { keeps(&mut acceptor.accept(stream).await.unwrap(), &kept).await }
    })
    .await;
    let proxy = proxy(baseline, refusing(), |config| {
        let url = format!("https://localhost:{}/prefix", baseline.port());
        config.baseline = Target::parse(&url).unwrap();
        config.trust = Trust::System(authorities(authority.as_bytes()).unwrap());
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(&request(b"/a\"b?\xe9")).await.unwrap();
    in_time(read_until(&mut client, "ok")).await;
    assert_eq!(lines.lock().unwrap()[0], b"GET /prefix/a\"b?\xe9 HTTP/1.1");
}

#[tokio::test]
async fn over_http_2_such_bytes_are_percent_encoded() {
    let baseline = upstream(|_| async move { crate::support::text("ok") }).await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.baseline.protocol = Protocol::Http2;
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(&request(b"/a\"b?\xe9")).await.unwrap();
    let answer = in_time(read_until(&mut client, "ok")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(baseline.seen()[0].target.ends_with("/a%22b?%E9"), "{}", baseline.seen()[0].target);
}

#[tokio::test]
async fn what_could_split_a_line_or_names_a_host_is_refused_as_before() {
    let (baseline, asked) = plain().await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    for target in [&b"/a b"[..], b"/a\x00b", b"/a\x01\"", b"http://a\"b/", b"\"", b"/a\tb"] {
        let mut client = proxy.connect().await;
        client.write_all(&request(target)).await.unwrap();
        let answer = in_time(read_until(&mut client, "\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target:?}: {answer}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_stands_for_such_bytes_is_told_to_nobody() {
    let (baseline, _) = plain().await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    for target in [
        &b"/control/status?candidate=a\"b"[..],
        b"/control/status?route=a\"b",
        b"/control/report?route=<b>",
        b"/control/identities?identity=a\"b",
        b"/control/no\"such",
    ] {
        let mut client = proxy.connect().await;
        let head = b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        client.write_all(&[b"GET ", target, &head[..]].concat()).await.unwrap();
        let mut answer = String::new();
        in_time(client.read_to_string(&mut answer)).await.unwrap();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        assert!(body.is_some_and(|body| !body.is_empty()), "{answer}");
        assert!(!answer.contains("~m"), "{}: {answer}", target.escape_ascii());
    }
}

#[tokio::test]
async fn a_target_whose_bytes_cannot_all_be_named_is_refused_and_never_altered() {
    let (baseline, asked) = plain().await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(&request(&[b"/", &b"<"[..].repeat(5000)[..]].concat())).await.unwrap();
    let answer = in_time(read_until(&mut client, "\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_looks_like_such_a_request_goes_through_as_it_is() {
    let echo = upstream(|request| async move { crate::support::text(request.body) }).await;
    let proxy = proxy(echo.addr, refusing(), |_| {}).await;
    let body = "GET /a\"b HTTP/1.1\r\n";
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut client = proxy.connect().await;
    client.write_all(head.as_bytes()).await.unwrap();
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 1.0);
    client.write_all(body.as_bytes()).await.unwrap();
    let answer = in_time(read_until(&mut client, "HTTP/1.1\r\n")).await;
    assert!(answer.ends_with(body), "{answer}");
    assert_eq!(echo.seen()[0].body, body);
}
