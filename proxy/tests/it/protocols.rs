//! What clients may speak: HTTP/1.0, HTTP/1.1, HTTP/2, in plain text and with TLS.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use proxy::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{TempFile, certificates};
use crate::eventually;
use crate::process;
use crate::support::{
    Answer, curl, fixed, http2, http2_body, in_time, json, proxy, refusing, text, upstream,
};

/// An answer whose length nobody knows beforehand.
fn unsized_answer(chunks: &'static [&'static str]) -> Answer {
    let frames = chunks.iter().map(|chunk| Ok(Frame::data(Bytes::from(*chunk))));
    Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))))
}

async fn raw(addr: std::net::SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    in_time(client.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn an_http_1_0_client_gets_an_unsized_body_that_ends_with_the_connection() {
    let baseline = upstream(|_| async { unsized_answer(&["one,", "two"]) }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let answer = raw(proxy.app.traffic, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(!answer.to_lowercase().contains("transfer-encoding"), "{answer}");
    assert!(answer.ends_with("\r\n\r\none,two"), "{answer}");
}

#[tokio::test]
async fn an_http_1_0_client_may_keep_its_connection() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let first = "GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let answer = raw(proxy.app.traffic, &format!("{first}GET /2 HTTP/1.0\r\n\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.0 200 OK").count(), 2, "{answer}");
    assert_eq!(baseline.count(), 2);
}

#[tokio::test]
async fn a_baseline_that_answers_in_http_1_0_is_passed_on_in_http_1_1() {
    let old = crate::support::writes(b"HTTP/1.0 200 OK\r\n\r\nto the end").await;
    let proxy = proxy(old, refusing(), |_| {}).await;
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = raw(proxy.app.traffic, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("A\r\nto the end\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served_on_plain_text() {
    let baseline = upstream(|seen| async move { text(seen.body) }).await;
    let candidate = upstream(|seen| async move { text(seen.body) }).await;
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let mut client = http2(proxy.connect().await).await;
    let request = Request::post("http://shop.example/a//b?c")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .unwrap();
    let (answer, mut upload) = client.send_request(request, false).unwrap();
    upload.send_data(Bytes::from("first "), false).unwrap();
    upload.send_data(Bytes::from("and last"), true).unwrap();
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(in_time(http2_body(answer.into_body())).await.unwrap(), b"first and last");
    let seen = &baseline.seen()[0];
    assert_eq!(seen.target, "/a//b?c");
    assert_eq!(seen.headers["host"], baseline.addr.to_string());
    assert_eq!(seen.headers["x-forwarded-host"], "shop.example");
    let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
    eventually!(proxy.outcome("matched").await == 1.0);
}

#[tokio::test]
async fn the_streams_of_one_http_2_connection_do_not_wait_for_each_other() {
    let (release, released) = tokio::sync::watch::channel(false);
    let baseline = upstream(move |seen| {
        let mut released = released.clone();
        async move {
            if seen.target == "/waits" {
                released.wait_for(|go| *go).await.unwrap();
            }
            json("{}")
        }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = http2(proxy.connect().await).await;
    let get = |path| Request::get(format!("http://x{path}")).body(()).unwrap();
    let (waits, _) = client.send_request(get("/waits"), true).unwrap();
    eventually!(baseline.count() == 1);
    let (passes, _) = client.send_request(get("/passes"), true).unwrap();
    assert_eq!(in_time(passes).await.unwrap().status(), 200);
    release.send(true).unwrap();
    assert_eq!(in_time(waits).await.unwrap().status(), 200);
}

fn with_tls(certificates: &crate::certificates::Certificates) -> impl FnOnce(&mut Config) {
    let identity = certificates.identity();
    move |config| config.tls = Some(identity)
}

#[tokio::test]
async fn with_tls_the_client_chooses_between_http_2_and_http_1_1() {
    let certificates = certificates();
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), with_tls(&certificates)).await;
    let io = certificates.connect(proxy.app.traffic, &["h2", "http/1.1"]).await;
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let request = Request::get("https://shop.example/").body(()).unwrap();
    let (answer, _) = http2(io).await.send_request(request, true).unwrap();
    assert_eq!(in_time(answer).await.unwrap().status(), StatusCode::OK);
    for offered in [&["http/1.1"][..], &[]] {
        let mut io = certificates.connect(proxy.app.traffic, offered).await;
        let chosen = io.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen.as_deref(), offered.first().map(|name| name.as_bytes()));
        let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        io.write_all(request).await.unwrap();
        let mut answer = String::new();
        in_time(io.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for seen in baseline.seen() {
        assert_eq!(seen.headers["x-forwarded-proto"], "https");
        assert_eq!(seen.headers["x-forwarded-host"], "shop.example");
    }
}

#[tokio::test]
async fn a_client_that_never_ends_its_handshake_holds_up_nobody() {
    let certificates = certificates();
    let proxy = proxy(fixed("{}").await.addr, refusing(), with_tls(&certificates)).await;
    // More than one after the other could be waited for.
    let _silent = [proxy.connect().await, proxy.connect().await, proxy.connect().await];
    let mut plain = proxy.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut io = in_time(certificates.connect(proxy.app.traffic, &[])).await;
    io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    in_time(io.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut refusal = Vec::new();
    in_time(plain.read_to_end(&mut refusal)).await.unwrap();
    assert!(!refusal.starts_with(b"HTTP"), "no plain text on a TLS port");
}

#[tokio::test]
async fn curl_is_served_in_every_version() {
    let certificates = certificates();
    let authority = TempFile::new(&certificates.authority);
    let baseline = upstream(|seen| async move { text(seen.target) }).await;
    let plain = proxy(baseline.addr, refusing(), |_| {}).await;
    let secure = proxy(baseline.addr, refusing(), with_tls(&certificates)).await;
    let plain = format!("http://localhost:{}/x//%2F?y", plain.app.traffic.port());
    let secure = format!("https://localhost:{}/x//%2F?y", secure.app.traffic.port());
    for (version, url, expected) in [
        // Thus curl prints 1.0.
        ("--http1.0", &plain, "1"),
        ("--http1.1", &plain, "1.1"),
        ("--http2-prior-knowledge", &plain, "2"),
        ("--http1.1", &secure, "1.1"),
        ("--http2", &secure, "2"),
    ] {
        let show = " %{http_version} %{http_code}";
        let arguments =
            ["-4", version, "--path-as-is", "--cacert", authority.path(), "-w", show, url.as_str()];
        // Where there is no curl, the other tests of this file have to do.
        let Some(output) = curl(&arguments).await else { return };
        assert_eq!(output, format!("/x//%2F?y {expected} 200"), "{version} {url}");
    }
}

#[tokio::test]
async fn a_proxy_with_tls_is_healthy_to_its_own_check_and_to_no_other_certificate() {
    let (ours, other) = (certificates(), certificates());
    let (chain, key) = (TempFile::new(&ours.chain), TempFile::new(&ours.key));
    let settings = [("TLS_CERT", chain.path()), ("TLS_KEY", key.path())];
    let process = process::start(refusing(), refusing(), &settings).await;
    let addr = process.addr().to_string();
    let check = |chain: &TempFile, key: &TempFile| {
        let settings =
            [("LISTEN_ADDR", addr.as_str()), ("TLS_CERT", chain.path()), ("TLS_KEY", key.path())];
        process::command(&settings).arg("--healthcheck").output().unwrap().status.code()
    };
    assert_eq!(check(&chain, &key), Some(0));
    let (chain, key) = (TempFile::new(&other.chain), TempFile::new(&other.key));
    assert_eq!(check(&chain, &key), Some(1));
}
