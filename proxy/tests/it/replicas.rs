//! Replicas that judge as one, over a real engine.
//!
//! Where there is no `redis-server` its tests say so and pass; `PROXY_REQUIRE_SERVERS=1` makes that a failure.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::{Settings, Tls};
use proxy::config::Config;

use crate::eventually;
use crate::servers::{Server, folder};
use crate::support::{Proxy, Upstream, fixed, free, json, proxy, status, upstream};

/// An engine, which ends with the test.
struct Engine {
    server: Option<Server>,
    addr: SocketAddr,
    name: &'static str,
}

impl Engine {
    /// `None` where there is none to start.
    async fn start(name: &'static str) -> Option<Self> {
        let mut engine = Self { server: None, addr: free(), name };
        engine.restart("").await.then_some(engine)
    }

    /// Starts it with nothing in it.
    async fn restart(&mut self, more: &str) -> bool {
        self.server = None;
        let folder = folder(self.name);
        let text = format!(
            "bind 127.0.0.1\nport {}\nsave \"\"\nappendonly no\ndir {}\n{more}\n",
            self.addr.port(),
            folder.display()
        );
        let server = Server::start("redis-server", &[], &[("redis.conf", text.as_str())], &folder);
        let Some(server) = server else { return false };
        self.server = Some(server);
        eventually!(tokio::net::TcpStream::connect(self.addr).await.is_ok());
        true
    }

    fn stop(&mut self) {
        self.server = None;
    }

    /// Stops it, or lets it go on.
    fn signal(&self, signal: &str) {
        let id = self.server.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn settings(&self, replica: &str) -> Settings {
        let url = format!("redis://{}", self.addr);
        Settings::new(&url, (None, None), Tls::default(), ("shop", replica)).unwrap()
    }
}

/// Replicas before a baseline and a candidate that fails while it is bad.
struct Several {
    proxies: Vec<Proxy>,
    candidate: Upstream,
    _baseline: Upstream,
    is_bad: Arc<AtomicBool>,
}

const COOLDOWN: Duration = Duration::from_secs(3600);

async fn several(engine: &Engine, names: &[&str], configure: impl Fn(&mut Config)) -> Several {
    let baseline = fixed("{}").await;
    let is_bad = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_bad);
    let candidate = upstream(move |_| {
        let is_bad = switch.load(Ordering::SeqCst);
        async move { if is_bad { status(500) } else { json("{}") } }
    })
    .await;
    let mut proxies = Vec::new();
    for name in names {
        let replica = proxy(baseline.addr, candidate.addr, |config| {
            config.guardrail.cooldown = COOLDOWN;
            config.cluster = Some(engine.settings(name));
            configure(config);
        });
        proxies.push(replica.await);
    }
    for proxy in &proxies {
        eventually!(connected(proxy).await);
    }
    Several { proxies, candidate, _baseline: baseline, is_bad }
}

async fn connected(proxy: &Proxy) -> bool {
    proxy.metric("mirror_cluster_connected", &[]).await == 1.0
}

async fn state(proxy: &Proxy) -> String {
    proxy.status().await["state"].as_str().unwrap().to_owned()
}

impl Several {
    async fn all_are(&self, wanted: &str) {
        for proxy in &self.proxies {
            eventually!(state(proxy).await == wanted);
        }
    }

    async fn aborts(&self) -> f64 {
        let mut sum = 0.0;
        for proxy in &self.proxies {
            sum += proxy.metric("mirror_aborts_total", &[]).await;
        }
        sum
    }
}

#[tokio::test]
async fn what_is_switched_by_hand_at_one_holds_for_all_and_the_last_word_counts() {
    let Some(engine) = Engine::start("replicas-hand").await else { return };
    let of = several(&engine, &["a", "b", "c"], |_| {}).await;
    let [a, b, c] = &of.proxies[..] else { panic!("three") };
    a.control("disable").await;
    of.all_are("held").await;
    b.get("/").await;
    assert_eq!(of.candidate.count(), 0);
    b.control("enable").await;
    of.all_are("enabled").await;
    // At the same time: one of both holds, and for all.
    tokio::join!(a.control("disable"), c.control("enable"));
    eventually!({
        let states = [state(a).await, state(b).await, state(c).await];
        states.iter().all(|state| *state == states[0])
    });
}

#[tokio::test]
async fn failures_that_no_replica_sees_enough_of_stop_the_candidate_once_for_all() {
    let Some(engine) = Engine::start("replicas-trip").await else { return };
    let of = several(&engine, &["a", "b", "c"], |config| config.guardrail.consecutive = 6).await;
    of.is_bad.store(true, Ordering::SeqCst);
    // Two each: nobody alone would stop it for fewer than six.
    for proxy in of.proxies.iter().cycle().take(6) {
        assert_eq!(proxy.get("/shop/7").await.status(), 200);
    }
    of.all_are("tripped").await;
    assert_eq!(of.aborts().await, 1.0, "it is one trip");
    for proxy in &of.proxies {
        let reason = proxy.status().await["lastAbortReason"].as_str().unwrap().to_owned();
        assert!(reason.contains("6 breaches in a row"), "{reason}");
    }
}

#[tokio::test]
async fn the_first_request_after_a_cooldown_resumes_all_at_whichever_replica_it_comes() {
    let Some(engine) = Engine::start("replicas-resume").await else { return };
    let of = several(&engine, &["a", "b"], |config| {
        config.guardrail.consecutive = 4;
        config.guardrail.cooldown = Duration::from_millis(600);
        config.guardrail.ramp = None;
    })
    .await;
    of.is_bad.store(true, Ordering::SeqCst);
    for proxy in of.proxies.iter().cycle().take(4) {
        proxy.get("/").await;
    }
    of.all_are("tripped").await;
    of.is_bad.store(false, Ordering::SeqCst);
    let [a, b] = &of.proxies[..] else { panic!("two") };
    eventually!({
        a.get("/").await;
        state(b).await == "enabled"
    });
    of.all_are("enabled").await;
}

#[tokio::test]
async fn while_the_engine_is_away_each_judges_alone_and_what_it_stopped_is_told_when_it_is_back() {
    let Some(mut engine) = Engine::start("replicas-away").await else { return };
    let of = several(&engine, &["a", "b"], |config| config.guardrail.consecutive = 5).await;
    let [a, b] = &of.proxies[..] else { panic!("two") };
    engine.stop();
    for proxy in &of.proxies {
        eventually!({
            assert_eq!(proxy.get("/").await.status(), 200, "clients see nothing of it");
            !connected(proxy).await
        });
    }
    of.is_bad.store(true, Ordering::SeqCst);
    eventually!({
        a.get("/").await;
        state(a).await == "tripped"
    });
    assert_eq!(state(b).await, "enabled", "it has seen no failure");
    // With nothing in it, as where its folder was lost.
    assert!(engine.restart("").await);
    of.all_are("tripped").await;
    assert_eq!(of.aborts().await, 1.0);
}

#[tokio::test]
async fn an_engine_that_hangs_is_full_or_knows_us_not_is_away() {
    let Some(mut engine) = Engine::start("replicas-hangs").await else { return };
    let of = several(&engine, &["a"], |config| config.guardrail.consecutive = 5).await;
    let a = &of.proxies[0];
    engine.signal("-STOP");
    eventually!(!connected(a).await);
    assert_eq!(a.get("/").await.status(), 200);
    engine.signal("-CONT");
    eventually!(connected(a).await);
    for (more, why) in
        [("maxmemory 1mb\nmaxmemory-policy noeviction", "OOM"), ("requirepass other", "NOAUTH")]
    {
        engine.stop();
        eventually!(!connected(a).await);
        assert!(engine.restart(more).await);
        eventually!({
            a.get("/").await;
            let told: serde_json::Value = a.get("/control/cluster").await.json().await.unwrap();
            told["error"].as_str().is_some_and(|error| error.contains(why))
        });
        eventually!(!connected(a).await);
    }
    assert!(engine.restart("").await);
    eventually!(connected(a).await);
}
