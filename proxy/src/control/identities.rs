//! What is known of the ids that candidates give out themselves: hashes in place of values, and how to
//! forget them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Parameters, Query};
use super::{Control, NotFound, beside_traffic};
use crate::mirror::Lanes;
use crate::mirror::identities::Known;
use crate::mirror::lane::Lane;

/// Most entries of an identity that are shown.
const SHOWN_MAX: usize = 100;

/// Which are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    candidate: Option<String>,
    identity: Option<String>,
}

impl Parameters for Which {
    const NAMES: &'static [&'static str] = &["candidate", "identity"];
}

impl Which {
    /// The lanes of the candidates that are meant. An identity that is named must be known to one of them.
    fn lanes(&self, lanes: &Lanes) -> Result<Vec<Arc<Lane>>, NotFound> {
        let observed = super::named(lanes, self.candidate.as_deref())?;
        let is_meant = |lane: &Lane| observed.iter().any(|it| Arc::ptr_eq(it, &lane.observe));
        let all = lanes.entries.iter().map(|entry| Arc::clone(&entry.lane));
        let meant: Vec<_> = all.filter(|lane| is_meant(lane)).collect();
        let Some(identity) = &self.identity else { return Ok(meant) };
        let known: Vec<_> = meant.iter().flat_map(|lane| lane.identities.all()).collect();
        if known.iter().any(|it| *it.name == **identity) {
            return Ok(meant);
        }
        let names: std::collections::BTreeSet<_> = known.iter().map(|it| &*it.name).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let allowed =
            if names.is_empty() { "none, since there are no [[identity]]" } else { &names };
        Err(NotFound(format!("identity={identity:?}: is none; allowed is {allowed}")))
    }

    fn is_of(&self, identity: &Known) -> bool {
        self.identity.as_ref().is_none_or(|named| **named == *identity.name)
    }
}

pub(super) async fn show(Shared(control): Shared<Control>, Query(which): Query<Which>) -> Response {
    beside_traffic(move || match which.lanes(&control.lanes()) {
        Ok(lanes) => {
            let candidates = lanes.iter().map(|lane| candidate(lane, &which));
            let candidates: Vec<_> = candidates.collect();
            Json(json!({ "candidates": candidates })).into_response()
        }
        Err(not_found) => not_found.into_response(),
    })
    .await
}

fn candidate(lane: &Lane, which: &Which) -> Value {
    let all = lane.identities.all();
    let identities = all.iter().filter(|it| which.is_of(it)).map(|it| identity(lane, it));
    json!({
        "candidate": &*lane.observe.name(),
        "waiting": lane.waiting(),
        "identities": identities.collect::<Vec<_>>(),
    })
}

fn identity(lane: &Lane, identity: &Known) -> Value {
    let numbers = identity.numbers();
    json!({
        "identity": &*identity.name,
        "entries": numbers.entries,
        "learning": identity.learning(),
        "learned": numbers.learned,
        "unpaired": numbers.unpaired,
        "contradicted": numbers.contradicted,
        "unknown": numbers.unknown,
        "evicted": numbers.evicted,
        "known": known(lane, identity),
    })
}

fn known(lane: &Lane, identity: &Known) -> Value {
    let entries = lane.identities.entries(identity, SHOWN_MAX);
    let shown = entries.iter().map(|entry| {
        json!({
            "baseline": entry.baseline,
            "candidate": entry.candidate,
            "scope": entry.scope,
            "ageSeconds": entry.age.as_secs(),
            "idleSeconds": entry.idle.as_secs(),
        })
    });
    shown.collect()
}

/// Forgets what is known of them.
pub(super) async fn forget(
    Shared(control): Shared<Control>,
    Query(which): Query<Which>,
) -> Response {
    let lanes = match which.lanes(&control.lanes()) {
        Ok(lanes) => lanes,
        Err(not_found) => return not_found.into_response(),
    };
    let forgotten: usize =
        lanes.iter().map(|it| it.forget_identities(which.identity.as_deref())).sum();
    let told = json!({"message": "identities forgotten", "entries": forgotten});
    (StatusCode::OK, Json(told)).into_response()
}
