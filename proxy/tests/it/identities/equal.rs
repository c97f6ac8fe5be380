//! What keeps a copy from being evidence, where ids are equal on both sides and where they are not: only that
//! it has an id that a pair made which is under way, or which failed. Both sides answer as a request says.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{ORDERS, SESSIONS, settings, shown, started};
use crate::eventually;
use crate::support::{Answer, Proxy, Seen, Upstream, json, text, upstream};

/// What a side is told to answer: a status and a body.
type Said<'s> = (u16, &'s str);

const PATIENT: &str = "[mirror]\nshare = 1\ntimeout = \"200s\"\n";

/// How it is to answer, by headers of the request.
const HELD: (&str, &str) = ("x-candidate-held", "1");
const WITHOUT_END: (&str, &str) = ("x-baseline-without-end", "1");
const CODED: (&str, &str) = ("x-baseline-coded", "1");
const LOCATION: (&str, &str) = ("x-baseline-location", "/orders/88");

/// Two sides that answer as they are told, and what is between them.
struct Stage {
    proxy: Proxy,
    candidate: Upstream,
    /// Lets the candidate answer what is held.
    gate: Arc<Semaphore>,
}

impl Stage {
    async fn with(rest: &str) -> Self {
        Self::by(ORDERS, rest).await
    }

    async fn by(identity: &str, rest: &str) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let baseline = side("baseline", &gate).await;
        let candidate = side("candidate", &gate).await;
        let named = [("v2", candidate.addr)];
        // Who waits is not done in time, which is seen.
        let rest = format!("{identity}wait = \"100s\"\n{rest}");
        let proxy = started(settings(baseline.addr, &named, &rest)).await;
        Self { proxy, candidate, gate }
    }

    async fn new() -> Self {
        Self::with(PATIENT).await
    }

    async fn send(
        &self,
        (method, path): (Method, &str),
        ours: Said<'_>,
        theirs: Said<'_>,
        how: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = self.proxy.client.request(method.clone(), self.proxy.url(path));
        if method == Method::POST {
            request = request.body("no JSON");
        }
        for (side, (status, body)) in [("baseline", ours), ("candidate", theirs)] {
            request = request.header(format!("x-{side}"), format!("{status} {body}"));
        }
        for (name, value) in how {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// The same, with the whole answer.
    async fn ask(
        &self,
        what: (Method, &str),
        ours: Said<'_>,
        theirs: Said<'_>,
        how: &[(&str, &str)],
    ) {
        let answer = self.send(what, ours, theirs, how).await;
        assert_eq!(answer.status().as_u16(), ours.0);
        answer.bytes().await.unwrap();
    }

    /// An order that the candidate fails to show is seen to differ.
    async fn counts(&self, id: u32) {
        let before = self.proxy.outcome("mismatched").await;
        let (path, body) = (format!("/orders/{id}"), format!("{{\"id\":{id}}}"));
        self.ask((Method::GET, &path), (200, &body), (500, "{}"), &[]).await;
        eventually!(self.proxy.outcome("mismatched").await == before + 1.0);
    }

    /// It is not known what the candidate calls an order.
    async fn is_unknown(&self, id: u32) {
        let before = self.proxy.outcome("identity_unknown").await;
        let (path, body) = (format!("/orders/{id}"), format!("{{\"id\":{id}}}"));
        self.ask((Method::GET, &path), (200, &body), (404, "{}"), &[]).await;
        eventually!(self.proxy.outcome("identity_unknown").await == before + 1.0);
    }

    async fn matched(&self, count: f64) {
        eventually!(self.proxy.outcome("matched").await == count);
    }

    async fn mismatched(&self, count: f64) {
        eventually!(self.proxy.outcome("mismatched").await == count);
    }

    async fn has_come(&self, count: usize) {
        eventually!(self.candidate.count() == count);
    }

    async fn order(&self) -> Value {
        shown(&self.proxy, "order").await["candidates"][0]["identities"][0].clone()
    }
}

async fn side(name: &'static str, gate: &Arc<Semaphore>) -> Upstream {
    let gate = Arc::clone(gate);
    upstream(move |seen| {
        let gate = Arc::clone(&gate);
        async move {
            if has(&seen, name, "held") {
                gate.acquire().await.unwrap().forget();
            }
            answer(&seen, name)
        }
    })
    .await
}

fn said<'s>(seen: &'s Seen, header: &str) -> Option<&'s str> {
    seen.headers.get(header).map(|it| it.to_str().unwrap())
}

fn has(seen: &Seen, name: &str, how: &str) -> bool {
    seen.headers.contains_key(format!("x-{name}-{how}"))
}

fn answer(seen: &Seen, name: &str) -> Answer {
    let (status, body) = said(seen, &format!("x-{name}")).unwrap().split_once(' ').unwrap();
    let body = &*listed(body).unwrap_or_else(|| body.to_owned());
    let mut answer = json(body);
    if has(seen, name, "coded") {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        let headers = std::mem::take(answer.headers_mut());
        answer = text(encoder.finish().unwrap());
        *answer.headers_mut() = headers;
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    }
    if has(seen, name, "without-end") {
        let frames = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        *answer.body_mut() = StreamBody::new(frames).boxed();
    }
    *answer.status_mut() = StatusCode::from_u16(status.parse().unwrap()).unwrap();
    for (header, how) in [("location", "location"), ("set-cookie", "cookie")] {
        if let Some(value) = said(seen, &format!("x-{name}-{how}")) {
            answer.headers_mut().insert(header, value.parse().unwrap());
        }
    }
    answer
}

/// Of `@FROM+COUNT` a list of orders.
fn listed(body: &str) -> Option<String> {
    let (from, count) = body.strip_prefix('@')?.split_once('+')?;
    let from: u64 = from.parse().unwrap();
    let orders =
        (from..from + count.parse::<u64>().unwrap()).map(|id| serde_json::json!({ "id": id }));
    Some(Value::from(orders.collect::<Vec<_>>()).to_string())
}

#[tokio::test]
async fn an_answer_without_an_end_keeps_no_copy_from_being_evidence() {
    let stage = Stage::new().await;
    // Of one of them the candidate has answered before the baseline has begun.
    for how in [&[WITHOUT_END][..], &[WITHOUT_END, HELD]] {
        let streams = stage.send((Method::GET, "/orders"), (200, "-"), (200, "-"), how).await;
        assert_eq!(streams.status(), 200);
        stage.counts(501).await;
        drop(streams);
    }
    stage.gate.add_permits(1);
}

#[tokio::test]
async fn what_a_coded_or_large_answer_holds_is_known_as_soon_as_it_is_whole() {
    let stage = Stage::new().await;
    let large = format!("{{\"id\":2,\"item\":\"{}\"}}", "x".repeat(5_000));
    let coded = (Method::GET, "/orders");
    stage.ask(coded, (200, "{\"id\":1}"), (200, "{\"id\":1}"), &[CODED, HELD]).await;
    stage.has_come(1).await;
    stage.counts(501).await;
    let large = format!("[{large},{large}]");
    stage.ask((Method::GET, "/orders"), (200, &large), (200, &large), &[HELD]).await;
    stage.has_come(3).await;
    stage.counts(502).await;
    stage.gate.add_permits(2);
    stage.matched(2.0).await;
}

#[tokio::test]
async fn nobody_waits_for_an_id_that_the_pair_under_way_was_asked_for() {
    let stage = Stage::new().await;
    let body = (200, "{\"id\":5}");
    stage.ask((Method::GET, "/orders/5"), body, body, &[HELD]).await;
    stage.has_come(1).await;
    stage.counts(5).await;
    stage.ask((Method::PUT, "/orders/5"), body, body, &[HELD]).await;
    stage.has_come(3).await;
    stage.counts(5).await;
    stage.gate.add_permits(2);
    stage.matched(2.0).await;
}

#[tokio::test]
async fn an_id_is_awaited_from_the_first_pair_that_has_it_alone() {
    let stage = Stage::new().await;
    let one = (200, "{\"id\":6}");
    stage.ask((Method::GET, "/orders"), one, one, &[]).await;
    stage.matched(1.0).await;
    for method in [Method::GET, Method::POST] {
        stage.ask((method, "/orders"), one, one, &[HELD]).await;
        stage.counts(6).await;
    }
    // The candidate could not say it.
    let other = (200, "{\"id\":8}");
    stage.ask((Method::GET, "/orders"), other, (500, "{}"), &[]).await;
    stage.mismatched(3.0).await;
    stage.ask((Method::GET, "/orders"), other, other, &[HELD]).await;
    stage.counts(8).await;
    stage.gate.add_permits(3);
    stage.matched(4.0).await;
}

#[tokio::test]
async fn a_change_that_fails_says_nothing_of_the_id_that_was_asked_for() {
    let stage = Stage::new().await;
    let patch = (Method::PATCH, "/orders/77");
    stage.ask(patch, (200, "{\"id\":77}"), (500, "{}"), &[]).await;
    stage.mismatched(1.0).await;
    stage.counts(77).await;
    stage.counts(77).await;
    assert_eq!(stage.proxy.outcome("identity_unknown").await, 0.0);
}

#[tokio::test]
async fn an_id_that_was_equal_stays_it_where_the_candidate_fails_to_say_it_again() {
    let stage = Stage::new().await;
    let (add, cart) = ((Method::POST, "/orders"), (200, "{\"id\":5}"));
    stage.ask(add.clone(), cart, cart, &[]).await;
    stage.matched(1.0).await;
    stage.ask(add, cart, (500, "{}"), &[]).await;
    stage.mismatched(1.0).await;
    stage.counts(5).await;
}

#[tokio::test]
async fn an_answer_that_lists_ids_has_made_none_unless_it_says_so() {
    let lists = ORDERS.replace("\"json:$.id\", \"location\"", "\"json:$[*].id\"");
    let stage = Stage::by(&lists, PATIENT).await;
    let found = (200, "[{\"id\":21},{\"id\":22}]");
    stage.ask((Method::POST, "/orders/search"), found, (500, "{}"), &[]).await;
    stage.mismatched(1.0).await;
    stage.counts(21).await;
    let made = (201, "[{\"id\":31},{\"id\":32}]");
    stage.ask((Method::POST, "/orders"), made, (500, "{}"), &[]).await;
    stage.mismatched(3.0).await;
    stage.is_unknown(31).await;
}

#[tokio::test]
async fn an_id_that_one_place_has_on_both_sides_is_not_without_counterpart() {
    let stage = Stage::new().await;
    let body = (201, "{\"id\":88}");
    stage.ask((Method::POST, "/orders"), body, body, &[LOCATION]).await;
    stage.mismatched(1.0).await;
    stage.counts(88).await;
    let other = (201, "{\"id\":188}");
    stage.ask((Method::POST, "/orders"), (201, "{\"id\":89}"), other, &[LOCATION]).await;
    stage.mismatched(3.0).await;
    assert_eq!(stage.order().await["entries"], 1);
}

#[tokio::test]
async fn what_is_the_candidates_for_one_id_is_not_learned_for_another() {
    let stage = Stage::new().await;
    let made = (Method::POST, "/orders");
    stage.ask(made, (201, "{\"id\":1017}"), (201, "{\"id\":1042}"), &[]).await;
    stage.matched(1.0).await;
    let latest = (Method::GET, "/orders/latest");
    stage.ask(latest, (200, "{\"id\":1018}"), (200, "{\"id\":1042}"), &[]).await;
    stage.mismatched(1.0).await;
    let order = stage.order().await;
    assert_eq!((&order["entries"], &order["contradicted"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn an_answer_to_a_change_with_another_id_is_a_difference() {
    let stage = Stage::new().await;
    let made = (Method::POST, "/orders");
    stage.ask(made, (201, "{\"id\":17}"), (201, "{\"id\":42}"), &[]).await;
    stage.matched(1.0).await;
    for (change, count) in [(Method::PUT, 1.0), (Method::DELETE, 2.0)] {
        let what = (change, "/orders/17");
        stage.ask(what, (200, "{\"id\":17}"), (200, "{\"id\":999}"), &[]).await;
        stage.mismatched(count).await;
    }
    assert_eq!(stage.order().await["contradicted"], 2);
    let what = (Method::GET, "/orders/17");
    stage.ask(what, (200, "{\"id\":17}"), (200, "{\"id\":42}"), &[]).await;
    stage.matched(2.0).await;
    assert_eq!(stage.candidate.seen().last().unwrap().target, "/orders/42");
}

#[tokio::test]
async fn a_session_goes_on_where_a_cookie_is_set_anew() {
    let stage = Stage::by(SESSIONS, PATIENT).await;
    let [ours, theirs] = ["x-baseline-cookie", "x-candidate-cookie"];
    let get = (Method::GET, "/page");
    let sent = || {
        let last = stage.candidate.seen().pop().unwrap();
        last.headers["cookie"].to_str().unwrap().to_owned()
    };
    let both = [(ours, "sid=b0"), (theirs, "sid=c0")];
    stage.ask((Method::POST, "/login"), (303, "-"), (303, "-"), &both).await;
    stage.matched(1.0).await;
    let renewed = [(ours, "sid=b1"), (theirs, "sid=c1"), ("cookie", "sid=b0")];
    stage.ask(get.clone(), (200, "-"), (404, "-"), &renewed).await;
    stage.mismatched(1.0).await;
    assert_eq!(sent(), "sid=c0");
    let by_one = [(ours, "sid=b2"), ("cookie", "sid=b1")];
    stage.ask(get.clone(), (200, "-"), (500, "-"), &by_one).await;
    stage.mismatched(2.0).await;
    assert_eq!(sent(), "sid=c1");
    stage.ask(get, (200, "-"), (500, "-"), &[("cookie", "sid=b2")]).await;
    stage.mismatched(3.0).await;
    assert_eq!(sent(), "sid=c1", "the candidate has no other");
}

#[tokio::test]
async fn a_relayed_copy_waits_for_what_the_baseline_has_not_answered_yet() {
    let relay = "[[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"relay\"\n";
    let stage = Stage::with(&format!("{relay}{PATIENT}")).await;
    let url = |path: &str| format!("http://{}{path}", stage.proxy.app.others()[0]);
    let client = &stage.proxy.client;
    let made = client.post(url("/orders")).header("x-baseline-held", "1").body("-");
    let made = made.header("x-baseline", "201 {\"id\":501}");
    made.header("x-candidate", "201 {\"id\":701}").send().await.unwrap();
    stage.has_come(1).await;
    let asked = client.get(url("/orders/501")).header("x-baseline", "200 {\"id\":501}");
    asked.header("x-candidate", "200 {\"id\":701}").send().await.unwrap();
    let waiting = async || shown(&stage.proxy, "order").await["candidates"][0]["waiting"].clone();
    eventually!(waiting().await == 1);
    stage.gate.add_permits(1);
    stage.matched(2.0).await;
    assert_eq!(stage.candidate.seen()[1].target, "/orders/701");
}

#[tokio::test]
async fn what_a_copy_that_is_not_sent_would_have_made_has_no_counterpart() {
    let hook = "[[hook]]\nname = \"drops\"\n\
        script = 'fn pre(copy) { if copy.headers[\"x-drop\"] == \"1\" { drop(\"no\"); } }'\n";
    let transform = "[[route]]\nname = \"made\"\nmatch.method = [\"POST\"]\n\
        [[transform]]\nname = \"with a\"\nroutes = [\"made\"]\n\
        json = { path = \"$.a\", set = \"b\" }\n";
    for (rest, why) in [(hook, "dropped_by_hook"), (transform, "transform_failed")] {
        let stage = Stage::with(rest).await;
        let made = (201, "{\"id\":17}");
        stage.ask((Method::POST, "/orders"), made, made, &[("x-drop", "1")]).await;
        eventually!(stage.proxy.outcome(why).await == 1.0);
        stage.is_unknown(17).await;
    }
}

#[tokio::test]
async fn what_a_copy_that_waited_too_long_would_have_made_has_no_counterpart() {
    let rest = "[mirror]\nshare = 1\nconcurrency = 1\ntimeout = \"2s\"\n";
    let stage = Stage::with(rest).await;
    stage.ask((Method::GET, "/orders"), (200, "[]"), (200, "[]"), &[HELD]).await;
    stage.has_come(1).await;
    let made = (201, "{\"id\":17}");
    stage.ask((Method::POST, "/orders"), made, made, &[]).await;
    eventually!(stage.proxy.outcome("expired_in_queue").await == 1.0);
    stage.is_unknown(17).await;
}

#[tokio::test]
async fn an_id_without_counterpart_that_is_seen_to_be_equal_is_evidence_again() {
    let stage = Stage::new().await;
    let made = (201, "{\"id\":9}");
    stage.ask((Method::POST, "/orders"), made, (500, "{}"), &[]).await;
    stage.mismatched(1.0).await;
    stage.is_unknown(9).await;
    let (path, ours) = ((Method::GET, "/orders/9"), (200, "{\"id\":9,\"item\":\"tea\"}"));
    // Another order that has this number on the candidate.
    stage.ask(path.clone(), ours, (200, "{\"id\":9,\"item\":\"milk\"}"), &[]).await;
    eventually!(stage.proxy.outcome("identity_unknown").await == 2.0);
    stage.is_unknown(9).await;
    stage.ask(path, ours, ours, &[]).await;
    eventually!(stage.proxy.outcome("identity_unknown").await == 4.0);
    eventually!(stage.order().await["entries"] == 0);
    stage.counts(9).await;
}

#[tokio::test]
async fn a_list_of_many_ids_is_equal_but_for_them() {
    let lists = ORDERS.replace("\"json:$.id\", \"location\"", "\"json:$[*].id\"");
    let stage = Stage::by(&lists, "").await;
    let what = (Method::POST, "/orders");
    stage.ask(what, (200, "@1+3000"), (200, "@500001+3000"), &[]).await;
    stage.matched(1.0).await;
}
