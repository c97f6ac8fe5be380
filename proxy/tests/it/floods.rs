//! HTTP/2 connections that flood the proxy with frames: each ends, and others are served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proxy::limits::pace::Pace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::eventually;
use crate::support::{Proxy, fixed, frame, hung, in_time, proxy, refusing, text, upstream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What the sockets' buffers on the way may take, far less than a flood that is never held up.
const BUFFERS: usize = 64 << 20;
/// `POST http://x/`, whose body is still to come.
const POST: &[u8] = b"\x83\x86\x84\x01\x01x";
const CLOCK: Duration = Duration::from_millis(500);
/// When another clock is the one that is looked at.
const LATER: Duration = Duration::from_secs(3600);

/// A proxy with short clocks before a baseline that answers. A connection without a request ends by
/// the one for heads.
async fn flooded(head: Duration) -> Proxy {
    let baseline = fixed("{}").await;
    proxy(baseline.addr, refusing(), |config| {
        let limits = &mut config.forward.limits;
        limits.head_timeout = head;
        limits.write = Pace { period: CLOCK, rate: 1000 };
    })
    .await
}

async fn refused(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric("mirror_refused_total", &[&format!("reason=\"{reason}\"")]).await
}

async fn attacker(proxy: &Proxy, opening: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(proxy.app.traffic).await.unwrap();
    stream.write_all(&[PREFACE, opening].concat()).await.unwrap();
    stream
}

/// Writes a frame again and again, reading nothing, until the connection ends; how many bytes went.
/// Another client is served meanwhile.
async fn flood(proxy: &Proxy, opening: &[u8], frame: &[u8]) -> usize {
    let mut stream = attacker(proxy, opening).await;
    let frames = frame.repeat(500);
    let flooding = tokio::spawn(async move {
        let mut sent = 0;
        while let Ok(written) = stream.write(&frames[sent % frames.len()..]).await {
            sent += written;
        }
        sent
    });
    assert_eq!(in_time(proxy.get("/")).await.status(), 200);
    in_time(flooding).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_ask_for_nothing_are_bounded_in_a_time_be_their_answers_read_or_not() {
    let kinds = [
        ("PING", frame(6, 0, 0, &[0; 8])),
        ("SETTINGS", frame(4, 0, 0, &[])),
        ("PRIORITY", frame(2, 0, 3, &[0, 0, 0, 0, 1])),
        ("unknown", frame(0x42, 0, 0, b"unknown")),
    ];
    for (name, frame) in kinds {
        let proxy = flooded(LATER).await;
        let sent = flood(&proxy, b"", &frame).await;
        assert!(sent < BUFFERS, "{name}: {sent}");
        eventually!(refused(&proxy, "flood").await + refused(&proxy, "write_timeout").await == 1.0);
        let (mut from, mut to) = attacker(&proxy, b"").await.into_split();
        let reading =
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
        let frames = frame.repeat(500);
        let mut sent = 0;
        while in_time(to.write_all(&frames)).await.is_ok() {
            sent += 500;
            assert!(sent < 1_000_000, "{name}: {sent}");
        }
        reading.abort();
        eventually!(refused(&proxy, "flood").await + refused(&proxy, "write_timeout").await == 2.0);
        assert!(refused(&proxy, "flood").await > 0.0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_updates_do_not_keep_a_connection_without_a_request() {
    let proxy = flooded(CLOCK).await;
    flood(&proxy, b"", &frame(8, 0, 0, &[0, 0, 0, 1])).await;
    eventually!(refused(&proxy, "head_timeout").await == 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn continuations_and_empty_data_without_an_end_are_cut_and_counted() {
    let opened = frame(1, 4, 1, POST);
    let open_head = frame(1, 0, 1, POST);
    for (name, opening, frame) in [
        ("CONTINUATION", open_head, frame(9, 0, 1, b"\0\x01a\x01b")),
        ("DATA", opened, frame(0, 0, 1, &[])),
    ] {
        let proxy = flooded(LATER).await;
        let sent = flood(&proxy, &opening, &frame).await;
        assert!(sent < BUFFERS, "{name}: {sent}");
        eventually!(refused(&proxy, "flood").await == 1.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_taken_back_at_once_are_cut_before_many_reach_the_baseline() {
    let baseline = hung().await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let pair = |stream| [frame(1, 5, stream, POST), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
    let mut stream = attacker(&proxy, b"").await;
    // It may be closed before it has sent them all.
    let requests = (0..10_000).flat_map(|index| pair(2 * index + 1)).collect::<Vec<_>>();
    in_time(stream.write_all(&requests)).await.ok();
    in_time(stream.read_to_end(&mut Vec::new())).await.ok();
    eventually!(refused(&proxy, "flood").await + refused(&proxy, "resets").await == 1.0);
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
    assert!(baseline.count() < 1000, "{}", baseline.count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_uploads_that_stop_end_by_the_clock_and_others_are_served() {
    const CONNECTIONS: u32 = 24;
    const STREAMS: u32 = 199;
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.forward.limits.read = Pace { period: 4 * CLOCK, rate: 1000 };
    })
    .await;
    let opening = (0..STREAMS).flat_map(|index| frame(1, 4, 2 * index + 1, POST));
    let opening = opening.collect::<Vec<_>>();
    let mut attackers = Vec::new();
    for _ in 0..CONNECTIONS {
        attackers.push(attacker(&proxy, &opening).await);
    }
    let other = reqwest::Client::builder()
        .no_proxy()
        .local_address("127.0.0.2".parse::<std::net::IpAddr>().unwrap());
    let other = other.build().unwrap();
    assert_eq!(in_time(other.get(proxy.url("/")).send()).await.unwrap().status(), 200);
    eventually!(
        refused(&proxy, "read_timeout").await + refused(&proxy, "client_requests_in_flight").await
            == f64::from(CONNECTIONS * STREAMS)
    );
    eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_while_answers_come_are_no_flood() {
    // As clients do that measure their connection: one for each piece of an answer.
    let baseline = upstream(|_| async { text("x".repeat(1 << 20)) }).await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let stream = attacker(&proxy, b"").await;
    let (mut from, mut to) = stream.into_split();
    // A window for all of it.
    let window = frame(8, 0, 0, &(1_u32 << 30).to_be_bytes());
    to.write_all(&[frame(4, 0, 0, &[0, 4, 0x3f, 0xff, 0xff, 0xff]), window].concat())
        .await
        .unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&read);
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            counting.fetch_add(length, Ordering::Relaxed);
        }
    });
    for request in 0..16 {
        let get = frame(1, 5, 2 * request + 1, b"\x82\x86\x84\x01\x01x");
        to.write_all(&get).await.unwrap();
        eventually!(read.load(Ordering::Relaxed) > (request as usize + 1) << 20);
        to.write_all(&frame(6, 0, 0, &[0; 8]).repeat(900)).await.unwrap();
    }
    assert_eq!(in_time(proxy.get("/")).await.status(), 200);
    assert_eq!(refused(&proxy, "flood").await, 0.0);
    drop(to);
    in_time(reading).await.unwrap();
}
