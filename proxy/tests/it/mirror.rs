//! What becomes of copies: who gets one, what it looks like, and the outcome of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::eventually;
use crate::support::{
    Proxy, fixed, hung, in_time, json, proxy, raw, read_head, refusing, status, text, upstream,
    writes,
};

#[tokio::test]
async fn a_copy_is_marked_and_carries_method_target_headers_and_body() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let request = proxy.client.put(proxy.url("/a?b=c")).header("x-own", "1").body("the body");
    request.send().await.unwrap();
    eventually!(candidate.count() == 1);
    let (original, copy) = (&baseline.seen()[0], &candidate.seen()[0]);
    assert_eq!(copy.headers["x-mirror"], "1");
    assert!(!original.headers.contains_key("x-mirror"), "the client's own request is not marked");
    assert_eq!((&copy.method, copy.target.as_str()), (&http::Method::PUT, "/a?b=c"));
    assert_eq!(
        (&copy.body[..], &copy.headers["x-own"]),
        (&b"the body"[..], &original.headers["x-own"])
    );
    assert_eq!(copy.headers["x-forwarded-for"], original.headers["x-forwarded-for"]);
}

#[tokio::test]
async fn the_mark_can_be_another_header_or_none() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let none = proxy(baseline.addr, candidate.addr, |config| config.mirror.mark = None).await;
    none.expect_outcome("/", "matched").await;
    assert!(!candidate.seen()[0].headers.contains_key("x-mirror"));
    let other = proxy(baseline.addr, candidate.addr, |config| {
        config.mirror.mark = Some(("x-shadow".parse().unwrap(), "yes".parse().unwrap()));
    })
    .await;
    other.expect_outcome("/", "matched").await;
    assert_eq!(candidate.seen()[1].headers["x-shadow"], "yes");
}

#[tokio::test]
async fn a_marked_request_is_forwarded_and_not_mirrored_whatever_its_value() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let request = proxy.client.get(proxy.url("/")).header("X-Mirror", "something else");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(proxy.outcomes().await, [("already_marked".to_owned(), 1.0)]);
    assert_eq!((baseline.count(), candidate.count()), (1, 0));
}

#[tokio::test]
async fn expect_is_not_sent_with_a_copy() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    let request =
        b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi";
    client.write_all(request).await.unwrap();
    eventually!(candidate.count() == 1);
    assert!(!candidate.seen()[0].headers.contains_key("expect"));
    assert_eq!(candidate.seen()[0].body, "hi");
}

#[tokio::test]
async fn a_fraction_of_0_mirrors_none_and_a_share_is_about_itself() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let none = proxy(baseline.addr, candidate.addr, |config| config.mirror.fraction = 0.0).await;
    for _ in 0..20 {
        none.get("/").await;
    }
    assert_eq!(none.outcomes().await, [("not_sampled".to_owned(), 20.0)]);
    assert_eq!(candidate.count(), 0);
    let half = proxy(baseline.addr, candidate.addr, |config| config.mirror.fraction = 0.5).await;
    for _ in 0..200 {
        half.get("/").await;
    }
    // Ten standard deviations to either side would be 71; a fair share is never that far off.
    assert!((half.outcome("not_sampled").await - 100.0).abs() < 70.0);
}

#[tokio::test]
async fn only_the_methods_of_the_list_are_mirrored() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.mirror.methods = Some(vec![http::Method::GET]);
    })
    .await;
    proxy.post("/", "x").await;
    assert_eq!(proxy.outcomes().await, [("method_excluded".to_owned(), 1.0)]);
    proxy.expect_outcome("/", "matched").await;
}

#[tokio::test]
async fn an_upgrade_is_counted_and_not_mirrored() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let request = proxy.client.get(proxy.url("/")).header("connection", "upgrade");
    request.header("upgrade", "websocket").send().await.unwrap();
    assert_eq!(proxy.outcomes().await, [("upgrade".to_owned(), 1.0)]);
}

#[tokio::test]
async fn a_copy_goes_out_beside_the_baseline_call_not_after_it() {
    let candidate = fixed("{}").await;
    let proxy = proxy(hung().await.addr, candidate.addr, |_| {}).await;
    let client = proxy.client.clone();
    let url = proxy.url("/");
    let waiting = tokio::spawn(async move { client.post(url).body("x").send().await });
    eventually!(candidate.count() == 1);
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn a_copy_outlives_the_client() {
    let candidate = upstream(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        json("{}")
    })
    .await;
    let proxy = proxy(hung().await.addr, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually!(candidate.count() == 1);
    drop(client);
    eventually!(proxy.outcome("client_aborted").await == 1.0);
    assert_eq!(proxy.outcomes().await.len(), 1);
    let answered = ["target=\"candidate\""];
    eventually!(proxy.metric("mirror_latency_seconds_count", &answered).await == 1.0);
}

#[tokio::test]
async fn equal_and_different_answers_are_told_apart() {
    let baseline = fixed(r#"{"a":1,"b":2,"timestamp":1}"#).await;
    let same = fixed(r#"{"b":2.0,"a":1,"timestamp":2}"#).await;
    let other = fixed(r#"{"a":1,"b":3}"#).await;
    let matching = proxy(baseline.addr, same.addr, |_| {}).await;
    matching.expect_outcome("/", "matched").await;
    assert_eq!(matching.metric("mirror_diff_mismatches_total", &[]).await, 0.0);
    let differing = proxy(baseline.addr, other.addr, |_| {}).await;
    differing.expect_outcome("/x", "mismatched").await;
    let route = ["route=\"GET /x\""];
    assert_eq!(differing.metric("mirror_diff_mismatches_total", &route).await, 1.0);
}

#[tokio::test]
async fn a_different_status_is_a_mismatch() {
    let error = upstream(|_| async { status(404) }).await;
    let proxy = proxy(upstream(|_| async { status(200) }).await.addr, error.addr, |_| {}).await;
    proxy.expect_outcome("/", "mismatched").await;
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_mirrored_and_passes_whole() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy =
        proxy(baseline.addr, candidate.addr, |config| config.mirror.max_body_bytes = 10).await;
    proxy.post("/", "just right").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    proxy.post("/", "one too many").await;
    let chunks = ["some ", "chunks"].map(Ok::<_, std::io::Error>);
    let stream = reqwest::Body::wrap_stream(Chunks(chunks.into_iter()));
    proxy.post("/", stream).await;
    assert_eq!(proxy.outcome("body_too_large").await, 2.0);
    let bodies: Vec<_> = baseline.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["just right", "one too many", "some chunks"]);
    assert_eq!(candidate.count(), 1);
    assert_eq!(proxy.metric("mirror_buffered_bytes", &[]).await, 0.0);
}

/// A stream that is always ready.
struct Chunks<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Chunks<I> {
    type Item = I::Item;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

#[tokio::test]
async fn without_bodies_copies_carry_none_and_none_is_too_large() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.mirror.body = false;
        config.mirror.max_body_bytes = 10;
    })
    .await;
    proxy.post("/", "much more than ten bytes").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    let copy = &candidate.seen()[0];
    assert!(copy.body.is_empty() && !copy.headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_response_over_the_cap_is_judged_by_length_and_hash() {
    let (long, other) = ("[1,2,3,4,5,6,7,8,9]", "[1,2,3,4,5,6,7,8,0]");
    let (baseline, same, differing) = (fixed(long).await, fixed(long).await, fixed(other).await);
    let small = |config: &mut proxy::config::Config| config.mirror.max_body_bytes = 10;
    let matching = proxy(baseline.addr, same.addr, small).await;
    matching.expect_outcome("/", "matched").await;
    let too_large = proxy(baseline.addr, differing.addr, small).await;
    too_large.expect_outcome("/", "response_too_large").await;
    let plain = |body: &'static str| upstream(move |_| async move { text(body) });
    let mismatching = proxy(plain(long).await.addr, plain(other).await.addr, small).await;
    mismatching.expect_outcome("/", "mismatched").await;
}

#[tokio::test]
async fn each_way_a_candidate_fails_has_its_outcome() {
    let baseline = fixed("{}").await;
    for candidate in [
        refusing(),
        writes(b"garbage\r\n\r\n").await,
        writes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await,
        writes(b"").await,
    ] {
        let proxy = proxy(baseline.addr, candidate, |_| {}).await;
        proxy.expect_outcome("/", "candidate_failed").await;
        assert_eq!(proxy.metric("mirror_diff_mismatches_total", &[]).await, 0.0);
    }
}

fn short(config: &mut proxy::config::Config) {
    config.mirror.timeout = Duration::from_millis(300);
}

async fn endless_body() -> std::net::SocketAddr {
    raw(|mut stream| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn a_hung_candidate_and_an_endless_one_time_out() {
    let baseline = fixed("{}").await;
    for candidate in [hung().await.addr, endless_body().await] {
        let proxy = proxy(baseline.addr, candidate, short).await;
        proxy.expect_outcome("/", "candidate_timeout").await;
        eventually!(proxy.status().await["breachStreak"] == 1);
    }
}

#[tokio::test]
async fn an_endless_stream_on_both_sides_is_nobodys_failure() {
    let proxy = proxy(endless_body().await, endless_body().await, short).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    let reading = tokio::spawn(async move {
        let mut chunk = [0; 4096];
        while client.read(&mut chunk).await.is_ok_and(|n| n > 0) {}
    });
    eventually!(proxy.outcome("candidate_timeout").await == 1.0);
    assert_eq!(proxy.status().await["breachStreak"], 0);
    reading.abort();
}

#[tokio::test]
async fn a_hung_candidate_is_a_failure_beside_a_baseline_stream_without_end() {
    let proxy = proxy(endless_body().await, hung().await.addr, short).await;
    let mut client = proxy.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    let reading = tokio::spawn(async move {
        let mut chunk = [0; 4096];
        while client.read(&mut chunk).await.is_ok_and(|n| n > 0) {}
    });
    eventually!(proxy.outcome("candidate_timeout").await == 1.0);
    assert_eq!(proxy.status().await["breachStreak"], 1);
    reading.abort();
}

#[tokio::test]
async fn a_baseline_without_an_answer_leaves_nothing_to_compare() {
    let candidate = fixed("{}").await;
    let proxy = proxy(refusing(), candidate.addr, |_| {}).await;
    proxy.get("/").await;
    eventually!(proxy.outcome("baseline_failed").await == 1.0);
    proxy.post("/", "x").await;
    eventually!(proxy.outcome("baseline_failed").await == 2.0);
    assert_eq!(proxy.status().await["breachStreak"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_upload_is_counted() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        .await
        .unwrap();
    eventually!(proxy.metric("mirror_requests_total", &["target=\"baseline\""]).await == 1.0);
    drop(client);
    eventually!(proxy.outcome("client_aborted").await == 1.0);
    assert_eq!(candidate.count(), 0, "half a request is not sent");
}

#[tokio::test]
async fn a_baseline_that_answers_before_the_upload_ends_leaves_no_copy() {
    let baseline = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let candidate = fixed("{}").await;
    let proxy = proxy(baseline, candidate.addr, |_| {}).await;
    let mut client = proxy.connect().await;
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        .await
        .unwrap();
    let head = in_time(read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    drop(client);
    eventually!(!proxy.outcomes().await.is_empty());
    let outcomes = proxy.outcomes().await;
    assert!(
        ["body_incomplete", "client_aborted"].contains(&outcomes[0].0.as_str()),
        "{outcomes:?}"
    );
    assert_eq!(candidate.count(), 0);
}

/// A proxy whose only worker is busy with a candidate that never answers.
async fn parked(configure: impl FnOnce(&mut proxy::config::Config)) -> Proxy {
    let proxy = proxy(fixed("{}").await.addr, hung().await.addr, |config| {
        config.mirror.concurrency = 1;
        configure(config);
    })
    .await;
    proxy.get("/").await;
    eventually!(proxy.metric("mirror_copies_in_flight", &[]).await == 1.0);
    proxy
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_is_no_evidence() {
    let proxy = parked(|config| config.mirror.queue_size = 2).await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/").await.status(), 200);
    }
    assert_eq!(proxy.outcome("dropped_queue_full").await, 3.0);
    assert_eq!(proxy.metric("mirror_queue_length", &[]).await, 2.0);
    assert_eq!(proxy.status().await["breachStreak"], 0);
}

#[tokio::test]
async fn a_copy_that_waited_half_its_deadline_is_not_sent() {
    let proxy = parked(short).await;
    proxy.get("/").await;
    eventually!(proxy.outcome("expired_in_queue").await == 1.0);
    assert_eq!(proxy.metric("mirror_requests_total", &["target=\"candidate\""]).await, 1.0);
}

#[tokio::test]
async fn a_spent_budget_drops_and_counts_and_is_given_back() {
    let candidate = fixed("{}").await;
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.mirror.buffer_bytes = 10_000;
    })
    .await;
    proxy.post("/", vec![b'x'; 20_000]).await;
    assert_eq!(proxy.outcome("dropped_buffer_full").await, 1.0);
    proxy.expect_outcome("/", "matched").await;
    assert_eq!(proxy.metric("mirror_buffered_bytes", &[]).await, 0.0);
    let nothing = self::proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.mirror.buffer_bytes = 0;
    })
    .await;
    nothing.expect_outcome("/", "dropped_buffer_full").await;
}

#[expect(clippy::too_many_lines, reason = "one story, told in order")]
#[tokio::test]
async fn every_request_has_exactly_one_outcome_and_the_sums_close() {
    let mode = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&mode);
    let candidate = upstream(move |seen| {
        let differ = answers.load(Ordering::Relaxed);
        async move {
            match seen.target.as_str() {
                "/hang" => std::future::pending().await,
                "/large" => json("[9,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6]"),
                _ if differ => json("[2]"),
                _ => json("[1]"),
            }
        }
    })
    .await;
    let baseline = upstream(|seen| async move {
        match seen.target.as_str() {
            "/large" => json("[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6]"),
            "/slow" => std::future::pending().await,
            _ => json("[1]"),
        }
    })
    .await;
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.mirror.max_body_bytes = 30;
        config.mirror.concurrency = 1;
        config.mirror.queue_size = 1;
        config.mirror.timeout = Duration::from_millis(400);
        config.mirror.methods = Some(vec![http::Method::GET, http::Method::POST]);
        config.forward.baseline_timeout = Duration::from_millis(200);
    })
    .await;
    let mut received = 0.0;
    let mut expected = Vec::new();
    let mut count = |name: &'static str, n: f64| {
        received += n;
        expected.push((name.to_owned(), n));
    };
    proxy.expect_outcome("/", "matched").await;
    count("matched", 1.0);
    mode.store(true, Ordering::Relaxed);
    proxy.expect_outcome("/", "mismatched").await;
    count("mismatched", 1.0);
    proxy.expect_outcome("/large", "response_too_large").await;
    count("response_too_large", 1.0);
    proxy.expect_outcome("/slow", "baseline_failed").await;
    count("baseline_failed", 1.0);
    proxy.client.delete(proxy.url("/")).send().await.unwrap();
    count("method_excluded", 1.0);
    proxy.client.get(proxy.url("/")).header("x-mirror", "1").send().await.unwrap();
    count("already_marked", 1.0);
    proxy.post("/", vec![b'x'; 31]).await;
    count("body_too_large", 1.0);
    // One copy hangs, one waits behind it for too long, one finds the queue full.
    proxy.get("/hang").await;
    eventually!(proxy.metric("mirror_copies_in_flight", &[]).await == 1.0);
    proxy.get("/").await;
    proxy.get("/").await;
    count("candidate_timeout", 1.0);
    count("expired_in_queue", 1.0);
    count("dropped_queue_full", 1.0);
    eventually!(proxy.outcome("expired_in_queue").await == 1.0);
    proxy.control("disable").await;
    proxy.get("/").await;
    count("disabled", 1.0);
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    eventually!(proxy.outcomes().await == expected);
    let sent = proxy.metric("mirror_requests_total", &["target=\"baseline\""]).await;
    assert_eq!(sent, received);
}
