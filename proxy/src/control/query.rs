//! What stands behind the `?` of an admin endpoint, or in JSON what is wrong with it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Of a query with very many wrong names the first are told.
const WRONG_MAX: usize = 8;

/// No query: what it names would be taken for more than it says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// What a query may say.
pub(super) trait Parameters: DeserializeOwned {
    const NAMES: &'static [&'static str];
}

impl Parameters for Nothing {
    const NAMES: &'static [&'static str] = &[];
}

/// The query, or why it is none in JSON.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: Parameters> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        misnamed(&parts.uri, T::NAMES).map_err(|why| bad(&why))?;
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|why| bad(&why.body_text()))
    }
}

/// Tells of names in a query that are not known, or there twice.
fn misnamed(uri: &Uri, known: &[&str]) -> Result<(), String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let pairs = pairs.map_err(|why| why.body_text())?.0;
    let wrong = pairs.iter().enumerate().filter_map(|(at, (name, _))| {
        if !known.contains(&&**name) {
            return Some(format!("{name:?} is no known name"));
        }
        let is_again = pairs[..at].iter().any(|(before, _)| before == name);
        is_again.then(|| format!("{name:?} is there twice"))
    });
    let wrong: Vec<_> = wrong.take(WRONG_MAX).collect();
    let allowed = match known {
        [] => "none".to_owned(),
        names => format!("{}, each once", names.join(", ")),
    };
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}; allowed in the query is {allowed}", wrong.join(", ")))
}

/// Of a request that makes no sense, why.
pub(super) fn bad(reason: &str) -> Response {
    super::refused(StatusCode::BAD_REQUEST, "bad request", reason)
}
