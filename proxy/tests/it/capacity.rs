//! A candidate that cannot keep up, hangs, or is not there: what it still gets, and what it costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::eventually;
use crate::support::{self, fixed, hung, in_time, json, proxy, upstream};

#[tokio::test]
async fn a_candidate_that_hangs_gets_fewer_copies_at_once_and_all_again_when_it_is_well() {
    let ill = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&ill);
    let candidate = upstream(move |_| {
        let ill = switch.load(Ordering::SeqCst);
        async move { if ill { std::future::pending().await } else { json("{}") } }
    })
    .await;
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.mirror.concurrency = 8;
        config.mirror.queue_size = 8;
        config.mirror.timeout = Duration::from_millis(50);
        config.mirror.unreachable_after = 5;
    })
    .await;
    assert_eq!(proxy.metric("mirror_copies_limit", &[]).await, 8.0);
    eventually!({
        proxy.get("/").await;
        proxy.metric("mirror_copies_limit", &[]).await == 1.0
    });
    assert!(proxy.metric("mirror_copies_in_flight", &[]).await <= 1.0);
    assert_eq!(proxy.outcome("candidate_unreachable").await, 0.0, "it takes connections");
    ill.store(false, Ordering::SeqCst);
    eventually!({
        proxy.get("/").await;
        proxy.outcome("matched").await > 0.0
    });
    eventually!(proxy.metric("mirror_queue_length", &[]).await == 0.0);
    let lost = proxy.outcome("dropped_queue_full").await + proxy.outcome("expired_in_queue").await;
    for _ in 0..50 {
        in_time(proxy.get("/")).await;
    }
    let now = proxy.outcome("dropped_queue_full").await + proxy.outcome("expired_in_queue").await;
    assert!(now - lost <= 1.0, "one after the other they all fit, even with one at once");
}

#[tokio::test]
async fn a_candidate_that_is_slow_but_steady_gets_every_copy() {
    const REQUESTS: usize = 400;
    let candidate = upstream(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        json("{}")
    })
    .await;
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.mirror.concurrency = 64;
        config.mirror.queue_size = REQUESTS;
    })
    .await;
    let calls: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let (client, url) = (proxy.client.clone(), proxy.url("/"));
            tokio::spawn(async move { client.get(url).send().await.unwrap().status() })
        })
        .collect();
    for call in calls {
        assert_eq!(in_time(call).await.unwrap(), 200);
    }
    eventually!(proxy.outcome("matched").await == REQUESTS as f64);
    assert_eq!(proxy.metric("mirror_copies_limit", &[]).await, 64.0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn under_a_hung_candidate_memory_and_descriptors_stay_flat() {
    let candidate = hung().await;
    let settings = [
        ("MIRROR_TIMEOUT", "100ms"),
        ("MIRROR_CONCURRENCY", "16"),
        ("ABORT_CONSECUTIVE", "1000000"),
    ];
    let process = crate::process::start(fixed("{}").await.addr, candidate.addr, &settings).await;
    let round = || async {
        for _ in 0..1000 {
            support::read_head(&mut process.request().await).await;
        }
        (process.resident_kib(), process.descriptors())
    };
    let (before, _) = in_time(round()).await;
    for _ in 0..3 {
        let (memory, descriptors) = in_time(round()).await;
        assert!(memory < before + (16 << 10), "{before} KiB before, {memory} KiB now");
        assert!(descriptors < 100, "{descriptors} descriptors");
    }
}

#[tokio::test]
async fn a_candidate_that_refuses_is_only_probed_and_gets_all_copies_when_it_is_back() {
    let (socket, addr) = support::unheard();
    let proxy =
        proxy(fixed("{}").await.addr, addr, |config| config.mirror.unreachable_after = 5).await;
    for _ in 0..5 {
        proxy.expect_outcome("/", "candidate_failed").await;
    }
    let mut requests = 5.0;
    eventually!({
        proxy.get("/").await;
        requests += 1.0;
        proxy.outcome("candidate_unreachable").await >= 50.0
    });
    eventually!(proxy.metric("mirror_outcomes_total", &[]).await == requests);
    let tried = proxy.metric("mirror_requests_total", &["target=\"candidate\""]).await;
    assert_eq!(tried, proxy.outcome("candidate_failed").await);
    assert!(tried < requests / 2.0, "{tried} of {requests} were tried");
    // What was not tried is no evidence; what was is.
    assert_eq!(proxy.status().await["breachStreak"], tried);

    let listener = socket.listen(1024).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while !support::read_head(&mut stream).await.is_empty() {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        content-length: 2\r\n\r\n{}";
                    tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
                }
            });
        }
    });
    eventually!({
        proxy.get("/").await;
        proxy.outcome("matched").await > 0.0
    });
    let before = proxy.outcome("candidate_unreachable").await;
    for _ in 0..20 {
        proxy.expect_outcome("/", "matched").await;
    }
    assert_eq!(proxy.outcome("candidate_unreachable").await, before);
    assert_eq!(proxy.status().await["breachStreak"], 0);
}

#[tokio::test]
async fn a_candidate_to_which_nothing_gets_through_is_only_probed() {
    let (silent, _queued) = support::silent().await;
    let proxy = proxy(fixed("{}").await.addr, silent, |config| {
        config.mirror.timeout = Duration::from_millis(50);
        config.mirror.unreachable_after = 5;
    })
    .await;
    eventually!({
        in_time(proxy.get("/")).await;
        proxy.outcome("candidate_unreachable").await > 0.0
    });
    // Whichever is first, the deadline or the time to connect, which are the same.
    let tried = proxy.outcome("candidate_timeout").await + proxy.outcome("candidate_failed").await;
    assert!(tried >= 5.0, "{tried}");
}

#[tokio::test]
async fn probes_alone_trip_the_guardrail_that_waits_for_more_breaches() {
    let addr = support::refusing();
    let proxy = proxy(fixed("{}").await.addr, addr, |config| {
        config.mirror.unreachable_after = 5;
        config.guardrail.consecutive = 8;
        config.guardrail.cooldown = Duration::from_secs(3600);
    })
    .await;
    eventually!({
        proxy.get("/").await;
        proxy.status().await["state"] == "tripped"
    });
    assert!(proxy.outcome("candidate_unreachable").await > 0.0);
    assert_eq!(proxy.outcome("candidate_failed").await, 8.0);
}
