//! A real application, an issue tracker with login, sessions, forms with tokens and objects with ids: a user's
//! whole session plays on candidates that live under another path, with other passwords, ids and sessions, and
//! one of them with a renamed field. The settings are those of the manual.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use proxy::app;
use proxy::config::Config;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::support::{Proxy, client, free, skipped};
use crate::{eventually, servers};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/roundup/roundup_app.py");
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/roundup.toml");
/// Requests of one session.
const REQUESTS: f64 = 18.0;
const ROUNDS: f64 = 3.0;

/// The trackers; they end with their standard input.
struct Trackers {
    child: Child,
    folder: PathBuf,
    /// They may want to say more.
    _told: BufReader<ChildStdout>,
}

impl Trackers {
    /// `None` where Roundup is missing and may be.
    fn start(public: &str, servers: &[(&str, u16)]) -> Option<Self> {
        let mut asks = Command::new("python3");
        asks.args(["-c", "import roundup"]).stderr(Stdio::null());
        if !asks.status().is_ok_and(|status| status.success()) {
            skipped("python3 has no roundup, which pip installs");
            return None;
        }
        let folder = servers::folder(&format!("roundup-{}", servers[0].1));
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("python3");
        command.args([SCRIPT, "serve"]).arg(&folder).arg(public);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command.args(servers.iter().map(|(name, port)| format!("{name}:{port}")));
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Self { child, folder, _told: told })
    }
}

impl Drop for Trackers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Plays sessions through a proxy with the manual's settings, in front of these servers; `None` where Roundup is
/// missing.
async fn played(
    servers: &[(&'static str, u16)],
    change: impl Fn(String) -> String,
) -> Option<Proxy> {
    let listen = free().port();
    let public = format!("http://127.0.0.1:{listen}/tracker/");
    let start = {
        let (public, servers) = (public.clone(), servers.to_vec());
        move || Trackers::start(&public, &servers)
    };
    let _trackers = tokio::task::spawn_blocking(start).await.unwrap()?;
    let mut text = change(std::fs::read_to_string(SETTINGS).unwrap());
    let known = [8080, 8917, 8918, 8919].into_iter();
    for (known, port) in known.zip([listen].into_iter().chain(servers.iter().map(|it| it.1))) {
        text = text.replace(&format!("127.0.0.1:{known}"), &format!("127.0.0.1:{port}"));
    }
    let text = format!("{text}\n[guardrail]\nmode = \"observe\"\n");
    let get = |name: &str| (name == "NEXT_PASSWORD").then(|| "autumn".into());
    let config = Config::from_text("roundup.toml", &text, &get).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    let proxy = Proxy { app, client: client() };
    let rounds = ROUNDS.to_string();
    let play = || Command::new("python3").args([SCRIPT, "play", &public, &rounds]).status();
    assert!(tokio::task::block_in_place(play).unwrap().success());
    let all = async || proxy.outcomes().await.iter().map(|(_, count)| count).sum::<f64>();
    eventually!(all().await == ROUNDS * REQUESTS);
    Some(proxy)
}

/// Where answers differ, beyond what the baselines differ in: the route and the place.
async fn differing(proxy: &Proxy) -> Vec<String> {
    let report: Value = proxy.get("/control/report").await.json().await.unwrap();
    let routes = report["routes"].as_array().unwrap().iter();
    let found = routes.flat_map(|route| {
        let name = route["route"].as_str().unwrap();
        let fields = route["fields"].as_array().unwrap().iter();
        fields.map(move |field| format!("{name} {}", field["field"].as_str().unwrap()))
    });
    let found: BTreeSet<_> = found.collect();
    found.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_real_application_play_on_a_candidate_with_its_own_ids() {
    let servers = [("baseline", free().port()), ("alike", free().port())];
    let alike = |text: String| {
        // Without a second baseline, and without the renamed field.
        let text = text.replace("8919", "8918");
        let (before, rest) = text.split_once("# A second baseline").unwrap();
        let (_, rest) = rest.split_once("[[candidate]]").unwrap();
        format!("{before}[[candidate]]{rest}").replace("candidates = [\"next\"]", "candidates = []")
    };
    let Some(proxy) = played(&servers, alike).await else { return };
    assert_eq!(proxy.outcomes().await, [("matched".to_owned(), ROUNDS * REQUESTS)]);
    assert_eq!(differing(&proxy).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_purpose_is_all_that_the_report_of_a_real_application_shows() {
    let servers = ["baseline", "secondary", "candidate"].map(|name| (name, free().port()));
    let Some(proxy) = played(&servers, |text| text).await else { return };
    let outcomes = proxy.outcomes().await;
    let names: Vec<_> = outcomes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["matched", "mismatched"], "{outcomes:?}");
    let found = differing(&proxy).await;
    // The field in the form of an issue, and its name in what lists may be sorted by.
    let (pages, others): (Vec<_>, Vec<_>) = found
        .iter()
        .map(String::as_str)
        .partition(|it| it.starts_with("pages body html > body > "));
    assert_eq!(others, ["interface $['data']['attributes']['keyword']"], "renamed to tag");
    assert!(pages.iter().any(|it| it.ends_with("> select > option[*]")), "{pages:?}");
    assert!(pages.iter().any(|it| it.ends_with("> input @name")), "{pages:?}");
    let noise = ["result=\"differed\""];
    assert_eq!(proxy.metric("mirror_noise_pairs_total", &noise).await, 0.0);
}
