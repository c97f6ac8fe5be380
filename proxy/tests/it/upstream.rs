//! Connections to upstreams: TLS, and a pooled one that died unnoticed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use proxy::exchange::Role;
use proxy::listen::tls::Identity;
use proxy::upstream::{Dns, Sent, Trust, Upstream, empty_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::certificates::{Certificates, TempFile, certificates};
use crate::process;
use crate::support::{in_time, refusing, target};

/// A server on `localhost` that a private authority vouches for; the authority in PEM.
async fn tls_upstream() -> (String, SocketAddr) {
    let Certificates { authority, chain, key } = certificates();
    let acceptor = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap().acceptor();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust it breaks the handshake off.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecure";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (authority, addr)
}

#[tokio::test]
async fn an_https_baseline_of_a_private_authority_is_asked_when_the_setting_names_it() {
    let (authority, addr) = tls_upstream().await;
    let file = TempFile::new(&authority);
    let url = format!("https://localhost:{}", addr.port());
    let settings = [("BASELINE_URL", url.as_str()), ("UPSTREAM_CA", file.path())];
    let proxy = process::start(refusing(), refusing(), &settings).await;
    let mut answer = String::new();
    in_time(proxy.request().await.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("secure"), "{answer}");
}

#[tokio::test]
async fn an_https_baseline_is_asked_over_tls_when_the_system_trusts_it_and_only_then() {
    let (authority, addr) = tls_upstream().await;
    let file = TempFile::new(&authority);
    let url = format!("https://localhost:{}", addr.port());
    let trusting = [("BASELINE_URL", url.as_str()), ("SSL_CERT_FILE", file.path())];
    let (other, _) = tls_upstream().await;
    let other_file = TempFile::new(&other);
    let distrusting = [("BASELINE_URL", url.as_str()), ("SSL_CERT_FILE", other_file.path())];
    for (settings, status, body) in [(trusting, "200", "secure"), (distrusting, "502", "baseline")]
    {
        let proxy = process::start(refusing(), refusing(), &settings).await;
        let mut answer = String::new();
        in_time(proxy.request().await.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(body), "{answer}");
    }
}

/// Answers one request on a connection, closes it when told, says so, and answers on a second.
fn closes_when_told(told: mpsc::Receiver<()>, done: mpsc::Sender<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            // An error says that the test is over, which ends the connection as well.
            let _told = told.recv();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            let _heard = done.send(());
        }
    });
    addr
}

#[test]
fn a_request_that_a_dead_pooled_connection_never_took_is_sent_on_another() {
    // Sockets are looked at after each task, and a task that is always ready stands before the
    // connection's own: it learns of the end after the request was handed to it, and before it
    // has written any of it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (tell, told) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let addr = closes_when_told(told, done);
        let upstream = Upstream::new(
            Role::Baseline,
            target(addr),
            &Trust::default(),
            Duration::from_secs(5),
            Dns::default(),
        );
        let upstream = upstream.unwrap();
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        for round in 0..2 {
            let request = Request::get("/").body(empty_body()).unwrap();
            let sent = Sent::default();
            let response =
                in_time(upstream.send(request, &sent, false)).await.unwrap_or_else(|error| {
                    panic!("request {round}: {error:?}");
                });
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            tell.send(()).unwrap();
            is_done.recv().unwrap();
        }
    });
}
