//! Sending what was recorded: a run that is interrupted goes on, exit codes say what was asked of them, what belongs
//! together keeps its order, and due times do not wait for a slow candidate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use xtests::raw::{Answer, Asked, Message, Service};
use xtests::stack::Place;
use xtests::tools::{Ended, Running, command};
use xtests::{Result, ensure, eventually};

use crate::session::{name, ours, programs};

/// A line of a recording, written as its documentation says.
fn line(nth: usize, at: Duration, connection: usize) -> String {
    let entry = json!({
        "_id": format!("id-{nth}"),
        "_ns": 1_700_000_000_000_000_000_u64 + u64::try_from(at.as_nanos()).unwrap_or_default(),
        "startedDateTime": "2023-11-14T22:13:20.000Z",
        "time": 1,
        "_connection": connection,
        "request": {
            "method": "GET",
            "url": format!("http://shop.example/items/{nth}"),
            "httpVersion": "HTTP/1.1",
            "headers": [
                {"name": "Host", "value": "shop.example"},
                {"name": "X-Id", "value": nth.to_string()},
                {"name": "X-Connection", "value": connection.to_string()},
            ],
            "cookies": [], "queryString": [], "headersSize": -1, "bodySize": 0,
        },
        "response": {
            "status": 200, "statusText": "", "httpVersion": "HTTP/1.1",
            "headers": [{"name": "content-type", "value": "application/json"}],
            "cookies": [], "redirectURL": "", "headersSize": -1, "bodySize": -1,
            "content": {"size": 11, "mimeType": "application/json", "text": "{\"well\":true}"},
            "_latencyNs": 1_000_000, "_clock": "wire",
        },
        "cache": {}, "timings": {"send": 0, "wait": 1, "receive": 0},
    });
    format!("{entry}\n")
}

/// So many exchanges, one each millisecond, by turns over so many connections.
fn recording(place: &Place, folder: &str, count: usize, connections: usize) -> Result<PathBuf> {
    let file = programs(place)?.0.folder(folder)?.join("recording.jsonl");
    // Neighbours are exchanged: what is over first is told first, and began later.
    let at = |nth: usize| Duration::from_millis((nth ^ 1) as u64);
    let lines: String = (0..count).map(|nth| line(nth, at(nth), nth % connections)).collect();
    std::fs::write(&file, lines)?;
    Ok(file)
}

fn said(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn at_once(_: &Message) -> (Vec<u8>, Duration) {
    (said("{\"well\": true}"), Duration::ZERO)
}

fn slowly(_: &Message) -> (Vec<u8>, Duration) {
    (said("{\"well\": true}"), Duration::from_millis(20))
}

/// By turns soon and late.
fn unevenly(request: &Message) -> (Vec<u8>, Duration) {
    let nth: u64 = name(request).parse().unwrap_or_default();
    (said("{\"well\": true}"), Duration::from_millis(nth * 7 % 23))
}

const VERY_SLOW: Duration = Duration::from_secs(4);

fn very_slowly(_: &Message) -> (Vec<u8>, Duration) {
    (said("{\"well\": true}"), VERY_SLOW)
}

fn another(_: &Message) -> (Vec<u8>, Duration) {
    (said("{\"well\": false}"), Duration::ZERO)
}

/// Sends a recording to a candidate, to the end.
async fn sent(
    place: &Place,
    file: &Path,
    answer: Answer,
    more: &[&str],
) -> Result<(Ended, Vec<Asked>)> {
    let (run, binaries) = programs(place)?;
    let candidate = Service::start(answer)?;
    let (file, to) = (file.to_string_lossy(), candidate.url());
    let arguments = [&[&*file, "--candidate", &to, "--format", "json"], more].concat();
    let ended = ours(run, &binaries.replay, &arguments).await?;
    Ok((ended, candidate.asked()))
}

fn names(asked: &[Asked]) -> BTreeSet<String> {
    asked.iter().map(|it| name(&it.message)).collect()
}

pub(crate) async fn a_run_that_was_interrupted_goes_on_and_leaves_nothing_out(
    place: &Place,
) -> Result<()> {
    const ALL: usize = 400;
    let (run, binaries) = programs(place)?;
    let file = recording(place, "interrupted", ALL, ALL)?;
    let (state, candidate) = (file.with_extension("state"), Service::start(slowly)?);
    let (source, kept, to) = (file.to_string_lossy(), state.to_string_lossy(), candidate.url());
    let arguments = [&*source, "--candidate", &to, "--speed", "max", "--connections", "4"];
    let arguments = [&arguments[..], &["--resume", &kept, "--format", "json"]].concat();
    let running = Running::start(run, command(&binaries.replay, &arguments)).await?;
    eventually!(candidate.asked().len() >= ALL / 4);
    running.signal("INT")?;
    let ended = running.ended().await?;
    let before = candidate.asked();
    ensure!((ALL / 4..ALL).contains(&before.len()), "it was cut off: {}", before.len());
    let report: Value = serde_json::from_str(&ended.out)?;
    ensure!(report["pairs"] == before.len(), "the report so far: {report}");
    ensure!(report["mismatches"]["raw"] == 0, "{report}");
    ensure!(state.exists(), "it is written down how far it came");
    let ended = ours(run, &binaries.replay, &arguments).await?;
    let asked = candidate.asked();
    ensure!(names(&asked).len() == ALL, "{} of {ALL}: {ended:?}", names(&asked).len());
    // What was under way may be sent again, and what was over is not.
    ensure!(asked.len() <= ALL + 8, "{} for {ALL}", asked.len());
    ensure!(!state.exists(), "nothing is left to be done");
    Ok(())
}

pub(crate) async fn exit_codes_say_what_was_required(place: &Place) -> Result<()> {
    let few = recording(place, "codes-few", 20, 20)?;
    let many = recording(place, "codes-many", 4000, 4000)?;
    let cases: [(&Path, Answer, &[&str], i32); 8] = [
        (&few, at_once, &[], 3),
        (&few, at_once, &["--require", "match"], 0),
        (&few, another, &["--require", "match"], 1),
        (&few, at_once, &["--require", "match", "--match", "path.prefix = \"/items/1\""], 1),
        (&few, at_once, &["--require", "pass"], 3),
        (&many, at_once, &["--require", "pass"], 0),
        (&many, another, &["--require", "pass"], 1),
        (&few, at_once, &["--match", "path.prefix = "], 2),
    ];
    for (file, answer, more, code) in cases {
        let all = [&["--speed", "max"], more].concat();
        let (ended, _) = sent(place, file, answer, &all).await?;
        ensure!(ended.code == code, "{more:?} is to end with {code}: {ended:?}");
    }
    Ok(())
}

/// How many were asked before the one before them of their connection was answered, or before that was asked.
fn out_of_order(asked: &[Asked]) -> usize {
    let mut last = BTreeMap::<String, (usize, Instant)>::new();
    let mut wrong = 0;
    for it in asked {
        let connection = it.message.header("x-connection").unwrap_or_default().to_owned();
        // In the order in which they began, which is not that of the lines.
        let nth = name(&it.message).parse::<usize>().unwrap_or_default() ^ 1;
        let over = it.at + unevenly(&it.message).1;
        if let Some((before, until)) = last.insert(connection, (nth, over)) {
            wrong += usize::from(before > nth || until > it.at);
        }
    }
    wrong
}

pub(crate) async fn what_came_over_one_connection_keeps_its_order(place: &Place) -> Result<()> {
    // Each second connection has neighbours that are exchanged: two behind each other are two lines apart.
    let file = recording(place, "in-order", 300, 6)?;
    let at_once = ["--speed", "max", "--connections", "64", "--order-by"];
    for (by, is_ordered) in [("connection", true), ("header:x-connection", true), ("none", false)] {
        let (ended, asked) = sent(place, &file, unevenly, &[&at_once[..], &[by]].concat()).await?;
        ensure!(names(&asked).len() == 300 && asked.len() == 300, "{ended:?}");
        let wrong = out_of_order(&asked);
        ensure!((wrong == 0) == is_ordered, "by {by}: {wrong} of 300 did not wait");
    }
    Ok(())
}

pub(crate) async fn due_times_do_not_wait_for_a_slow_candidate(place: &Place) -> Result<()> {
    const ALL: usize = 200;
    let file = recording(place, "due", ALL, ALL)?;
    let (ended, asked) = sent(place, &file, very_slowly, &["--rate", "100"]).await?;
    ensure!(names(&asked).len() == ALL, "{} came: {ended:?}", asked.len());
    let first = asked.iter().map(|it| it.at).min().ok_or("none")?;
    let mut since: Vec<_> = asked.iter().map(|it| it.at - first).collect();
    since.sort();
    ensure!(since[ALL - 1] > Duration::from_millis(1800), "too early: {:?}", since[ALL - 1]);
    ensure!(since[ALL - 1] < VERY_SLOW, "some waited for an answer: {:?}", since[ALL - 1]);
    let median = since[ALL / 2];
    let due = Duration::from_secs(1);
    ensure!(median.abs_diff(due) < Duration::from_millis(500), "{median:?}, due was {due:?}");
    Ok(())
}
