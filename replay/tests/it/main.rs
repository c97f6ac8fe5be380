//! Runs over real sockets: exchanges from files, to services that note what they see.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use clap::Parser;
use replay::options::{Command, Options, Run};
use replay::run::{self, Ended};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use traffic::{Answer, Body, Exchange, Moment};

/// A file that goes with its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(end: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("replay-{}-{nth}{end}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn of(exchanges: &[Exchange]) -> Self {
        let file = Self::new(".jsonl");
        let mut lines = Vec::new();
        exchanges.iter().for_each(|it| traffic::line::write(it, &mut lines));
        std::fs::write(&file.0, lines).unwrap();
        file
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// What a service has seen: method, path, body, and when.
type Seen = Arc<Mutex<Vec<(String, String, Vec<u8>, Instant)>>>;

/// A service that answers everything alike, after a while.
async fn service(body: &'static str, wait: Duration) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let answer = move |State(seen): State<Seen>, request: Request| async move {
        let at = Instant::now();
        let (head, sent) = request.into_parts();
        let sent = axum::body::to_bytes(sent, usize::MAX).await.unwrap_or_else(|_| Bytes::new());
        let told = (head.method.to_string(), head.uri.to_string(), sent.to_vec(), at);
        seen.lock().unwrap().push(told);
        tokio::time::sleep(wait).await;
        ([("content-type", "application/json")], body)
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn exchange(nth: u64, method: &'static str, target: &str, body: &'static str) -> Exchange {
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: Body::Whole(r#"{"n":1}"#.into()),
        ..Answer::default()
    };
    Exchange {
        at: Moment(1_000_000_000 + nth * 10_000_000),
        request: traffic::Request {
            method: method.into(),
            target: target.to_owned().into(),
            version: "1.1".into(),
            headers: vec![("Host".into(), "shop".into()), ("Connection".into(), "close".into())],
            body: Body::Whole(body.into()),
        },
        answer: Some(answer),
        ..Exchange::default()
    }
}

fn gets(count: u64) -> Vec<Exchange> {
    (0..count).map(|nth| exchange(nth, "GET", &format!("/a/{nth}"), "")).collect()
}

fn options(arguments: &[&str]) -> Run {
    Options::parse_from(["mirrorlab-replay"].iter().chain(arguments)).run
}

async fn ended(arguments: &[&str], stop: watch::Receiver<bool>) -> Result<Ended, String> {
    let options = options(arguments);
    let config = run::settings(&options)?;
    run::run(&options, &config, Handle::current(), stop).await
}

async fn replayed(arguments: &[&str]) -> Ended {
    let (_stop, stopped) = watch::channel(false);
    ended(arguments, stopped).await.unwrap()
}

fn paths(seen: &Seen) -> Vec<String> {
    seen.lock().unwrap().iter().map(|(_, path, ..)| path.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_held_against_the_recorded_one_and_the_exit_code_tells() {
    let file = Scratch::of(&gets(20));
    for (body, code, outcome) in [(r#"{"n":1}"#, 0, "matched"), (r#"{"n":2}"#, 1, "mismatched")] {
        let (address, seen) = service(body, Duration::ZERO).await;
        let url = format!("http://{address}");
        let arguments = [file.name(), "--candidate", &url, "--speed", "max", "--require", "match"];
        let ended = replayed(&arguments).await;
        assert_eq!((ended.code, ended.standing.outcomes), (code, vec![(outcome, 20)]));
        assert_eq!(seen.lock().unwrap().len(), 20);
        assert_eq!(ended.text.contains("$.n"), code == 1, "{}", ended.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_takes_more_than_a_case_and_says_what_asks_for_less() {
    let file = Scratch::of(&gets(1));
    let (address, _) = service(r#"{"n":1}"#, Duration::ZERO).await;
    let url = format!("http://{address}");
    let ended = replayed(&[file.name(), "--candidate", &url, "--require", "pass"]).await;
    assert_eq!(ended.code, 3);
    assert!(ended.reason.unwrap().contains("--require match"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_left_out_unless_they_are_asked_for_and_what_fits_no_condition_always() {
    let all = [
        exchange(0, "GET", "/api/a", ""),
        exchange(1, "POST", "/api/b", "hello"),
        exchange(2, "GET", "/c", ""),
    ];
    let file = Scratch::of(&all);
    let fits = "path.prefix = \"/api\"";
    for (more, expected) in [
        (&["--match", fits][..], &["/api/a"][..]),
        (&["--match", fits, "--writes"], &["/api/a", "/api/b"]),
        (&["--writes", "--share", "0"], &[]),
    ] {
        let (address, seen) = service(r#"{"n":1}"#, Duration::ZERO).await;
        let url = format!("http://{address}");
        let ended = replayed(&[&[file.name(), "--candidate", &url], more].concat()).await;
        let mut paths = paths(&seen);
        paths.sort();
        assert_eq!(paths, expected);
        let counted: u64 = ended.standing.left_out.values().sum();
        assert_eq!(ended.standing.sent + counted, 3, "{:?}", ended.standing);
        if more.contains(&"--writes") && !expected.is_empty() {
            let seen = seen.lock().unwrap();
            let post = seen.iter().find(|(method, ..)| method == "POST").unwrap();
            assert_eq!(post.2, b"hello");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_baseline_both_are_asked_and_what_was_recorded_does_not_count() {
    let file = Scratch::of(&gets(10));
    let (baseline, asked) = service(r#"{"n":7}"#, Duration::ZERO).await;
    let (candidate, copies) = service(r#"{"n":7}"#, Duration::ZERO).await;
    let (baseline, candidate) = (format!("http://{baseline}"), format!("http://{candidate}"));
    let both = ["--baseline", &baseline, "--candidate", &candidate, "--speed", "max"];
    let ended = replayed(&[&[file.name()], &both[..]].concat()).await;
    assert_eq!(ended.standing.outcomes, [("matched", 10)]);
    assert_eq!((asked.lock().unwrap().len(), copies.lock().unwrap().len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn due_times_are_kept_however_slow_the_candidate_is() {
    let file = Scratch::of(&gets(10));
    let (address, seen) = service(r#"{"n":1}"#, Duration::from_millis(500)).await;
    let url = format!("http://{address}");
    let ended = replayed(&[file.name(), "--candidate", &url, "--rate", "50"]).await;
    assert_eq!(ended.standing.outcomes, [("matched", 10)]);
    let seen = seen.lock().unwrap();
    // All are there before the first has its answer, or one after the other they would take five seconds.
    let took = seen.last().unwrap().3 - seen[0].3;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(took > Duration::from_millis(100), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_over_one_connection_goes_one_after_the_other() {
    let mut all = gets(12);
    all.iter_mut().for_each(|it| it.connection = Some(1));
    let file = Scratch::of(&all);
    let (address, seen) = service(r#"{"n":1}"#, Duration::from_millis(5)).await;
    let url = format!("http://{address}");
    let ended = replayed(&[file.name(), "--candidate", &url, "--speed", "max"]).await;
    assert_eq!(ended.standing.outcomes, [("matched", 12)]);
    let expected: Vec<_> = (0..12).map(|nth| format!("/a/{nth}")).collect();
    assert_eq!(paths(&seen), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_tells_the_report_so_far_and_goes_on_where_it_was() {
    let (file, state) = (Scratch::of(&gets(200)), Scratch::new(".state"));
    let (address, seen) = service(r#"{"n":1}"#, Duration::ZERO).await;
    let url = format!("http://{address}");
    let arguments = [file.name(), "--candidate", &url, "--rate", "100", "--resume", state.name()];
    let arguments = [&arguments[..], &["--require", "match"]].concat();
    let (stop, stopped) = watch::channel(false);
    let first = {
        let seen = Arc::clone(&seen);
        let stopping = async move {
            while seen.lock().unwrap().len() < 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send_replace(true);
            stop
        };
        tokio::join!(ended(&arguments, stopped), stopping).0.unwrap()
    };
    assert!((20..200).contains(&first.standing.sent), "{:?}", first.standing);
    assert!(first.text.contains("pairs"), "{}", first.text);
    assert_eq!((first.standing.read, first.code), (first.standing.sent, 1), "all but the rest");
    let arguments = [&arguments[..3], &["--speed", "max", "--resume", state.name()]].concat();
    let second = replayed(&arguments).await;
    assert_eq!(second.standing.sent, 200 - first.standing.sent);
    let mut all = paths(&seen);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200, "each at least once");
    assert!(!state.0.exists(), "what is over leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_with_its_place_and_the_rest_is_sent() {
    let file = Scratch::of(&gets(3));
    let mut text = std::fs::read_to_string(&file.0).unwrap();
    text.insert_str(0, "{\"request\": 7}\n");
    std::fs::write(&file.0, text).unwrap();
    let (address, seen) = service(r#"{"n":1}"#, Duration::ZERO).await;
    let url = format!("http://{address}");
    let arguments = [file.name(), "--candidate", &url, "--speed", "max", "--require", "match"];
    let ended = replayed(&arguments).await;
    assert_eq!((seen.lock().unwrap().len(), ended.code), (3, 1));
    assert_eq!(ended.standing.left_out.get("could not be read"), Some(&1));
    let (_stop, stopped) = watch::channel(false);
    let missing = self::ended(&["/no/such", "--candidate", &url], stopped).await.unwrap_err();
    assert!(missing.contains("/no/such"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_again_for_so_long() {
    let file = Scratch::of(&gets(3));
    let (address, seen) = service(r#"{"n":1}"#, Duration::ZERO).await;
    let url = format!("http://{address}");
    let arguments = [file.name(), "--candidate", &url, "--speed", "max", "--loop", "300ms"];
    let ended = replayed(&arguments).await;
    assert!(ended.standing.sent > 6, "{:?}", ended.standing);
    assert!(seen.lock().unwrap().len() > 6);
}

#[test]
fn what_makes_no_sense_is_told_before_anything_is_read() {
    for (arguments, why) in [
        (&["a.jsonl"][..], "there is no candidate"),
        (&["-", "--candidate", "http://b", "--loop", "1m"], "--loop: standard input"),
    ] {
        let told = run::settings(&options(arguments)).unwrap_err();
        assert!(told.starts_with(why), "{told}");
    }
}

#[test]
fn a_conversion_of_what_cannot_be_read_leaves_what_was_there() {
    let (file, output) = (Scratch::new(".jsonl"), Scratch::of(&gets(3)));
    std::fs::write(&file.0, "nothing of ours\n").unwrap();
    let before = std::fs::read(&output.0).unwrap();
    let arguments = ["mirrorlab-replay", "convert", file.name(), "-o", output.name()];
    let Some(Command::Convert(asked)) = Options::parse_from(arguments).command else {
        panic!("it is convert")
    };
    assert!(replay::convert::convert(&asked).is_err());
    assert_eq!(std::fs::read(&output.0).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settings_record_is_of_production_and_not_of_a_replay() {
    let file = Scratch::of(&gets(3));
    let (address, _) = service(r#"{"n":1}"#, Duration::ZERO).await;
    let (url, recordings, settings) =
        (format!("http://{address}"), Scratch::new(""), Scratch::new(".toml"));
    let text = format!(
        "[record]\ndir = \"{0}\"\n[audit]\npath = \"{0}.audit\"\n[compare]\nignore = [\"n\"]\n",
        recordings.name()
    );
    std::fs::write(&settings.0, text).unwrap();
    let other = Scratch::of(&[exchange(0, "GET", "/a", "")]);
    let arguments = ["--candidate", &url, "--config", settings.name(), "--speed", "max"];
    let ended = replayed(&[&[file.name(), other.name()], &arguments[..]].concat()).await;
    assert_eq!(ended.standing.outcomes, [("matched", 4)]);
    assert!(!recordings.0.exists());
    assert!(!recordings.0.with_extension("audit").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_the_candidate_gives_out_itself_are_learned_and_put_in() {
    let mut order = exchange(0, "POST", "/orders", "{}");
    order.answer.as_mut().unwrap().body = Body::Whole(r#"{"orderId":"b-100001"}"#.into());
    let mut look = exchange(1, "GET", "/orders/b-100001", "");
    look.answer.as_mut().unwrap().body = Body::Whole(r#"{"orderId":"b-100001"}"#.into());
    (order.connection, look.connection) = (Some(1), Some(1));
    let (file, settings) = (Scratch::of(&[order, look]), Scratch::new(".toml"));
    let text = "[[identity]]\nname = \"order\"\nlearn = [\"json:$.orderId\"]\nreplace = [\"path:/orders/{id}\"]\n";
    std::fs::write(&settings.0, text).unwrap();
    let (address, seen) = service(r#"{"orderId":"c-200002"}"#, Duration::ZERO).await;
    let url = format!("http://{address}");
    let arguments = [file.name(), "--candidate", &url, "--config", settings.name(), "--writes"];
    let ended = replayed(&arguments).await;
    assert_eq!(paths(&seen), ["/orders", "/orders/c-200002"]);
    assert_eq!(ended.standing.outcomes, [("matched", 2)]);
}
