//! The page, as far as it is an endpoint: gathers what is known, has it rendered, and says to browsers what they may do
//! with it. Who may see and do what is settled as for all endpoints; what is switched goes through those that there are.

use std::io::Write;
use std::sync::Arc;

use axum::extract::{Extension, Form, State as Shared};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::json;

mod gather;
pub(super) mod live;
mod views;

pub(super) use views::{differences, route, settings, timeline};

use super::query::{Nothing, Parameters, Query};
use super::trail::{Said, Why};
use super::{
    About, Control, NotFound, NotSwitched, beside_traffic, disable, enable, override_policy,
    report, rules,
};
use crate::access::Denied;
use crate::audit::cut;
use crate::headers::Peer;
use crate::page::overview::{self, Sort};
use crate::page::{ICON, Notice, POLICY, SCRIPT, STYLE, Shell, View};
use crate::steer::Steer;

/// What browsers are told of every page.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`, by which browsers would hide whose page it is that switches something.
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (VARY, "authorization"),
];

/// Bytes of a page that are sent as they are.
const PACKED_FROM: usize = 32 << 10;

/// Which page a path is, where it is one: what is refused there is read by people.
pub(super) fn view_at(path: &str) -> Option<View> {
    match path {
        "/control/" | "/control/switch" => Some(View::Overview),
        "/control/route" => Some(View::Route),
        "/control/differences" => Some(View::Differences),
        "/control/timeline" => Some(View::Timeline),
        "/control/settings" => Some(View::Settings),
        _ => None,
    }
}

/// A page.
fn page(html: String) -> Response {
    (HEADERS, html).into_response()
}

/// A page of counts alone, packed where it is long and the browser takes that: a hundred routes of an hour. Of pages with
/// values the packed length could tell something to whoever sees it on its way.
fn packed(html: String, headers: &HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
    if html.len() < PACKED_FROM || !accepts.is_some_and(|it| it.contains("gzip")) {
        return page(html);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    match encoder.write_all(html.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => {
            let about = [(CONTENT_ENCODING, "gzip"), (VARY, "accept-encoding, authorization")];
            (HEADERS, about, bytes).into_response()
        }
        Err(_) => page(html),
    }
}

fn shell(control: &Control, view: View, withheld: Option<&'static str>) -> Shell {
    bare(&control.steer, view, withheld).of_run(&control.live.run)
}

/// Around what is no view.
fn bare(steer: &Steer, view: View, withheld: Option<&'static str>) -> Shell {
    Shell::new(view, !steer.access().tokens.is_empty(), withheld)
}

/// That a request may not, as a page in the place of the answer for programs.
pub(super) fn refused(steer: &Steer, view: View, denied: Denied, told: Response) -> Response {
    let shell = bare(steer, view, Some(denied.withheld()));
    let html = Notice::html(shell, "Not shown", denied.reason());
    let (mut parts, _) = told.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    for (name, value) in HEADERS {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, html.into())
}

/// That something was not done, as a page: what was refused with a reason.
fn as_page(steer: &Steer, view: View, refused: &Response) -> Response {
    let why = refused.extensions().get::<Why>().cloned();
    let reason = why.as_ref().map_or("", |Why(reason)| reason);
    let html = Notice::html(bare(steer, view, None), "Not done", reason);
    (refused.status(), why.map(Extension), page(html)).into_response()
}

/// The same as `refuse`, for those that ask for the page of what is not there.
fn not_found(steer: &Steer, view: View, not_found: NotFound) -> Response {
    as_page(steer, view, &not_found.into_response())
}

/// From the address that people type.
pub(super) async fn moved(Query(Nothing {}): Query<Nothing>) -> Response {
    // Relative, since nobody here knows what stands before the path.
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "control/")]).into_response()
}

/// Told apart by version in a browser's cache.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Version {
    #[expect(dead_code, reason = "it is there for caches")]
    v: Option<String>,
}

impl Parameters for Version {
    const NAMES: &'static [&'static str] = &["v"];
}

fn file(media: &'static str, text: &'static str) -> Response {
    let kept = [(CACHE_CONTROL, "max-age=86400"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    ([(CONTENT_TYPE, media)], kept, text).into_response()
}

pub(super) async fn style(Query(_): Query<Version>) -> Response {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script(Query(_): Query<Version>) -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon(Query(_): Query<Version>) -> Response {
    file("image/svg+xml", ICON)
}

/// Which overview is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Overview {
    candidate: Option<String>,
    sort: Option<String>,
}

impl Parameters for Overview {
    const NAMES: &'static [&'static str] = &["candidate", "sort"];
}

pub(super) async fn overview(
    Shared(control): Shared<Control>,
    Query(asked): Query<Overview>,
    headers: HeaderMap,
) -> Response {
    beside_traffic(move || {
        let sort = asked.sort.as_deref().and_then(Sort::named).unwrap_or_default();
        let seen = gather::seen(&control);
        let candidate = match gather::chosen(&seen, asked.candidate.as_deref()) {
            Ok(candidate) => candidate,
            Err(why) => return not_found(&control.steer, View::Overview, why),
        };
        let names: Vec<_> = seen.candidates.iter().map(|it| it.name.to_string()).collect();
        let shell = shell(&control, View::Overview, None);
        let shell = shell.of_candidate(&candidate.name, &names);
        packed(overview::page(shell, &seen, candidate, sort), &headers)
    })
    .await
}

/// A switch that was pressed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pressed {
    what: What,
    #[serde(default)]
    candidate: String,
    #[serde(default)]
    route: String,
    #[serde(default)]
    share: String,
    #[serde(default)]
    time: String,
    /// To apply.
    #[serde(default)]
    rules: String,
    /// Of applied rules.
    #[serde(default)]
    id: String,
    /// The page to go back to.
    #[serde(default)]
    back: String,
}

/// What it is for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Enable,
    Disable,
    Share,
    Reset,
    /// Rules of the comparison.
    Apply,
    Withdraw,
}

impl Pressed {
    fn about(&self) -> About {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        About { candidate: said(&self.candidate), route: said(&self.route) }
    }

    /// As `PATCH /control/policy` wants it.
    fn policy(&self) -> String {
        let About { candidate, route } = self.about();
        // What is no number is refused with what it is.
        let share = self.share.parse().map_or_else(|_| json!(self.share), |it: f64| json!(it));
        let time = (!self.time.is_empty()).then_some(&self.time);
        json!({"candidate": candidate, "route": route, "share": share, "for": time}).to_string()
    }

    /// For the audit log.
    fn said(&self) -> Said {
        let About { candidate, route } = self.about();
        let what = format!("{:?}", self.what).to_lowercase();
        let mut said = json!({"what": what, "candidate": candidate, "route": route});
        for (name, value) in [("rules", &self.rules), ("id", &self.id)] {
            if !value.is_empty() {
                said[name] = cut(value).into();
            }
        }
        Said(said)
    }
}

pub(super) async fn switch(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    pressed: Result<Form<Pressed>, axum::extract::rejection::FormRejection>,
) -> Response {
    let steer = Arc::clone(&control.steer);
    let Form(pressed) = match pressed {
        Ok(pressed) => pressed,
        Err(why) => {
            return as_page(&steer, View::Overview, &super::query::bad(&why.body_text()));
        }
    };
    let state = Shared(control);
    let about = Query(pressed.about());
    let done = match pressed.what {
        What::Enable => enable(state, about).await.unwrap_or_else(NotSwitched::into_response),
        What::Disable => disable(state, about).await.unwrap_or_else(NotSwitched::into_response),
        What::Reset => report::reset(state, about).await.unwrap_or_else(NotFound::into_response),
        What::Share => override_policy(state, Query(Nothing {}), Ok(pressed.policy().into())).await,
        What::Apply => {
            // A browser sends lines as forms have them.
            let rules = pressed.rules.replace("\r\n", "\n");
            rules::apply(state, Query(Nothing {}), peer, headers, Ok(rules.into())).await
        }
        What::Withdraw => match pressed.id.parse() {
            Ok(id) => rules::withdraw(state, Query(rules::Which::of(id)), peer, headers).await,
            Err(_) => super::query::bad("id: is no number of applied rules"),
        },
    };
    let answer = if done.status().is_success() {
        // Nowhere but to a page of ours.
        let back = if View::is_of(&pressed.back) { &pressed.back } else { "./" };
        (StatusCode::SEE_OTHER, [(LOCATION, back.to_owned())]).into_response()
    } else {
        as_page(&steer, View::Overview, &done)
    };
    (Extension(pressed.said()), answer).into_response()
}

#[cfg(test)]
mod tests;
