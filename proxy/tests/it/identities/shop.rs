//! A scripted shop: orders, sessions and forms, with numbers and tokens of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Answer, Seen, Upstream, text, upstream};

pub(super) struct Shop {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

struct State {
    first: u64,
    next: HashMap<String, u64>,
    by_user: bool,
    orders: BTreeMap<u64, String>,
    sessions: HashSet<String>,
    held: Option<(&'static str, Arc<Semaphore>)>,
    failing: Option<&'static str>,
    id_shown: Option<u64>,
    encodes: bool,
    pause: Duration,
}

impl Shop {
    /// Its first order has this number.
    pub(super) async fn new(first: u64) -> Self {
        let state = Arc::new(Mutex::new(State {
            first,
            next: HashMap::new(),
            by_user: false,
            orders: BTreeMap::new(),
            sessions: HashSet::new(),
            held: None,
            failing: None,
            id_shown: None,
            encodes: false,
            pause: Duration::ZERO,
        }));
        let shared = Arc::clone(&state);
        let upstream = upstream(move |seen| {
            let state = Arc::clone(&shared);
            async move {
                let (held, pause) = {
                    let state = state.lock().unwrap();
                    (state.held.clone(), state.pause)
                };
                if let Some((_, gate)) = held.filter(|(method, _)| seen.method == *method) {
                    gate.acquire().await.unwrap().forget();
                }
                if !pause.is_zero() && seen.method != "GET" {
                    tokio::time::sleep(pause).await;
                }
                state.lock().unwrap().answer(&seen)
            }
        });
        Self { upstream: upstream.await, state }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.upstream.addr
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.upstream.seen().into_iter().map(|it| it.target).collect()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        let seen = self.upstream.seen();
        seen.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect()
    }

    pub(super) fn cookies(&self) -> Vec<Option<String>> {
        self.upstream.seen().iter().map(cookie).collect()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Requests with this method wait for a permit.
    pub(super) fn hold(&self, method: &'static str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.change(|it| it.held = Some((method, Arc::clone(&gate))));
        gate
    }

    pub(super) fn fail(&self, method: &'static str) {
        self.change(|it| it.failing = Some(method));
    }

    /// It shows this id whatever it was asked for.
    pub(super) fn answer_with_id(&self, id: u64) {
        self.change(|it| it.id_shown = Some(id));
    }

    pub(super) fn answer_as_it_is(&self) {
        self.change(|it| (it.id_shown, it.failing) = (None, None));
    }

    /// Each user's orders are numbered from the first on.
    pub(super) fn number_by_user(&self) {
        self.change(|it| it.by_user = true);
    }

    pub(super) fn skip_for(&self, user: &str) {
        self.change(|it| {
            it.next.insert(user.to_owned(), it.first + 1);
        });
    }

    /// Its answers are compressed from now on.
    pub(super) fn encode(&self) {
        self.change(|it| it.encodes = true);
    }

    /// It takes so long to change anything, so that reads overtake changes that they are sent beside.
    pub(super) fn be_slow(&self, pause: Duration) {
        self.change(|it| it.pause = pause);
    }
}

fn cookie(seen: &Seen) -> Option<String> {
    let line = seen.headers.get("cookie")?.to_str().unwrap();
    line.split("; ").find_map(|pair| pair.strip_prefix("sid=").map(str::to_owned))
}

fn with(code: u16, body: impl Into<String>) -> Answer {
    let mut answer = text(body.into());
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Answer {
        if self.failing == Some(seen.method.as_str()) {
            return self.json(500, &json!({"error": "broken"}));
        }
        let parts: Vec<_> = seen.target.trim_matches('/').split('/').collect();
        match (seen.method.as_str(), &parts[..]) {
            ("POST", ["orders"]) => self.create(seen),
            ("GET", ["orders"]) => {
                let all = self.orders.iter().map(|(id, item)| json!({"id": id, "item": item}));
                self.json(200, &all.collect())
            }
            (method, ["orders", id]) => self.order(method, id.parse().unwrap_or(0), seen),
            ("POST", ["login"]) => {
                let sid = format!("sid-{}-{}", self.first, self.sessions.len());
                self.sessions.insert(sid.clone());
                let mut answer = with(303, "");
                answer.headers_mut().insert("location", "/form".parse().unwrap());
                let line = format!("sid={sid}; Path=/; HttpOnly");
                answer.headers_mut().insert("set-cookie", line.parse().unwrap());
                answer
            }
            (method, [path]) => match cookie(seen).filter(|sid| self.sessions.contains(sid)) {
                Some(sid) => self.form(method, path, &sid, seen),
                None => with(401, "who are you"),
            },
            _ => with(404, "nothing"),
        }
    }

    fn create(&mut self, seen: &Seen) -> Answer {
        let user = seen.headers.get("x-user").filter(|_| self.by_user);
        let user = user.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let next = self.next.entry(user).or_insert(self.first);
        let id = *next;
        *next += 1;
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        // Of several users those with the same number overwrite each other, which no test looks at.
        let item = body["item"].as_str().unwrap().to_owned();
        let shown = json!({"id": id, "item": item});
        self.orders.insert(id, item);
        let mut answer = self.json(201, &shown);
        if !self.by_user {
            let location = format!("/orders/{id}");
            answer.headers_mut().insert("location", location.parse().unwrap());
        }
        answer
    }

    fn order(&mut self, method: &str, id: u64, seen: &Seen) -> Answer {
        if let Some(user) = seen.headers.get("x-user") {
            return self.json(200, &json!({"id": id, "item": user.to_str().unwrap()}));
        }
        if !self.orders.contains_key(&id) {
            return self.json(404, &json!({"error": "no such order"}));
        }
        match method {
            "DELETE" => {
                self.orders.remove(&id);
                with(204, "")
            }
            "PUT" => {
                let body: Value = serde_json::from_slice(&seen.body).unwrap();
                if body.get("id").is_some_and(|it| it.as_u64() != Some(id)) {
                    return self.json(409, &json!({"error": "another order"}));
                }
                let item = body["item"].as_str().unwrap().to_owned();
                let shown = json!({"id": id, "item": item});
                self.orders.insert(id, item);
                self.json(200, &shown)
            }
            _ => {
                let shown = json!({"id": self.id_shown.unwrap_or(id), "item": self.orders[&id]});
                self.json(200, &shown)
            }
        }
    }

    /// A token has a plus, which HTML may write as a character reference and forms must encode.
    fn form(&mut self, method: &str, path: &str, sid: &str, seen: &Seen) -> Answer {
        let token = format!("t+{sid}=");
        match (method, path) {
            ("GET", "form") => {
                let token = token.replace('+', if self.first > 40 { "&#43;" } else { "+" });
                let page = format!("<form><input name=\"csrf\" value=\"{token}\"></form>");
                let mut answer = with(200, page);
                answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
                answer
            }
            ("POST", "form") => {
                let body =
                    String::from_utf8_lossy(&seen.body).replace("%2B", "+").replace("%3D", "=");
                let header = seen.headers.get("x-csrf").map(|it| it.to_str().unwrap().to_owned());
                if body.contains(&token) || header.as_ref() == Some(&token) {
                    with(200, "done")
                } else {
                    with(403, "forged")
                }
            }
            ("POST", "logout") => {
                self.sessions.remove(sid);
                with(200, "bye")
            }
            _ => with(404, "nothing"),
        }
    }

    fn json(&self, code: u16, value: &Value) -> Answer {
        let body = value.to_string();
        let mut answer = if self.encodes {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body.as_bytes()).unwrap();
            let mut answer = text(encoder.finish().unwrap());
            answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            answer
        } else {
            text(body)
        };
        *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        answer
    }
}
