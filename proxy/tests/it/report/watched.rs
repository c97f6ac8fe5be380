//! `report --watch`: a report that is followed, in a log.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use super::{bad_under_one_path, easy, pairs};
use crate::eventually;
use crate::process::{self, command};
use crate::support::{fixed, proxy, refusing};

/// Someone who follows a report; killed when the test ends.
struct Watcher {
    child: Child,
    said: [Arc<Mutex<String>>; 2],
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn gather(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let said = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    });
    said
}

impl Watcher {
    fn of(url: &str, more: &[&str]) -> Self {
        let mut command = command(&[]);
        command.args(["report", "--url", url, "--watch", "--interval", "100ms"]).args(more);
        let mut child = command.spawn().unwrap();
        let said = [gather(child.stdout.take().unwrap()), gather(child.stderr.take().unwrap())];
        Self { child, said }
    }

    fn said(&self, at: usize, part: &str) -> bool {
        self.said[at].lock().unwrap().contains(part)
    }

    async fn ended_by(&mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        eventually!(self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

#[tokio::test]
async fn it_is_told_anew_where_the_headline_changes_and_ends_with_the_last_exit_code() {
    let proxy = proxy(fixed("{}").await.addr, bad_under_one_path().await.addr, easy).await;
    let mut watcher = Watcher::of(&proxy.url(""), &["--require", "pass"]);
    eventually!(watcher.said(0, "Not known yet: no pair has come so far"));
    pairs(&proxy, "/bad", 60).await;
    eventually!(watcher.said(0, "Do not release: "));
    assert_eq!(watcher.ended_by("-INT").await, Some(1));
    // A thread gathers what it says.
    eventually!(watcher.said(1, "fail: all routes"));
    let said = watcher.said[0].lock().unwrap().clone();
    assert_eq!(said.matches("Not known yet: no pair").count(), 1, "{said}");
    assert!(!said.contains('\u{1b}'), "a log is no terminal: {said}");
}

#[tokio::test]
async fn a_proxy_that_is_away_is_waited_for() {
    // Nobody listens there yet, and somebody will.
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut watcher = Watcher::of(&format!("http://{addr}"), &[]);
    eventually!(watcher.said(1, "connection refused; asking again every 100ms"));
    let upstream = fixed("{}").await.addr;
    let listens = addr.to_string();
    let _proxy = process::start(upstream, upstream, &[("LISTEN_ADDR", &listens)]).await;
    eventually!(watcher.said(0, "Not known yet: no pair has come so far"));
    eventually!(watcher.said(1, "the proxy answers again"));
    assert_eq!(watcher.ended_by("-TERM").await, Some(3));
}

#[tokio::test]
async fn without_any_report_the_end_is_that_there_is_none() {
    let mut watcher = Watcher::of(&format!("http://{}", refusing()), &[]);
    eventually!(watcher.said(1, "connection refused"));
    assert_eq!(watcher.ended_by("-INT").await, Some(2));
}
