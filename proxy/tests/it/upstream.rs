//! Connections to upstreams: TLS, and a pooled one that died unnoticed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use proxy::exchange::Role;
use proxy::upstream::{Dns, Sent, Upstream, empty_body};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::process;
use crate::support::{in_time, refusing, target};

/// A private authority in PEM, and a server on `localhost` that it vouches for.
async fn tls_upstream() -> (String, SocketAddr) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
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
    (pem, addr)
}

#[tokio::test]
async fn an_https_baseline_is_asked_over_tls_when_the_system_trusts_it_and_only_then() {
    let (authority, addr) = tls_upstream().await;
    let file = std::env::temp_dir().join(format!("authority-{}.pem", addr.port()));
    std::fs::write(&file, authority).unwrap();
    let url = format!("https://localhost:{}", addr.port());
    let trusting = [("BASELINE_URL", url.as_str()), ("SSL_CERT_FILE", file.to_str().unwrap())];
    let (other, _) = tls_upstream().await;
    let other_file = std::env::temp_dir().join(format!("authority-{}-other.pem", addr.port()));
    std::fs::write(&other_file, other).unwrap();
    let distrusting =
        [("BASELINE_URL", url.as_str()), ("SSL_CERT_FILE", other_file.to_str().unwrap())];
    for (settings, status, body) in [(trusting, "200", "secure"), (distrusting, "502", "baseline")]
    {
        let proxy = process::start(refusing().await, refusing().await, &settings).await;
        let mut answer = String::new();
        in_time(proxy.request().await.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(body), "{answer}");
    }
    std::fs::remove_file(file).unwrap();
    std::fs::remove_file(other_file).unwrap();
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
        let upstream =
            Upstream::new(Role::Baseline, target(addr), Duration::from_secs(5), Dns::default())
                .unwrap();
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
