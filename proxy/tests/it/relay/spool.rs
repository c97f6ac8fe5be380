//! A relay whose queue is on disk: what was acknowledged survives, in order, and at least once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy::config::Mode;
use proxy::relay::{self, spool};

use super::{NOTHING, listener, relaying, settings};
use crate::eventually;
use crate::process::{Process, command, started};
use crate::support::{
    Proxy, Upstream, client, fixed, hung, in_time, json, let_go, refusing, upstream,
};

/// A folder for a spool, gone with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("mirrorlab-relay-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&folder));
        Self(folder)
    }

    /// Where a proxy by [`settings_in`] has its spool.
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.0.join("spool")
    }

    fn spool(&self) -> Option<spool::Config> {
        Some(spool::Config { folder: self.0.clone(), bytes: 64 << 20 })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The targets that an upstream saw, each where it saw it first.
pub(super) fn first_seen(upstream: &Upstream) -> Vec<String> {
    let mut known = BTreeSet::new();
    let targets = upstream.seen().into_iter().map(|seen| seen.target);
    targets.filter(|target| known.insert(target.clone())).collect()
}

pub(super) fn paths(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("/{number}")).collect()
}

#[tokio::test]
async fn what_lies_on_disk_is_relayed_and_compared_like_all_else() {
    let folder = Folder::new("plain");
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy =
        relaying(&upstreams[0], &upstreams[1], |_, relay| relay.spool = folder.spool()).await;
    let body = vec![b'x'; 700_000];
    assert_eq!(proxy.relay_post("/a\"b?c=\u{e9}", body.clone()).await, NOTHING);
    assert_eq!(proxy.relay_get("/b").await, NOTHING);
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 2.0)]);
    assert_eq!(proxy.relayed("relayed").await, 2.0);
    for upstream in &upstreams {
        let posted = upstream.seen().into_iter().find(|seen| !seen.body.is_empty()).unwrap();
        assert_eq!(
            (posted.body, &posted.headers["x-mirror"]),
            (body.clone().into(), &"1".parse().unwrap())
        );
    }
    // What is over is forgotten.
    eventually!(proxy.metric("mirror_relay_spool_requests", &[]).await == 0.0);
    assert_eq!(proxy.metric("mirror_relay_buffered_bytes", &[]).await, 0.0);
}

#[tokio::test]
async fn a_candidate_that_hangs_costs_nothing_of_what_waits_on_disk() {
    let folder = Folder::new("waits");
    let go = Arc::new(tokio::sync::Notify::new());
    let candidate = let_go(&go, || json("{}")).await;
    let proxy = relaying(&fixed("{}").await, &candidate, |config, relay| {
        (relay.spool, relay.concurrency) = (folder.spool(), 2);
        // As many as there may be at once: nobody finds it full.
        config.mirror.queue_size = 2;
        config.mirror.concurrency = 1;
        config.mirror.timeout = Duration::from_secs(3600);
    })
    .await;
    for path in paths(20) {
        assert_eq!(proxy.relay_get(&path).await, NOTHING);
    }
    for done in 0..20 {
        eventually!(proxy.outcome("matched").await == f64::from(done));
        eventually!(candidate.count() as i32 == done + 1);
        go.notify_one();
    }
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 20.0)]);
}

#[tokio::test]
async fn a_full_spool_drops_and_counts_and_its_sender_is_answered() {
    let folder = Folder::new("full");
    let proxy = relaying(&hung().await, &fixed("{}").await, |_, relay| {
        relay.spool = Some(spool::Config { folder: folder.0.clone(), bytes: 2 << 20 });
        relay.concurrency = 1;
    })
    .await;
    for _ in 0..30 {
        assert_eq!(proxy.relay_post("/", vec![b'x'; 200_000]).await, NOTHING);
    }
    let full = proxy.relayed("spool_full").await;
    assert_eq!(full + proxy.relayed("relayed").await, 30.0);
    assert!((20.0..29.0).contains(&full), "{full}");
    assert_eq!(proxy.outcome("dropped_queue_full").await, full);
    let bytes = proxy.metric("mirror_relay_spool_bytes", &[]).await;
    assert!((1e6..=f64::from(2 << 20)).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn at_the_end_the_rest_stays_on_disk_and_is_relayed_after_the_next_start() {
    let folder = Folder::new("end");
    let go = Arc::new(tokio::sync::Notify::new());
    let slow = let_go(&go, || json("{}")).await;
    let candidate = fixed("{}").await;
    let configure = |config: &mut proxy::config::Config, relay: &mut relay::Config| {
        (relay.spool, relay.concurrency) = (folder.spool(), 1);
        config.drain_timeout = Duration::from_millis(300);
    };
    let first = relaying(&slow, &candidate, configure).await;
    for path in paths(10) {
        first.relay_get(&path).await;
    }
    go.notify_one();
    eventually!(slow.count() == 2);
    let left = in_time(first.app.shutdown()).await.relays;
    // The one that was being asked is not over, and asked again.
    assert_eq!(left, relay::Left { cut: 0, kept: 9 });
    let baseline = fixed("{}").await;
    let second = relaying(&baseline, &candidate, configure).await;
    eventually!(second.outcome("matched").await == 9.0);
    assert_eq!(first_seen(&baseline), paths(10)[1..]);
    assert_eq!(second.relayed("replayed").await, 9.0);
    assert_eq!(first_seen(&candidate), paths(10));
}

const FILE: &str = r#"
[[listener]]
address = "127.0.0.1:0"
mode = "relay"
concurrency = 1
spool = "spool"
"#;

pub(super) fn settings_in(
    folder: &Folder,
    baseline: SocketAddr,
    candidate: SocketAddr,
) -> std::process::Command {
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("relay.toml");
    std::fs::write(&file, FILE).unwrap();
    let (baseline, candidate) = (format!("http://{baseline}"), format!("http://{candidate}"));
    command(&[
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", &baseline),
        ("CANDIDATE_URL", &candidate),
        ("MIRROR_FRACTION", "1"),
        ("ABORT_LATENCY_FLOOR", "1h"),
        ("DRAIN_TIMEOUT", "1s"),
        ("LOG_FORMAT", "json"),
        ("MIRROR_CONFIG", file.to_str().unwrap()),
    ])
}

/// The binary, and the address of its relay.
pub(super) async fn running(command: &mut std::process::Command) -> (Process, String) {
    let process = started(command).await;
    eventually!(process.log().contains("listens, too"));
    let log = process.log();
    let line = log.lines().find(|line| line.contains("listens, too")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let address = line["fields"]["address"].as_str().unwrap().to_owned();
    (process, format!("http://{address}"))
}

/// An upstream that takes a while for each.
async fn slow() -> Upstream {
    upstream(|_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        json("{}")
    })
    .await
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_arrives_after_the_restart_in_order() {
    const COUNT: usize = 100;
    let folder = Folder::new("kill");
    let (baseline, candidate) = (slow().await, slow().await);
    let (killed, url) = running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
    let client = client();
    for path in paths(COUNT) {
        let answer = in_time(client.post(format!("{url}{path}")).body(path).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    killed.signal("KILL");
    drop(killed);
    let before = baseline.count();
    assert!(before < COUNT, "all were relayed before it was killed");
    let (mut again, _) = running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
    eventually!(candidate.seen().iter().any(|seen| seen.target == format!("/{}", COUNT - 1)));
    for upstream in [&baseline, &candidate] {
        assert_eq!(first_seen(upstream), paths(COUNT));
        for seen in upstream.seen() {
            assert_eq!(seen.body, seen.target);
        }
        // Those that were over and not yet forgotten: of the last tenth of a second, and the one under way.
        assert!(upstream.count() < COUNT + 30, "{}", upstream.count());
    }
    again.signal("TERM");
    assert_eq!(again.exit_code().await, Some(0));
    let (third, _) = running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
    assert!(!third.log().contains("the spool has requests"), "{}", third.log());
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_by_kills_in_the_middle() {
    let folder = Folder::new("kills");
    let (baseline, candidate) = (slow().await, slow().await);
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let client = client();
    for round in 0..4 {
        let (process, url) =
            running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
        let senders: Vec<_> = (0..8)
            .map(|sender| {
                let (acknowledged, url) = (Arc::clone(&acknowledged), url.clone());
                let client = client.clone();
                tokio::spawn(async move {
                    for number in 0.. {
                        let path = format!("/{round}-{sender}-{number}");
                        let request = client.post(format!("{url}{path}")).body(vec![b'x'; 3000]);
                        match request.send().await {
                            Ok(answer) if answer.status() == 200 => {
                                acknowledged.lock().unwrap().insert(path);
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        let before = acknowledged.lock().unwrap().len();
        eventually!(acknowledged.lock().unwrap().len() > before + 20 * (round + 1));
        process.signal("KILL");
        drop(process);
        for sender in senders {
            in_time(sender).await.unwrap();
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    let (mut last, _) = running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
    for upstream in [&baseline, &candidate] {
        let arrived = || -> BTreeSet<String> { first_seen(upstream).into_iter().collect() };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        while !acknowledged.is_subset(&arrived()) {
            let lacking: Vec<_> = acknowledged.difference(&arrived()).cloned().collect();
            assert!(tokio::time::Instant::now() < deadline, "lost: {lacking:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    last.signal("TERM");
    assert_eq!(last.exit_code().await, Some(0));
}

/// Not even when it is told to end at once, and what is under way breaks off.
#[tokio::test]
async fn what_breaks_off_at_a_quick_end_is_asked_again() {
    let folder = Folder::new("quit");
    let (never, candidate) = (hung().await, fixed("{}").await);
    let (mut process, url) = running(&mut settings_in(&folder, never.addr, candidate.addr)).await;
    for path in paths(3) {
        in_time(client().get(format!("{url}{path}")).send()).await.unwrap();
    }
    eventually!(never.count() == 1);
    process.signal("QUIT");
    assert_eq!(process.exit_code().await, Some(1));
    let baseline = fixed("{}").await;
    let (_again, _) = running(&mut settings_in(&folder, baseline.addr, candidate.addr)).await;
    eventually!(baseline.count() == 3);
    assert_eq!(first_seen(&baseline), paths(3));
}

#[tokio::test]
async fn a_damaged_spool_is_told_at_the_start_which_it_ends() {
    let folder = Folder::new("damaged");
    let mut settings = settings_in(&folder, refusing(), refusing());
    std::fs::create_dir_all(folder.0.join("spool")).unwrap();
    let file = folder.0.join("spool/relay.sqlite3");
    std::fs::write(&file, "no database").unwrap();
    let output = tokio::task::spawn_blocking(move || settings.output()).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{log}");
    let told = format!("the spool {} is damaged: ", file.display());
    assert!(log.contains("cannot start") && log.contains(&told), "{log}");
    assert!(log.contains("move it away, with its journal, to begin with an empty one"), "{log}");
    assert_eq!(std::fs::read(&file).unwrap(), b"no database");
}

#[tokio::test]
async fn listeners_have_spools_of_their_own() {
    let folders = [Folder::new("own-1"), Folder::new("own-2")];
    let baseline = fixed("{}").await;
    let proxy: Proxy = crate::support::proxy(baseline.addr, baseline.addr, |config| {
        let relay = |folder: &Folder| {
            listener(Mode::Relay(relay::Config { spool: folder.spool(), ..settings() }))
        };
        config.listeners = folders.iter().map(relay).collect();
    })
    .await;
    for (at, folder) in folders.iter().enumerate() {
        let url = format!("http://{}/", proxy.app.others()[at]);
        proxy.client.get(url).send().await.unwrap();
        assert!(folder.0.join("relay.sqlite3").exists());
    }
    eventually!(proxy.outcome("matched").await == 2.0);
}
