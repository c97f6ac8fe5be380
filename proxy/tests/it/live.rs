//! A proxy that runs by the text of a settings file, which a test may change.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proxy::app::{self, Source};
use proxy::config::Config;
use proxy::mirror::Failpoint;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use crate::support::{Proxy, client, read_until};

/// A file that mirrors everything and judges no latency, to which candidates and routes are added.
pub(crate) fn file(baseline: SocketAddr, mirror: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nconsecutive = 1000000\nlatency_floor = \"1h\"\n[mirror]\nshare = 1\n{mirror}\n"
    )
}

/// A candidate with these settings of its own.
pub(crate) fn candidate(name: &str, addr: SocketAddr, more: &str) -> String {
    format!("[[candidate]]\nname = \"{name}\"\nurl = \"http://{addr}\"\n{more}\n")
}

/// A route for the paths below `/NAME`, with these settings.
pub(crate) fn route(name: &str, more: &str) -> String {
    format!(
        "[[route]]\nname = \"{name}\"\nmatch = {{ path = {{ prefix = \"/{name}\" }} }}\n{more}\n"
    )
}

/// One after the other.
pub(crate) fn all(parts: &[String]) -> String {
    parts.iter().fold(String::new(), |mut text, part| {
        writeln!(text, "{part}").unwrap();
        text
    })
}

pub(crate) struct Live {
    pub(crate) proxy: Proxy,
    text: Arc<Mutex<String>>,
}

fn read(text: &str) -> Result<Config, proxy::config::Errors> {
    Config::from_text("m.toml", text, &|_| None)
}

pub(crate) async fn live(text: &str) -> Live {
    live_probed(text, None).await
}

pub(crate) async fn live_probed(text: &str, probe: Option<Failpoint>) -> Live {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let text = Arc::new(Mutex::new(text.to_owned()));
    let read_anew = Arc::clone(&text);
    let read = Arc::new(move || read(&read_anew.lock().unwrap()));
    let source = Source { read, watched: None };
    let app = app::start_from(config, Handle::current(), probe, Some(source)).await.unwrap();
    Live { proxy: Proxy { app, client: client() }, text }
}

impl Live {
    /// Changes the file.
    pub(crate) fn change(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }

    /// Changes the file and asks for it to be read; status and answer.
    pub(crate) async fn reload(&self, text: &str) -> (u16, Value) {
        self.change(text);
        let answer = self.proxy.control("reload").await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Changes the file; it must be good.
    pub(crate) async fn take(&self, text: &str) -> Value {
        let (status, answer) = self.reload(text).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Says something by hand; status and answer.
    pub(crate) async fn say(&self, said: &Value) -> (u16, Value) {
        let url = self.proxy.url("/control/policy");
        let answer = self.proxy.client.patch(url).json(said).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Sends one GET to its end.
    pub(crate) async fn get(&self, path: &str) {
        self.proxy.get(path).await.bytes().await.unwrap();
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.proxy.get(path).await.json().await.unwrap()
    }

    /// The events of this name.
    pub(crate) async fn events(&self, name: &str) -> Vec<Value> {
        let events = self.json("/control/events").await;
        let events = events["events"].as_array().unwrap().iter();
        events.filter(|event| event["event"] == name).cloned().collect()
    }

    /// How many requests had this outcome for this candidate.
    pub(crate) async fn outcome(&self, candidate: &str, outcome: &str) -> f64 {
        let (candidate, outcome) = (named("candidate", candidate), named("outcome", outcome));
        self.proxy.metric("mirror_outcomes_total", &[&candidate, &outcome]).await
    }

    /// How many requests had an outcome for this candidate.
    pub(crate) async fn all_outcomes(&self, candidate: &str) -> f64 {
        self.proxy.metric("mirror_outcomes_total", &[&named("candidate", candidate)]).await
    }
}

/// Sends these bytes as a target, which a well-behaved client would not.
pub(crate) async fn get_raw(live: &Live, target: &str) -> String {
    let mut stream = live.proxy.connect().await;
    let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "never").await
}

pub(crate) fn named(label: &str, value: &str) -> String {
    format!("{label}=\"{value}\"")
}
