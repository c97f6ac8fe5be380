//! What happens while somebody looks: one look at all that the overview tells, at most once a second, for all who listen.
//! Whoever reads slowly gets the last of it, not all.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use super::gather;
use crate::control::Control;
use crate::control::query::{Parameters, Query};
use crate::page::overview::{Part, Parts, Seen, Sort};

/// Most who listen at once; more are asked to come back later.
const STREAMS_MAX: usize = 64;
/// How often is looked at most.
const EVERY: Duration = Duration::from_secs(1);
/// A look may take this part of the time: one hundredth of a core.
const PART: u32 = 100;
/// However long a look takes, the next one is not later than this.
const AT_THE_LATEST: Duration = Duration::from_secs(30);
/// How often is looked whether anybody still listens, and whether the proxy ends.
const BETWEEN: Duration = Duration::from_millis(250);
/// So that whatever stands between sees that the connection is used.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What a stream says of itself, so that nobody between keeps events back to send or to pack more at once: NGINX would.
const UNBUFFERED: [(HeaderName, &str); 2] = [
    (CACHE_CONTROL, "no-store, no-transform"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// What is told to all who listen; `None` before the first look, and when there is none any more.
type Told = Option<Arc<Look>>;

/// One look.
#[derive(Debug)]
struct Look {
    seen: Seen,
    /// Changes when something happened that is an event.
    events: String,
    revision: String,
}

/// Those who listen.
#[derive(Debug)]
pub struct Live {
    told: watch::Sender<Told>,
    /// Whether somebody looks.
    looks: Mutex<bool>,
    room: Arc<Semaphore>,
    /// Another one after a restart.
    pub(super) run: String,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            told: watch::Sender::new(None),
            looks: Mutex::new(false),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            run: format!("{:016x}", rand::random::<u64>()),
        }
    }
}

impl Live {
    /// Listens from now on; somebody looks from now on.
    fn listen(&self, control: &Control) -> watch::Receiver<Told> {
        // Held, so that whoever looks does not leave at this moment.
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let listens = self.told.subscribe();
        if !std::mem::replace(&mut *looks, true) {
            tokio::spawn(look(control.clone()));
        }
        listens
    }

    /// Whether nobody listens any more; then nobody looks from now on.
    fn leaves(&self) -> bool {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        *looks = self.told.receiver_count() > 0;
        !*looks
    }

    /// Whether somebody looks.
    #[cfg(test)]
    pub(super) fn is_looking(&self) -> bool {
        *self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        *self.looks.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.told.send_replace(None);
    }
}

/// Looks as long as somebody listens.
async fn look(control: Control) {
    let live = Arc::clone(&control.live);
    loop {
        let looking = control.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            (once(&looking), started.elapsed())
        });
        let Ok((look, took)) = looked.await else { return live.end() };
        live.told.send_replace(Some(Arc::new(look)));
        let next = Instant::now() + (took * PART).clamp(EVERY, AT_THE_LATEST);
        while Instant::now() < next {
            sleep(BETWEEN).await;
            if control.draining.load(Ordering::Relaxed) {
                return live.end();
            }
            if live.leaves() {
                return;
            }
        }
    }
}

fn once(control: &Control) -> Look {
    let events = control.steer.events();
    let last = events.last().map_or(Value::Null, |it| it["time"].clone());
    Look {
        seen: gather::seen(control),
        events: format!("{} {last}", events.len()),
        revision: control.steer.revision(),
    }
}

/// What a page listens for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::control) struct Listen {
    /// `overview`, for its parts as they change; else whether there is something new.
    of: Option<String>,
    candidate: Option<String>,
    sort: Option<String>,
}

impl Parameters for Listen {
    const NAMES: &'static [&'static str] = &["of", "candidate", "sort"];
}

/// One who listens.
struct Listener {
    told: watch::Receiver<Told>,
    run: String,
    listen: Listen,
    /// What it has, by id.
    has: HashMap<String, u64>,
    order: u64,
    _room: OwnedSemaphorePermit,
}

pub(in crate::control) async fn live(
    Shared(control): Shared<Control>,
    Query(listen): Query<Listen>,
) -> Response {
    let live = Arc::clone(&control.live);
    let is_ending = control.draining.load(Ordering::Relaxed);
    let room = Arc::clone(&live.room).try_acquire_owned().ok().filter(|_| !is_ending);
    let Some(room) = room else {
        let later = [(RETRY_AFTER, "10")];
        let why = "there is no room for one more who listens";
        return (StatusCode::SERVICE_UNAVAILABLE, later, why).into_response();
    };
    let (has, order, run) = (HashMap::new(), 0, live.run.clone());
    let listener = Listener { told: live.listen(&control), run, listen, has, order, _room: room };
    let events = stream::unfold(listener, next);
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    (UNBUFFERED, sse).into_response()
}

/// The next event, or the end.
async fn next(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    listener.told.changed().await.ok()?;
    let look = listener.told.borrow_and_update().clone()?;
    // Rendering is some milliseconds that clients need not wait for.
    let rendered = tokio::task::spawn_blocking(move || {
        let message = listener.message(&look);
        (message, listener)
    });
    let (message, listener) = rendered.await.ok()?;
    Some((Ok(Event::default().data(message.to_string())), listener))
}

impl Listener {
    fn message(&mut self, look: &Look) -> Value {
        let chosen = gather::chosen(&look.seen, self.listen.candidate.as_deref()).ok();
        let mut message = json!({
            "run": self.run,
            "events": look.events,
            "revision": look.revision,
            "pairs": chosen.map(|it| it.scope.pairs),
        });
        if let (Some("overview"), Some(candidate)) = (self.listen.of.as_deref(), chosen) {
            let sort = self.listen.sort.as_deref().and_then(Sort::named).unwrap_or_default();
            self.add(&mut message, &Parts::of(&look.seen, candidate, sort));
        }
        message
    }

    /// Of the parts those that it has otherwise.
    fn add(&mut self, message: &mut Value, parts: &Parts) {
        let sections = self.news(&parts.sections);
        message["sections"] = sections.into();
        let ids: Vec<_> = parts.rows.iter().map(|it| it.id.as_str()).collect();
        let order = hash(&ids.join(" "));
        if std::mem::replace(&mut self.order, order) != order {
            message["order"] = ids.into();
        }
        let rows = self.news(&parts.rows);
        message["rows"] = rows.into();
    }

    fn news(&mut self, parts: &[Part]) -> Map<String, Value> {
        let mut news = Map::new();
        for Part { id, html } in parts {
            let hash = hash(html);
            if self.has.insert(id.clone(), hash) != Some(hash) {
                news.insert(id.clone(), html.as_str().into());
            }
        }
        news
    }
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}
