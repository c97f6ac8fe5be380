use std::sync::mpsc::SyncSender;

use serde_json::json;

use super::*;
use crate::metrics::{Gauges, Metrics};

/// A log whose entries nobody writes, and those that wait.
fn unwritten(most: usize) -> (Audit, Receiver<Message>, Metrics) {
    let metrics = Metrics::new().unwrap();
    let (queue, entries): (SyncSender<_>, _) = sync_channel(most);
    let losses = Losses { metrics: metrics.audit().clone(), unsaid: Arc::default() };
    let refused = LogLimit::burst(REFUSED_MAX, REFUSED_EVERY);
    let (redactions, is_closed) = Default::default();
    let running = Running { queue, losses, refused, redactions, is_closed };
    (Audit(Some(Arc::new(running))), entries, metrics)
}

/// What is written of these to a new file.
fn written(entries: &Receiver<Message>, losses: &Losses) -> Vec<Value> {
    let path = std::env::temp_dir().join(format!("mirrorlab-entries-{}", rand::random::<u64>()));
    let config = Config { place: Place::File(path.clone()), max_bytes: 1 << 20, files: 2 };
    let sink = Sink::open(&config).unwrap();
    let (queue, waiting) = sync_channel(ENTRIES_MAX);
    entries.try_iter().for_each(|it| queue.try_send(it).unwrap_or_else(|_| panic!("full")));
    drop(queue);
    write(&waiting, sink, losses);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn losses(audit: &Audit) -> &Losses {
    &audit.0.as_ref().unwrap().losses
}

fn lost(metrics: &Metrics, reason: &str, count: u32) {
    let text = metrics.render(Gauges::default());
    let line = format!("mirror_audit_entries_lost_total{{reason=\"{reason}\"}} {count}\n");
    assert!(text.contains(&line), "{line} not in\n{text}");
}

#[test]
fn an_entry_is_a_line_with_its_time_and_what_it_is() {
    let (audit, entries, metrics) = unwritten(8);
    audit.record("control", json!({ "path": "/a\n\u{1b}b" }));
    let found = written(&entries, losses(&audit));
    let time = found[0]["time"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    let expected =
        json!({ "log": "audit", "time": time, "what": "control", "path": "/a\n\u{1b}b" });
    assert_eq!(found, [expected]);
    assert!(metrics.render(Gauges::default()).contains("mirror_audit_entries_total 1\n"));
}

#[test]
fn what_finds_no_place_is_counted_and_said_in_the_next_entry() {
    let (audit, entries, metrics) = unwritten(2);
    for _ in 0..5 {
        audit.record("control", json!({}));
    }
    lost(&metrics, "queue_full", 3);
    let found = written(&entries, losses(&audit));
    assert_eq!((found.len(), &found[0]["lost"], &found[1]["lost"]), (2, &3.into(), &Value::Null));
    audit.record("control", json!({}));
    assert_eq!(written(&entries, losses(&audit))[0]["lost"], Value::Null);
}

#[test]
fn what_cannot_be_written_is_counted_and_said_once_it_can_be() {
    let (audit, entries, metrics) = unwritten(8);
    let full = Config { place: Place::File("/dev/full".into()), max_bytes: 1 << 20, files: 2 };
    let (queue, waiting) = sync_channel(8);
    audit.record("control", json!({}));
    audit.record("control", json!({}));
    entries.try_iter().for_each(|it| queue.try_send(it).unwrap_or_else(|_| panic!("full")));
    drop(queue);
    write(&waiting, Sink::open(&full).unwrap(), losses(&audit));
    lost(&metrics, "not_written", 2);
    audit.record("control", json!({}));
    assert_eq!(written(&entries, losses(&audit))[0]["lost"], 2);
}

#[test]
fn strangers_that_are_refused_do_not_push_out_what_others_did() {
    let (audit, entries, metrics) = unwritten(ENTRIES_MAX);
    for _ in 0..REFUSED_MAX + 40 {
        audit.record_refused("control", json!({}));
    }
    audit.record("control", json!({ "token": "ops" }));
    lost(&metrics, "too_many_refused", 40);
    let found = written(&entries, losses(&audit));
    assert_eq!(found.len(), 61);
    assert_eq!((&found[60]["token"], &found[60]["lost"]), (&"ops".into(), &Value::Null));
}

#[test]
fn without_a_log_nothing_is_recorded_and_nothing_fails() {
    let audit = Audit::default();
    audit.record("control", json!({}));
    audit.record_refused("control", json!({}));
    audit.count_by(Arc::new(Vec::new));
    audit.record_redactions();
    assert!(!audit.is_on());
}

#[tokio::test(start_paused = true)]
async fn redactions_are_told_once_a_minute_where_there_were_any() {
    let (audit, entries, _metrics) = unwritten(8);
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    audit.count_by(Arc::new(move || {
        let count = counted.load(Ordering::Relaxed);
        vec![Redacted { rule: "cards".into(), way: "mask", count }]
    }));
    let keeps = tokio::spawn(audit.clone().keep_recording_redactions());
    let told = async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        tokio::task::yield_now().await;
        written(&entries, losses(&audit))
    };
    tokio::task::yield_now().await;
    assert_eq!(told().await, [Value::Null; 0]);
    count.store(12, Ordering::Relaxed);
    let found = told().await;
    assert_eq!(found[0]["what"], "redacted");
    assert_eq!(found[0]["rules"], json!([{ "rule": "cards", "way": "mask", "count": 12 }]));
    assert_eq!(told().await, [Value::Null; 0]);
    keeps.abort();
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_a_disk_that_hangs_but_not_for_long() {
    let (audit, entries, _metrics) = unwritten(1);
    audit.record("control", json!({}));
    let began = tokio::time::Instant::now();
    audit.close("told to stop").await;
    assert_eq!(began.elapsed(), LAST_ENTRIES);
    drop(entries);
}

#[tokio::test]
async fn the_last_entries_are_written_when_it_ends_and_the_end_is_one() {
    let path = std::env::temp_dir().join(format!("mirrorlab-end-{}", rand::random::<u64>()));
    let config = Config { place: Place::File(path.clone()), max_bytes: 1 << 20, files: 2 };
    let metrics = Metrics::new().unwrap();
    let audit = Audit::start(config, metrics.audit()).await.unwrap();
    for number in 0..100 {
        audit.record("control", json!({ "number": number }));
    }
    audit.close("told to stop").await;
    audit.close("again").await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(text.lines().count(), 101);
    assert!(text.ends_with("\"what\":\"stopped\",\"why\":\"told to stop\"}\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_nobody_reads_does_not_hold_up_the_start_for_ever() {
    let path = std::env::temp_dir().join(format!("mirrorlab-pipe-{}", rand::random::<u64>()));
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let config = Config { place: Place::File(path.clone()), max_bytes: 1 << 20, files: 2 };
    let started = Audit::start(config, Metrics::new().unwrap().audit()).await;
    assert_eq!(started.unwrap_err().kind(), io::ErrorKind::TimedOut);
    // Lets the thread go.
    drop(std::fs::File::open(&path));
    std::fs::remove_file(path).unwrap();
}
