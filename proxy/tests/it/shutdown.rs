//! The end: no new connections, requests in flight finish within a bound.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::{fixed, hung, in_time, json, proxy, read_head, refusing, upstream};

#[tokio::test]
async fn a_request_in_flight_is_answered_and_new_connections_are_refused() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let baseline = upstream(move |_| {
        let (arrived, mut released) = (arrived.clone(), released.clone());
        async move {
            arrived.send(()).await.unwrap();
            released.wait_for(|go| *go).await.unwrap();
            json("{}")
        }
    })
    .await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    in_time(arrivals.recv()).await.unwrap();
    let addr = proxy.app.traffic;
    let shutdown = tokio::spawn(proxy.app.shutdown());
    crate::eventually!(TcpStream::connect(addr).await.is_err());
    assert!(!shutdown.is_finished());
    release.send(true).unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(in_time(shutdown).await.unwrap().cut, 0);
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_timeout_is_cut() {
    let proxy = proxy(hung().await.addr, refusing(), |config| {
        config.drain_timeout = Duration::from_millis(100);
    })
    .await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    crate::eventually!(proxy.metric("mirror_requests_in_flight", &[]).await == 1.0);
    assert_eq!(in_time(proxy.app.shutdown()).await.cut, 1);
}

#[tokio::test]
async fn while_it_drains_it_is_not_ready() {
    let proxy = proxy(hung().await.addr, refusing(), |config| {
        config.admin = Some(config.listen);
        config.drain_timeout = Duration::from_millis(500);
    })
    .await;
    let admin = format!("http://{}/readyz", proxy.app.admin.unwrap());
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(proxy.client.get(&admin).send().await.unwrap().status(), 200);
    let shutdown = tokio::spawn(proxy.app.shutdown());
    crate::eventually!(match proxy.client.get(&admin).send().await {
        Ok(response) => response.status() == 503,
        Err(_) => false,
    });
    in_time(shutdown).await.unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.drain_timeout = Duration::from_secs(3600);
    })
    .await;
    proxy.get("/").await;
    let _idle = proxy.connect().await;
    assert_eq!(in_time(proxy.app.shutdown()).await.cut, 0);
}

#[tokio::test]
async fn for_the_drain_delay_it_is_not_ready_and_serves_all_the_same() {
    let delay = Duration::from_millis(500);
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.drain_delay = delay;
        config.drain_timeout = Duration::from_millis(100);
    })
    .await;
    let url = |path: &str| format!("http://{}{path}", proxy.app.traffic);
    let (ready, traffic) = (url("/readyz"), url("/"));
    assert_eq!(crate::support::client().get(&ready).send().await.unwrap().status(), 200);
    let begun = std::time::Instant::now();
    let shutdown = tokio::spawn(proxy.app.shutdown());
    let mut served = 0;
    loop {
        // A new client each time, and with it a new connection.
        let ask = |url: &str| crate::support::client().get(url).send();
        let Ok(answer) = ask(&ready).await else { break };
        let Ok(traffic) = ask(&traffic).await else { break };
        if answer.status() == 503 {
            assert_eq!(traffic.status(), 200);
            served += 1;
        }
    }
    assert!(served > 0, "nothing was served while it was not ready");
    assert!(begun.elapsed() >= delay, "it stopped before its time");
    assert_eq!(in_time(shutdown).await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_connection_that_was_taken_is_answered_though_its_first_request_comes_after_the_end_began()
 {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |_| {}).await;
    let mut client = proxy.connect().await;
    let addr = proxy.app.traffic;
    let shutdown = tokio::spawn(proxy.app.shutdown());
    crate::eventually!(TcpStream::connect(addr).await.is_err());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("connection: close"), "{head}");
    assert_eq!(in_time(shutdown).await.unwrap().cut, 0);
}

#[tokio::test]
async fn from_the_order_to_stop_on_an_answer_says_that_its_connection_ends() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.drain_delay = Duration::from_secs(3600);
    })
    .await;
    let mut client = proxy.connect().await;
    let mut ask = async || {
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let head = in_time(read_head(&mut client)).await;
        let mut body = [0; 2];
        in_time(client.read_exact(&mut body)).await.unwrap();
        head
    };
    assert!(!ask().await.contains("connection:"));
    let shutdown = tokio::spawn(proxy.app.shutdown());
    tokio::task::yield_now().await;
    assert!(ask().await.contains("connection: close"));
    assert_eq!(in_time(client.read(&mut [0])).await.unwrap(), 0, "and it does");
    shutdown.abort();
}
