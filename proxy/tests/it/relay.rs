//! Relay listeners: the sender has its answer at once, and nothing of what happens behind reaches it.

mod full_disk;
mod spool;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use proxy::config::{Config, Listener, Mode};
use proxy::listen::Listen;
use proxy::relay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::eventually;
use crate::support::{
    Proxy, Upstream, curl, fixed, http2, http2_body, hung, in_time, json, let_go, proxy, read_head,
    read_until, refusing, status, text, upstream,
};

fn settings() -> relay::Config {
    relay::Config {
        status: StatusCode::OK,
        body: Bytes::new(),
        queue_size: 256,
        concurrency: 64,
        spool: None,
    }
}

fn listener(mode: Mode) -> Listener {
    let addr = "127.0.0.1:0".parse().unwrap();
    Listener { name: None, listen: Listen { addr, dual_stack: false }, tls: false, mode }
}

/// A proxy whose only other listener relays.
async fn relaying(
    baseline: &Upstream,
    candidate: &Upstream,
    configure: impl FnOnce(&mut Config, &mut relay::Config),
) -> Proxy {
    proxy(baseline.addr, candidate.addr, |config| {
        let mut relay = settings();
        configure(config, &mut relay);
        config.listeners = vec![listener(Mode::Relay(relay))];
    })
    .await
}

impl Proxy {
    fn relay_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.others()[0])
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let answer = in_time(request.send()).await.unwrap();
        (answer.status().as_u16(), in_time(answer.text()).await.unwrap())
    }

    async fn relay_get(&self, path: &str) -> (u16, String) {
        self.send(self.client.get(self.relay_url(path))).await
    }

    async fn relay_post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        self.send(self.client.post(self.relay_url(path)).body(body)).await
    }

    async fn relayed(&self, result: &str) -> f64 {
        self.metric("mirror_relayed_total", &[&format!("result=\"{result}\"")]).await
    }

    async fn relay_connection(&self) -> TcpStream {
        TcpStream::connect(self.app.others()[0]).await.unwrap()
    }
}

const NOTHING: (u16, String) = (200, String::new());

#[tokio::test]
async fn baseline_and_candidate_are_asked_and_compared_and_the_sender_sees_neither() {
    let baseline = fixed(r#"{"a":1}"#).await;
    let candidate = upstream(|seen| async move {
        if seen.method == Method::POST { json(r#"{"a":2}"#) } else { json(r#"{"a":1}"#) }
    })
    .await;
    let proxy = relaying(&baseline, &candidate, |_, _| {}).await;
    assert_eq!(proxy.relay_get("/a?b=c").await, NOTHING);
    let body = vec![b'x'; 300_000];
    assert_eq!(proxy.relay_post("/upload", body.clone()).await, NOTHING);
    eventually!(
        proxy.outcomes().await == [("matched".to_owned(), 1.0), ("mismatched".to_owned(), 1.0)]
    );
    assert_eq!(proxy.relayed("relayed").await, 2.0);
    for upstream in [&baseline, &candidate] {
        let mut seen = upstream.seen();
        seen.sort_by_key(|seen| seen.method.to_string());
        assert_eq!((seen.len(), &*seen[0].target, &*seen[1].target), (2, "/a?b=c", "/upload"));
        assert_eq!(seen[1].body, body);
        assert_eq!(seen[1].headers["content-length"], "300000");
    }
    let sent = |target: &str| [format!("target=\"{target}\"")];
    for target in ["baseline", "candidate"] {
        let label = sent(target);
        assert_eq!(proxy.metric("mirror_requests_total", &[&label[0]]).await, 2.0);
    }
}

#[tokio::test]
async fn the_sender_has_its_answer_while_baseline_and_candidate_hang_or_are_gone() {
    let proxy = relaying(&hung().await, &hung().await, |_, relay| {
        (relay.status, relay.body) = (StatusCode::ACCEPTED, "taken".into());
    })
    .await;
    for _ in 0..3 {
        assert_eq!(proxy.relay_post("/", "{}").await, (202, "taken".to_owned()));
    }
    let gone = crate::support::proxy(refusing(), refusing(), |config| {
        config.listeners = vec![listener(Mode::Relay(settings()))];
    })
    .await;
    assert_eq!(gone.relay_get("/").await, NOTHING);
    eventually!(gone.outcome("baseline_failed").await == 1.0);
}

#[tokio::test]
async fn several_listeners_differ_and_that_of_the_traffic_stays_as_it_is() {
    let baseline = fixed(r#"{"by":"baseline"}"#).await;
    let proxy = proxy(baseline.addr, baseline.addr, |config| {
        let relay = relay::Config { status: StatusCode::NO_CONTENT, ..settings() };
        config.listeners = vec![
            listener(Mode::Relay(settings())),
            listener(Mode::Relay(relay)),
            listener(Mode::Proxy),
        ];
    })
    .await;
    let url = |at: usize, path: &str| format!("http://{}{path}", proxy.app.others()[at]);
    for (at, expected) in [(0, 200), (1, 204), (2, 200)] {
        let answer = proxy.client.get(url(at, "/a")).send().await.unwrap();
        assert_eq!(answer.status(), expected);
        let body = answer.text().await.unwrap();
        assert_eq!(body, if at == 2 { r#"{"by":"baseline"}"# } else { "" });
        // No admin endpoints here.
        proxy.client.get(url(at, "/metrics")).send().await.unwrap();
    }
    assert_eq!(proxy.get("/a").await.text().await.unwrap(), r#"{"by":"baseline"}"#);
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 7.0)]);
    assert_eq!(baseline.count(), 14);
}

#[tokio::test]
async fn what_the_sender_says_of_its_client_passes_and_its_host_is_the_original() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |config, _| {
        config.baseline.host_header = proxy::upstream::HostHeader::Preserve;
        config.candidate.host_header = proxy::upstream::HostHeader::Preserve;
    })
    .await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let passing = [
        ("x-forwarded-for", "192.0.2.7, 10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("forwarded", "for=192.0.2.7"),
        ("via", "1.1 edge"),
        ("traceparent", trace),
        ("tracestate", "a=b"),
    ];
    let mut request = proxy.client.get(proxy.relay_url("/"));
    for (name, value) in passing {
        request = request.header(name, value);
    }
    proxy.send(request.header("host", "shop.example-shadow:8443")).await;
    for upstream in &upstreams {
        eventually!(upstream.count() == 1);
        let seen = &upstream.seen()[0];
        for (name, value) in passing.into_iter().filter(|(name, _)| !name.starts_with("trace")) {
            let lines: Vec<_> = seen.headers.get_all(name).iter().collect();
            assert_eq!(lines, [value], "{name}");
        }
        assert_eq!(seen.headers["host"], "shop.example:8443");
    }
    let told = |upstream: &Upstream| {
        let headers = upstream.seen()[0].headers.clone();
        (headers["traceparent"].clone(), headers["tracestate"].clone())
    };
    let [(parent, state), (of_copy, state_of_copy)] = [&upstreams[0], &upstreams[1]].map(told);
    assert_eq!((parent.to_str().unwrap(), state.to_str().unwrap()), (trace, "a=b"));
    assert_eq!(of_copy.to_str().unwrap()[..36], trace[..36], "a copy has the trace");
    assert_ne!(of_copy, parent, "and a span of its own");
    assert_eq!(state_of_copy, "mirrorlab-mirror=true,a=b");
}

#[tokio::test]
async fn a_mark_of_the_mirror_before_is_no_reason_to_leave_a_request_out() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |_, _| {}).await;
    let request = || proxy.client.get(proxy.relay_url("/"));
    proxy.send(request()).await;
    proxy.send(request().header("x-mirror", "by another")).await;
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 2.0)]);
    // For either it is a copy of what was done already.
    for upstream in &upstreams {
        for seen in upstream.seen() {
            let marks: Vec<_> = seen.headers.get_all("x-mirror").iter().collect();
            assert_eq!(marks, ["1"]);
            assert_eq!(seen.headers.get_all("x-mirrorlab-loop").iter().count(), 1);
        }
    }
}

/// The baseline or the candidate may be behind the very mirror that sends us its copies.
#[tokio::test]
async fn a_request_that_comes_back_to_the_relay_goes_round_no_more() {
    let baseline = fixed("{}").await;
    let proxy = relaying(&baseline, &baseline, |_, _| {}).await;
    proxy.relay_get("/").await;
    eventually!(baseline.count() == 2);
    for seen in baseline.seen() {
        let request = proxy.client.get(proxy.relay_url("/"));
        let request = request.header("x-mirrorlab-loop", &seen.headers["x-mirrorlab-loop"]);
        assert_eq!(proxy.send(request).await.0, 508);
    }
    let refused = proxy.metric("mirror_refused_total", &["reason=\"loop\""]).await;
    assert_eq!((refused, baseline.count()), (2.0, 2));
}

#[tokio::test]
async fn what_no_candidate_gets_the_baseline_is_not_asked_either() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |config, _| {
        config.mirror.methods = Some(vec![Method::GET]);
    })
    .await;
    proxy.relay_post("/", "{}").await;
    proxy.relay_get("/").await;
    eventually!(
        proxy.outcomes().await
            == [("matched".to_owned(), 1.0), ("method_excluded".to_owned(), 1.0)]
    );
    proxy.control("disable").await;
    proxy.relay_get("/").await;
    eventually!(proxy.outcome("disabled").await == 1.0);
    assert_eq!(upstreams.map(|it| it.count()), [1, 1]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_counted_and_its_sender_answered_before_it_is_sent() {
    let baseline = fixed("{}").await;
    let proxy =
        relaying(&baseline, &baseline, |config, _| config.mirror.max_body_bytes = 1000).await;
    assert_eq!(proxy.relay_post("/", vec![b'x'; 1000]).await, NOTHING);
    for _ in 0..2 {
        assert_eq!(proxy.relay_post("/", vec![b'x'; 1_000_000]).await, NOTHING);
    }
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 10_000]));
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(proxy.relay_post("/", chunked).await, NOTHING);
    eventually!(
        proxy.outcomes().await == [("body_too_large".to_owned(), 3.0), ("matched".to_owned(), 1.0)]
    );
    assert_eq!(proxy.relayed("body_too_large").await, 3.0);

    let mut slow = proxy.relay_connection().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    assert!(in_time(read_head(&mut slow)).await.starts_with("HTTP/1.1 200"));
    // The connection goes on once the rest has come.
    let next = "GET /next HTTP/1.1\r\nhost: x\r\n\r\n";
    slow.write_all(&[&[b'x'; 2000], next.as_bytes()].concat()).await.unwrap();
    assert!(in_time(read_head(&mut slow)).await.starts_with("HTTP/1.1 200"));
    eventually!(baseline.seen().iter().any(|seen| seen.target == "/next"));
}

#[tokio::test]
async fn a_body_that_no_copy_carries_is_held_for_the_baseline_and_has_a_bound_too() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |config, _| {
        (config.mirror.body, config.mirror.max_body_bytes) = (false, 1000);
    })
    .await;
    for length in [1000, 1001] {
        assert_eq!(proxy.relay_post("/", vec![b'x'; length]).await, NOTHING);
    }
    eventually!(
        proxy.outcomes().await == [("body_too_large".to_owned(), 1.0), ("matched".to_owned(), 1.0)]
    );
    assert_eq!(upstreams.map(|it| it.seen()[0].body.len()), [1000, 0]);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_and_answered_all_the_same() {
    let go = Arc::new(Notify::new());
    let baseline = let_go(&go, || json("{}")).await;
    let proxy = relaying(&baseline, &fixed("{}").await, |_, relay| {
        (relay.queue_size, relay.concurrency) = (2, 1);
    })
    .await;
    proxy.relay_get("/").await;
    eventually!(baseline.count() == 1);
    for _ in 0..5 {
        assert_eq!(proxy.relay_get("/").await, NOTHING);
    }
    assert_eq!(proxy.relayed("queue_full").await, 3.0);
    assert_eq!(proxy.outcome("dropped_queue_full").await, 3.0);
    assert_eq!(proxy.metric("mirror_relay_queue_length", &[]).await, 2.0);
    assert_eq!(proxy.metric("mirror_relays_in_flight", &[]).await, 1.0);
    for number in 1..=3 {
        go.notify_one();
        eventually!(proxy.outcome("matched").await == f64::from(number));
    }
    // One after the other: the second was not asked before the first had answered.
    assert_eq!(baseline.count(), 3);
    assert_eq!(proxy.metric("mirror_relay_buffered_bytes", &[]).await, 0.0);
}

#[tokio::test]
async fn a_relay_that_waits_for_requests_has_none_in_flight() {
    let upstream = fixed("{}").await;
    let proxy = relaying(&upstream, &upstream, |_, _| {}).await;
    proxy.relay_get("/").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    eventually!(proxy.metric("mirror_relays_in_flight", &[]).await == 0.0);
}

#[tokio::test]
async fn relays_have_a_part_of_the_byte_budget_and_no_more() {
    let (hung, candidate) = (hung().await, fixed("{}").await);
    let proxy = relaying(&hung, &candidate, |config, _| {
        config.mirror.buffer_bytes = 4_000_000;
    })
    .await;
    for _ in 0..8 {
        assert_eq!(proxy.relay_post("/", vec![b'x'; 700_000]).await, NOTHING);
    }
    let dropped = proxy.relayed("buffer_full").await;
    assert_eq!(dropped + proxy.relayed("relayed").await, 8.0);
    assert!((4.0..8.0).contains(&dropped), "{dropped}");
    assert_eq!(proxy.outcome("dropped_buffer_full").await, dropped);
    assert!(proxy.metric("mirror_relay_buffered_bytes", &[]).await <= 2_000_000.0);
    // The traffic's own copies have theirs.
    let before = candidate.count();
    let (url, client) = (proxy.url("/own"), proxy.client.clone());
    tokio::spawn(async move { client.get(url).send().await });
    eventually!(candidate.count() > before);
}

#[tokio::test]
async fn a_hung_candidate_holds_up_neither_the_queue_nor_the_other_candidate() {
    let (baseline, good, hung) = (fixed("{}").await, fixed("{}").await, hung().await);
    let proxy = relaying(&baseline, &good, |config, relay| {
        let target = |upstream: &Upstream| crate::support::target(upstream.addr);
        config.candidates = [("good", &good), ("hung", &hung)]
            .map(|(name, upstream)| proxy::policy::Candidate::new(name, target(upstream)))
            .to_vec();
        relay.concurrency = 1;
    })
    .await;
    for _ in 0..20 {
        proxy.relay_get("/").await;
    }
    let matched = ["candidate=\"good\"", "outcome=\"matched\""];
    eventually!(proxy.metric("mirror_outcomes_total", &matched).await == 20.0);
    assert_eq!(proxy.relayed("queue_full").await, 0.0);
}

#[tokio::test]
async fn heads_keep_alive_old_versions_and_upgrades_are_answered_in_their_own_way() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |_, relay| relay.body = "ok".into()).await;
    let mut sender = proxy.relay_connection().await;
    for method in ["HEAD", "GET", "OPTIONS", "DELETE"] {
        let request = format!("{method} /{method} HTTP/1.1\r\nhost: x\r\n\r\n");
        sender.write_all(request.as_bytes()).await.unwrap();
        let head = in_time(read_head(&mut sender)).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 2"), "{head}");
        if method != "HEAD" {
            assert_eq!(in_time(read_until(&mut sender, "ok")).await, "ok");
        }
    }
    eventually!(proxy.outcome("matched").await == 4.0);

    let upgrade =
        "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    sender.write_all(upgrade.as_bytes()).await.unwrap();
    assert!(in_time(read_head(&mut sender)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.outcome("upgrade").await, 1.0);

    let mut old = proxy.relay_connection().await;
    old.write_all(b"GET /old HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    in_time(old.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ok"), "{answer}");
    for upstream in &upstreams {
        eventually!(upstream.seen().iter().any(|seen| seen.target == "/old"));
        assert!(upstream.seen().iter().all(|seen| seen.target != "/chat"));
    }
}

#[tokio::test]
async fn who_waits_to_be_asked_for_its_body_is_asked_unless_it_is_too_large() {
    let baseline = fixed("{}").await;
    let proxy =
        relaying(&baseline, &baseline, |config, _| config.mirror.max_body_bytes = 1000).await;
    let head = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut sender = proxy.relay_connection().await;
    sender.write_all(head(3).as_bytes()).await.unwrap();
    assert!(in_time(read_head(&mut sender)).await.starts_with("HTTP/1.1 100"));
    sender.write_all(b"abc").await.unwrap();
    assert!(in_time(read_head(&mut sender)).await.starts_with("HTTP/1.1 200"));
    eventually!(proxy.outcome("matched").await == 1.0);
    let seen = &baseline.seen()[0];
    assert_eq!((&*seen.body, seen.headers.get("expect")), (&b"abc"[..], None));

    let mut large = proxy.relay_connection().await;
    large.write_all(head(2000).as_bytes()).await.unwrap();
    assert!(in_time(read_head(&mut large)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.outcome("body_too_large").await, 1.0);
}

#[tokio::test]
async fn senders_over_http_2_are_answered_and_their_host_is_restored() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |config, _| {
        config.candidate.host_header = proxy::upstream::HostHeader::Preserve;
    })
    .await;
    let mut client = http2(proxy.relay_connection().await).await;
    for end_with_head in [true, false] {
        let request = http::Request::post("http://shop-shadow/a").header("cookie", "a=1");
        let request = request.header("cookie", "b=2").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, end_with_head).unwrap();
        if !end_with_head {
            body.send_data("abc".into(), true).unwrap();
        }
        let answer = in_time(answer).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(in_time(http2_body(answer.into_body())).await.unwrap(), b"");
    }
    eventually!(proxy.outcome("matched").await == 2.0);
    for seen in upstreams[1].seen() {
        assert_eq!((&seen.headers["host"], &*seen.target), (&"shop".parse().unwrap(), "/a"));
        assert_eq!(seen.headers["cookie"], "a=1; b=2");
    }
}

#[tokio::test]
async fn a_sender_that_leaves_or_sends_no_http_is_no_request() {
    let baseline = fixed("{}").await;
    let proxy = relaying(&baseline, &baseline, |_, _| {}).await;
    let mut gone = proxy.relay_connection().await;
    let begun = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    gone.write_all(begun).await.unwrap();
    eventually!(proxy.metric("mirror_relay_buffered_bytes", &[]).await > 0.0);
    drop(gone);
    eventually!(proxy.outcome("client_aborted").await == 1.0);
    assert_eq!(proxy.relayed("client_aborted").await, 1.0);

    let mut wrong = proxy.relay_connection().await;
    let chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    wrong.write_all(chunked).await.unwrap();
    assert!(in_time(read_head(&mut wrong)).await.starts_with("HTTP/1.1 400"));
    assert_eq!(baseline.count(), 0);
}

#[tokio::test]
async fn at_the_end_what_was_taken_is_finished_within_the_time_for_it() {
    let go = Arc::new(Notify::new());
    let baseline = let_go(&go, || json("{}")).await;
    let candidate = fixed("{}").await;
    let proxy = relaying(&baseline, &candidate, |_, relay| relay.concurrency = 1).await;
    for _ in 0..3 {
        proxy.relay_get("/").await;
    }
    eventually!(baseline.count() == 1);
    let addr = proxy.app.others()[0];
    let shutdown = tokio::spawn(proxy.app.shutdown());
    eventually!(TcpStream::connect(addr).await.is_err());
    for _ in 0..3 {
        assert!(!shutdown.is_finished());
        go.notify_one();
        tokio::task::yield_now().await;
    }
    eventually!({
        go.notify_one();
        shutdown.is_finished()
    });
    let drained = in_time(shutdown).await.unwrap();
    assert_eq!((drained.cut, drained.relays), (0, relay::Left::default()));
    assert_eq!((baseline.count(), candidate.count()), (3, 3));
}

#[tokio::test]
async fn at_the_end_what_takes_too_long_is_cut_off_and_said() {
    let proxy = relaying(&hung().await, &fixed("{}").await, |config, _| {
        config.drain_timeout = Duration::from_millis(200);
    })
    .await;
    for _ in 0..3 {
        proxy.relay_get("/").await;
    }
    let left = in_time(proxy.app.shutdown()).await.relays;
    assert_eq!(left, relay::Left { cut: 3, kept: 0 });
}

#[tokio::test]
async fn curl_is_answered_with_a_body_from_a_file_a_form_and_over_http_2() {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = relaying(&upstreams[0], &upstreams[1], |_, relay| relay.body = "ok".into()).await;
    let url = proxy.relay_url("/");
    for arguments in [
        &["-F", "a=b", "-F", "c=@Cargo.toml"][..],
        &["--data-binary", "@Cargo.toml", "-H", "transfer-encoding: chunked"],
        &["-H", "expect: 100-continue", "-d", "a=b"],
        &["--http2-prior-knowledge", "-d", "a=b"],
    ] {
        let Some(answer) = curl(&[arguments, &[&*url]].concat()).await else { return };
        assert_eq!(answer, "ok", "{arguments:?}");
    }
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 4.0)]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_fails_is_an_outcome_and_nothing_else() {
    let failing = upstream(|_| async { status(503) }).await;
    let broken = crate::support::writes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let plain = upstream(|_| async { text("x") }).await;
    let proxy = relaying(&failing, &failing, |_, _| {}).await;
    assert_eq!(proxy.relay_get("/").await, NOTHING);
    eventually!(proxy.outcome("matched").await == 1.0);
    let proxy = crate::support::proxy(broken, plain.addr, |config| {
        config.listeners = vec![listener(Mode::Relay(settings()))];
    })
    .await;
    assert_eq!(proxy.relay_get("/").await, NOTHING);
    eventually!(proxy.outcome("baseline_failed").await == 1.0);
}
