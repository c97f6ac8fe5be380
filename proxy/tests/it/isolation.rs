//! The client comes first: nothing on the mirror side slows, changes or fails its response.

use std::sync::Arc;
use std::time::Duration;

use proxy::mirror::{Failpoint, Stage};

use crate::eventually;
use crate::support::{fixed, hung, in_time, probed, proxy, text, upstream};

const STAGES: [Stage; 10] = [
    Stage::Admit,
    Stage::CaptureRequest,
    Stage::Submit,
    Stage::CaptureReply,
    Stage::Complete,
    Stage::Receive,
    Stage::Call,
    Stage::Compare,
    Stage::Look,
    Stage::Observe,
];

#[tokio::test]
async fn a_panic_at_any_stage_of_the_mirror_side_changes_no_byte_and_is_counted() {
    for faulty in STAGES {
        let body: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let answer = body.clone();
        let baseline = upstream(move |_| {
            let answer = answer.clone();
            async move { text(answer) }
        })
        .await;
        let probe: Failpoint =
            Arc::new(move |stage| assert!(stage != faulty, "planted at {stage:?}"));
        let proxy = probed(baseline.addr, fixed("{}").await.addr, |_| {}, Some(probe)).await;
        for round in 1..=3 {
            let response = in_time(proxy.post("/", body.clone())).await;
            assert_eq!(response.status(), 200, "{faulty:?}");
            assert_eq!(in_time(response.bytes()).await.unwrap(), body, "{faulty:?}");
            assert_eq!(baseline.seen().last().unwrap().body, body, "{faulty:?}");
            eventually!(proxy.outcome("internal_error").await == f64::from(round));
        }
        assert_eq!(proxy.outcomes().await.len(), 1, "{faulty:?}");
        assert_eq!(proxy.status().await["breachStreak"], 0, "never held against the candidate");
        let held = proxy.metric("mirror_buffered_bytes", &[]).await;
        assert_eq!(
            (held, proxy.metric("mirror_copies_in_flight", &[]).await),
            (0.0, 0.0),
            "{faulty:?}"
        );
    }
}

#[tokio::test]
async fn with_all_workers_parked_and_the_queue_full_clients_are_served() {
    let baseline = upstream(|seen| async move { text(seen.body) }).await;
    let proxy = proxy(baseline.addr, hung().await.addr, |config| {
        config.mirror.concurrency = 2;
        config.mirror.queue_size = 2;
        config.mirror.timeout = Duration::from_secs(3600);
    })
    .await;
    for round in 0..50_u8 {
        let body = vec![round; 50_000];
        let response = in_time(proxy.post("/", body.clone())).await;
        assert_eq!(in_time(response.bytes()).await.unwrap(), body);
    }
    assert_eq!(proxy.outcome("dropped_queue_full").await, 46.0);
}

#[tokio::test]
async fn a_compare_runtime_that_is_gone_costs_the_client_nothing() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    // A small body is compared where it was read.
    let large = |digit: &'static str| {
        crate::support::upstream(move |_| async move { text(digit.repeat(20_000)) })
    };
    let config = crate::support::config(large("1").await.addr, large("2").await.addr);
    let app = proxy::app::start(config, runtime.handle().clone()).await.unwrap();
    runtime.shutdown_background();
    let proxy = crate::support::Proxy { app, client: crate::support::client() };
    for _ in 0..10 {
        assert_eq!(in_time(proxy.get("/")).await.status(), 200);
    }
    eventually!(proxy.outcome("internal_error").await == 10.0);
}
