//! Who judges together, and what they say of themselves.

use std::time::Duration;

use axum::Json;
use axum::extract::State as Shared;
use cluster::Peer;
use serde_json::{Value, json};

use super::Control;
use super::query::{Nothing, Query};

pub(super) async fn show(
    Shared(control): Shared<Control>,
    Query(Nothing {}): Query<Nothing>,
) -> Json<Value> {
    let Some(replicas) = &control.replicas else {
        return Json(json!({"connected": false, "error": "there is no CLUSTER_URL: it is alone"}));
    };
    let shown = replicas.shown();
    Json(json!({
        "connected": replicas.is_connected(),
        "error": shown.error,
        "replica": replicas.replica(),
        "replicas": shown.peers.iter().map(peer).collect::<Vec<_>>(),
        "aside": shown.aside,
    }))
}

fn peer((name, (peer, silent)): (&String, &(Peer, Duration))) -> Value {
    let evidence = peer.evidence.iter();
    let evidence = evidence.map(|(candidate, (pairs, value))| {
        json!({"candidate": candidate, "pairs": pairs, "value": value})
    });
    json!({
        "name": name,
        "version": peer.version,
        "revision": peer.revision,
        "silentSeconds": silent.as_secs_f64(),
        "evidence": evidence.collect::<Vec<_>>(),
    })
}
