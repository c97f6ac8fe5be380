//! What is recorded of traffic.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use proxy::app::{self, Engine};
use proxy::config::Config;
use proxy::exchange::Outcome;
use proxy::mirror::{Follow, Keep};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use traffic::disk::Disk;
use traffic::read::{Position, Segments};
use traffic::{Body, Exchange, Limits, Moment};

use crate::support::{Proxy, client, fixed, read_head, refusing};

/// A folder of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("record-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn exchanges(&self, part: &str) -> Vec<Exchange> {
        let disk = Disk::new(self.0.join(part));
        let read = Segments::new(disk, Position::default(), &Limits::default());
        read.unwrap().map(Result::unwrap).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A proxy that records, with these settings more.
async fn recording(
    folder: &Folder,
    (baseline, candidate): (SocketAddr, SocketAddr),
    more: &str,
) -> Proxy {
    let dir = folder.0.join("traffic");
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [mirror]\nshare = 1\n[[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n\
         [record]\ndir = \"{}\"\n{more}",
        dir.display()
    );
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("m.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::read(Some(&file), &|_| None).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

fn text(body: &Body) -> &str {
    std::str::from_utf8(body.whole().expect("it is kept")).unwrap()
}

#[tokio::test]
async fn an_exchange_is_recorded_with_both_answers_and_where_they_differ() {
    let folder = Folder::new();
    let both = (fixed(r#"{"n":1}"#).await.addr, fixed(r#"{"n":2}"#).await.addr);
    let proxy = recording(&folder, both, "").await;
    let request = proxy.client.post(proxy.url("/a/7?q=x")).header("x-kept", "Yes").body("hello");
    request.send().await.unwrap();
    crate::eventually!(
        proxy.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await > 0.0
    );
    proxy.app.shutdown().await;
    let recorded = folder.exchanges("traffic");
    let [exchange] = &recorded[..] else { panic!("{recorded:?}") };
    let request = &exchange.request;
    assert_eq!((&*request.method, &*request.target), (&b"POST"[..], &b"/a/7?q=x"[..]));
    assert_eq!(text(&request.body), "hello");
    assert_eq!(traffic::exchange::header(&request.headers, "x-kept").unwrap(), "Yes");
    assert!(traffic::exchange::header(&request.headers, "host").is_some());
    let answer = exchange.answer.as_ref().unwrap();
    assert_eq!((answer.status, text(&answer.body)), (200, r#"{"n":1}"#));
    assert!(answer.latency.is_some());
    let pair = exchange.pair.as_ref().unwrap();
    assert_eq!(
        (&*pair.route, &*pair.candidate, &*pair.outcome),
        ("POST /a/{id}", "v2", "mismatched")
    );
    assert_eq!(text(&pair.answer.as_ref().unwrap().body), r#"{"n":2}"#);
    assert_eq!(pair.differences.len(), 1);
    assert_eq!(pair.differences[0].path, "$['n']");
}

#[tokio::test]
async fn what_is_not_mirrored_is_recorded_with_the_reason_and_a_dead_candidate_is_no_hindrance() {
    for (more, outcome) in
        [("", "candidate_failed"), ("[[route]]\nname = \"x\"\nshare = 0\n", "not_sampled")]
    {
        let folder = Folder::new();
        let both = (fixed("fine").await.addr, refusing());
        let proxy = recording(&folder, both, more).await;
        assert_eq!(proxy.get("/").await.text().await.unwrap(), "fine");
        let counted = format!("outcome=\"{outcome}\"");
        crate::eventually!(proxy.metric("mirror_outcomes_total", &[&counted]).await > 0.0);
        proxy.app.shutdown().await;
        let recorded = folder.exchanges("traffic");
        let [exchange] = &recorded[..] else { panic!("{recorded:?}") };
        assert_eq!(text(&exchange.answer.as_ref().unwrap().body), "fine");
        let pair = exchange.pair.as_ref().unwrap();
        assert_eq!((&*pair.outcome, pair.answer.is_none()), (outcome, true));
    }
}

#[tokio::test]
async fn pairs_that_differ_are_recorded_apart_whatever_the_share() {
    let folder = Folder::new();
    let both = (fixed(r#"{"n":1}"#).await.addr, fixed(r#"{"n":2}"#).await.addr);
    let proxy = recording(&folder, both, "share = 0\nmismatches = true\n").await;
    proxy.get("/").await;
    crate::eventually!(
        proxy.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await > 0.0
    );
    proxy.app.shutdown().await;
    assert_eq!(folder.exchanges("traffic").len(), 0);
    assert_eq!(folder.exchanges("traffic/mismatches").len(), 1);

    let folder = Folder::new();
    let both = (fixed("same").await.addr, fixed("same").await.addr);
    let proxy = recording(&folder, both, "share = 0\nmismatches = true\n").await;
    proxy.get("/").await;
    crate::eventually!(proxy.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await > 0.0);
    proxy.app.shutdown().await;
    assert_eq!(folder.exchanges("traffic/mismatches").len(), 0, "what is equal is not");
}

#[tokio::test]
async fn what_is_personal_or_secret_is_on_no_disk_unless_it_is_to_be() {
    for (more, is_hidden) in [("", true), ("redact = false\n", false)] {
        let folder = Folder::new();
        let body = r#"{"email":"ann@example.com","n":1}"#;
        let both = (fixed(body).await.addr, fixed(body).await.addr);
        let proxy = recording(&folder, both, more).await;
        let request = proxy.client.post(proxy.url("/?token=s3cr3t-1")).bearer_auth("s3cr3t-2");
        let request =
            request.header("cookie", "sid=s3cr3t-3").header("content-type", "application/json");
        request.body(r#"{"password":"s3cr3t-4"}"#).send().await.unwrap();
        crate::eventually!(
            proxy.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await > 0.0
        );
        proxy.app.shutdown().await;
        let all = format!("{:?}", folder.exchanges("traffic"));
        for secret in ["s3cr3t-1", "s3cr3t-2", "s3cr3t-3", "s3cr3t-4", "ann@example.com"] {
            assert_eq!(!all.contains(secret), is_hidden, "{secret}: {all}");
        }
        assert!(all.contains(r#"\"n\":1"#), "{all}");
    }
}

#[tokio::test]
async fn of_bodies_only_what_is_wanted_is_recorded_and_of_long_ones_the_length() {
    for (more, request, answer) in [
        ("bodies = \"none\"\n", Body::NotKept(Some(5)), Body::NotKept(Some(4))),
        ("bodies = \"requests\"\n", Body::Whole("hello".into()), Body::NotKept(Some(4))),
        ("max_body_bytes = 4\n", Body::NotKept(Some(5)), Body::Whole("fine".into())),
    ] {
        let folder = Folder::new();
        let both = (fixed("fine").await.addr, fixed("fine").await.addr);
        let proxy = recording(&folder, both, more).await;
        proxy.post("/", "hello").await;
        crate::eventually!(
            proxy.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await > 0.0
        );
        proxy.app.shutdown().await;
        let recorded = folder.exchanges("traffic");
        assert_eq!(recorded[0].request.body, request, "{more}");
        assert_eq!(recorded[0].answer.as_ref().unwrap().body, answer, "{more}");
    }
}

#[tokio::test]
async fn a_route_says_otherwise_of_its_share() {
    let folder = Folder::new();
    let both = (fixed("fine").await.addr, fixed("fine").await.addr);
    let more = "share = 0\n[[route]]\nname = \"kept\"\nmatch = { path = { prefix = \"/kept\" } }\n\
                record = { share = 1 }\n";
    let proxy = recording(&folder, both, more).await;
    proxy.get("/kept/1").await;
    proxy.get("/other").await;
    crate::eventually!(proxy.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await > 1.0);
    proxy.app.shutdown().await;
    let recorded = folder.exchanges("traffic");
    assert_eq!(recorded.iter().map(|it| &*it.request.target).collect::<Vec<_>>(), [b"/kept/1"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_at_the_start() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.0.join("file"), "").unwrap();
    let dir = folder.0.join("file/traffic");
    let dir = dir.to_str().unwrap().to_owned();
    let config = Config::from_env(&|name| match name {
        "RECORD_DIR" => Some(dir.clone().into()),
        "LISTEN_ADDR" => Some("127.0.0.1:0".into()),
        _ => None,
    });
    let started = app::start(config.unwrap(), Handle::current()).await;
    let why = started.unwrap_err().to_string();
    assert!(why.contains("cannot record in") && why.contains(&dir), "{why}");
}

#[tokio::test]
async fn two_that_record_in_one_folder_do_not_touch_each_others_files() {
    let folder = Folder::new();
    let both = (fixed("fine").await.addr, fixed("fine").await.addr);
    let first = recording(&folder, both, "").await;
    first.get("/1").await;
    crate::eventually!(first.metric("mirror_recorded_total", &["\"recorded\""]).await == 1.0);
    let second = recording(&folder, both, "").await;
    first.get("/2").await;
    second.get("/3").await;
    crate::eventually!(first.metric("mirror_recorded_total", &["\"recorded\""]).await == 2.0);
    first.app.shutdown().await;
    second.app.shutdown().await;
    let mut targets: Vec<_> =
        folder.exchanges("traffic").into_iter().map(|it| it.request.target).collect();
    targets.sort();
    assert_eq!(targets, ["/1", "/2", "/3"]);
    let files = std::fs::read_dir(folder.0.join("traffic")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".jsonl.zst")).count(), 2);
}

#[tokio::test]
async fn another_spelling_of_a_path_has_nothing_recorded_that_its_route_keeps_out() {
    let folder = Folder::new();
    let both = (fixed("fine").await.addr, fixed("fine").await.addr);
    let more = "[[route]]\nname = \"out\"\nmatch = { path = { prefix = \"/out\" } }\nrecord = { share = 0 }\n";
    let proxy = recording(&folder, both, more).await;
    for path in ["//out/1", "/x/../out/1", "/%6fut/1", "/in/1"] {
        // A client library would send it in another spelling.
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut client = proxy.connect().await;
        client.write_all(request.as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"), "{path}");
    }
    let doubtful = ["result=\"path_in_doubt\""];
    crate::eventually!(proxy.metric("mirror_recorded_total", &doubtful).await == 3.0);
    proxy.app.shutdown().await;
    let recorded = folder.exchanges("traffic");
    assert_eq!(recorded.iter().map(|it| &*it.request.target).collect::<Vec<_>>(), [b"/in/1"]);
}

#[tokio::test]
async fn of_an_exchange_from_elsewhere_without_its_body_the_rest_is_recorded_and_no_copy_sent() {
    const LONG_AGO: Moment = Moment(1_777_882_830_456_789_012);
    let folder = Folder::new();
    let candidate = fixed("fine").await;
    let dir = folder.0.join("traffic").to_str().unwrap().to_owned();
    let url = format!("http://{}", candidate.addr);
    let config = Config::from_env(&|name| match name {
        "RECORD_DIR" => Some(dir.clone().into()),
        "CANDIDATE_URL" => Some(url.clone().into()),
        "MIRROR_FRACTION" => Some("1".into()),
        _ => None,
    });
    let engine = Engine::start(&config.unwrap(), Handle::current()).await.unwrap();
    let played = |request: Body, answer: Body| {
        let request = traffic::Request {
            method: "POST".into(),
            target: "/".into(),
            body: request,
            ..traffic::Request::default()
        };
        let answer = traffic::Answer { status: 200, body: answer, ..traffic::Answer::default() };
        let exchange = Exchange {
            at: LONG_AGO,
            connection: Some(3),
            request,
            answer: Some(answer),
            ..Exchange::default()
        };
        proxy::source::played(&exchange).unwrap()
    };
    let outcomes = Arc::new(Outcomes::default());
    let keep = Arc::clone(&outcomes) as Keep;
    let whole = || Body::Whole("hello".into());
    engine.forward().play(&played(whole(), Body::NotKept(Some(9))), &keep);
    engine.forward().play(&played(Body::NotKept(Some(7)), whole()), &keep);
    engine.stop().await;
    assert_eq!(candidate.count(), 0);
    assert_eq!(*outcomes.0.lock().unwrap(), [Outcome::BaselineFailed, Outcome::BodyTooLarge]);
    let recorded = folder.exchanges("traffic");
    let bodies: Vec<_> =
        recorded.iter().map(|it| (&it.request.body, &it.answer.as_ref().unwrap().body)).collect();
    let (kept, nine, seven) = (whole(), Body::NotKept(Some(9)), Body::NotKept(Some(7)));
    assert_eq!(bodies, [(&kept, &nine), (&seven, &kept)]);
    for exchange in &recorded {
        assert_eq!((exchange.at, exchange.connection), (LONG_AGO, Some(3)), "as it was there");
    }
}

#[derive(Debug, Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Follow for Outcomes {
    fn fault(&self) {}

    fn outcome(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}
