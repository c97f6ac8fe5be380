//! Connections that leave HTTP: WebSocket and others.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::certificates::certificates;
use crate::eventually;
use crate::support::{fixed, in_time, proxy, raw, read_head, refusing, upstream, writes};

/// A WebSocket server that sends back what it gets.
async fn echo() -> SocketAddr {
    raw(|stream| async move {
        let (mut out, mut back) = accept_async(stream).await.unwrap().split();
        while let Some(Ok(message)) = back.next().await {
            if message.is_text() || message.is_binary() {
                out.send(message).await.unwrap();
            }
        }
    })
    .await
}

async fn say<S>(socket: &mut WebSocketStream<S>, text: &str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::text(text)).await.unwrap();
    let back = in_time(socket.next()).await.unwrap().unwrap();
    assert_eq!(back.into_text().unwrap(), text);
}

#[tokio::test]
async fn a_websocket_passes_both_ways_and_is_counted_as_not_mirrored() {
    let candidate = fixed("{}").await;
    let proxy = proxy(echo().await, candidate.addr, |_| {}).await;
    let (mut socket, answer) =
        in_time(client_async("ws://shop.example/chat", proxy.connect().await)).await.unwrap();
    assert_eq!(answer.status(), 101);
    say(&mut socket, "hello").await;
    say(&mut socket, &"a long message".repeat(100_000)).await;
    assert_eq!(proxy.metric("mirror_requests_in_flight", &[]).await, 1.0);
    socket.close(None).await.unwrap();
    while in_time(socket.next()).await.is_some() {}
    drop(socket);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
    assert_eq!(proxy.outcomes().await, [("upgrade".to_owned(), 1.0)]);
    assert_eq!(candidate.count(), 0);
}

#[tokio::test]
async fn a_websocket_passes_over_tls() {
    let certificates = certificates();
    let identity = certificates.identity();
    let proxy = proxy(echo().await, refusing(), |config| config.tls = Some(identity)).await;
    let io = certificates.connect(proxy.app.traffic, &["http/1.1"]).await;
    let (mut socket, _) = in_time(client_async("wss://localhost/chat", io)).await.unwrap();
    say(&mut socket, "hello").await;
}

const ASK: &[u8] =
    b"GET /feed HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: feed/2\r\n\r\nearly";

#[tokio::test]
async fn any_protocol_passes_byte_for_byte_and_each_side_may_end_first() {
    let baseline = raw(|mut stream| async move {
        let head = read_head(&mut stream).await.to_lowercase();
        assert!(head.contains("connection: upgrade\r\n"), "{head}");
        assert!(head.contains("upgrade: feed/2\r\n"), "{head}");
        let answer =
            b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: feed/2\r\n\r\n\x00first\xff";
        stream.write_all(answer).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    })
    .await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(ASK).await.unwrap();
    let head = in_time(read_head(&mut client)).await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: feed/2\r\n"));
    client.write_all(b", late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut back = Vec::new();
    in_time(client.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"\x00first\xffearly, late");
}

#[tokio::test]
async fn a_baseline_that_does_not_switch_answers_as_usual() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let ask = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    for _ in 0..2 {
        client.write_all(ask).await.unwrap();
        let head = in_time(read_head(&mut client)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(!head.to_lowercase().contains("upgrade"), "{head}");
        let mut body = [0; 2];
        in_time(client.read_exact(&mut body)).await.unwrap();
    }
    assert_eq!(proxy.outcomes().await, [("upgrade".to_owned(), 2.0)]);
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_502() {
    let switches =
        writes(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
    let proxy = proxy(switches, fixed("{}").await.addr, |_| {}).await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["reason"], "invalid response");
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_not_passed_on_so_that_no_request_is_out_of_sight() {
    let baseline = upstream(|seen| async move {
        assert!(!seen.headers.contains_key("upgrade"), "{:?}", seen.headers);
        assert!(!seen.headers.contains_key("http2-settings"), "{:?}", seen.headers);
        crate::support::json("{}")
    })
    .await;
    let proxy = proxy(baseline.addr, fixed("{}").await.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    let ask = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    client.write_all(ask).await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    eventually!(proxy.outcome("matched").await == 1.0);
}

#[tokio::test]
async fn a_drain_waits_for_tunnels_and_cuts_those_that_take_too_long() {
    for (limit, cut) in [(Duration::from_secs(20), 0), (Duration::from_millis(50), 1)] {
        let proxy = proxy(echo().await, refusing(), |config| config.drain_timeout = limit).await;
        let addr = proxy.app.traffic;
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut socket, _) = in_time(client_async("ws://x/", stream)).await.unwrap();
        say(&mut socket, "before").await;
        let drain = tokio::spawn(proxy.app.shutdown());
        eventually!(TcpStream::connect(addr).await.is_err());
        if cut == 0 {
            say(&mut socket, "while it drains").await;
            assert!(!drain.is_finished());
            socket.close(None).await.unwrap();
        }
        while let Some(Ok(_)) = in_time(socket.next()).await {}
        drop(socket);
        assert_eq!(in_time(drain).await.unwrap().cut, cut);
    }
}
