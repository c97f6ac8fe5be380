//! A copy as all that changes it sees it, and as it is sent.

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;

use super::SMALL;
use crate::exchange::RequestSnapshot;
use crate::headers::target;
use crate::upstream::Named;
use transform::CopyRequest;
use transform::parts::Fault;
use transform::steps::Failed;

/// What is encoded may be of any size.
pub(super) fn is_small(snapshot: &RequestSnapshot, body: Option<&[u8]>) -> bool {
    let is_coded = snapshot.headers.contains_key(http::header::CONTENT_ENCODING);
    body.is_none_or(|body| body.is_empty() || body.len() as u64 <= SMALL && !is_coded)
}

/// The request as all that changes it sees it: bytes that no target may have are percent-encoded.
pub(super) fn copy_of(snapshot: &RequestSnapshot, body: Option<Bytes>) -> CopyRequest {
    CopyRequest {
        method: snapshot.method.clone(),
        path: target::shown(snapshot.uri.path()).into_owned(),
        query: snapshot.uri.query().map(|query| target::shown(query).into_owned()),
        host: None,
        headers: snapshot.headers.clone(),
        body,
    }
}

/// The copy as it is sent, with all else as it was.
pub(super) fn snapshot_of(
    copy: CopyRequest,
    was: &RequestSnapshot,
) -> Result<(RequestSnapshot, Option<Bytes>), Failed> {
    let CopyRequest { method, path, query, host, headers, body } = copy;
    let whole = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    // As the client sent it, if nothing changed.
    let same = was.uri.path_and_query().is_some_and(|it| target::shown(it.as_str()) == whole);
    let uri = if same {
        was.uri.clone()
    } else {
        let parsed = PathAndQuery::try_from(whole)
            .map_err(|_| Failed { step: "target".into(), fault: Fault::Value })?;
        Uri::from(parsed)
    };
    let mut extensions = was.extensions.clone();
    if let Some(host) = host {
        extensions.insert(Named(host));
    }
    Ok((RequestSnapshot { method, uri, headers, extensions }, body))
}
