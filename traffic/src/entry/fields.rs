//! The fields of an entry that are read; all others are passed over.

use std::net::IpAddr;

use serde::Deserialize;

use super::text::{Short, Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(rename = "_id")]
    pub(super) id: Option<String>,
    #[serde(rename = "_ns")]
    pub(super) ns: Option<u64>,
    #[serde(borrow)]
    pub(super) started_date_time: Option<Text<'a>>,
    #[serde(rename = "_client")]
    pub(super) client: Option<IpAddr>,
    #[serde(rename = "_connection")]
    pub(super) connection: Option<u64>,
    /// Of HAR: some name.
    #[serde(rename = "connection")]
    pub(super) named_connection: Option<Text<'a>>,
    pub(super) request: Asked<'a>,
    pub(super) response: Option<Answered<'a>>,
    #[serde(default)]
    pub(super) timings: Option<Timings>,
    /// Of Chrome: `memory`, `disk`.
    #[serde(rename = "_fromCache")]
    pub(super) from_cache: Option<Text<'a>>,
    #[serde(rename = "_route")]
    pub(super) route: Option<String>,
    #[serde(rename = "_outcome")]
    pub(super) outcome: Option<String>,
    #[serde(rename = "_candidate")]
    pub(super) candidate: Option<Candidate<'a>>,
    #[serde(rename = "_differences")]
    pub(super) differences: Option<Vec<Differing>>,
    #[serde(rename = "_more", default)]
    pub(super) more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked<'a> {
    #[serde(borrow)]
    pub(super) method: Text<'a>,
    pub(super) url: Option<Text<'a>>,
    #[serde(rename = "_target")]
    pub(super) target: Option<Text<'a>>,
    pub(super) http_version: Option<Text<'a>>,
    #[serde(rename = "_encoding")]
    pub(super) encoding: Option<Short>,
    pub(super) headers: Option<Vec<Line<'a>>>,
    pub(super) body_size: Option<f64>,
    pub(super) post_data: Option<PostData<'a>>,
    #[serde(rename = "_notKept")]
    pub(super) not_kept: Option<NotKept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData<'a> {
    #[serde(borrow)]
    pub(super) mime_type: Option<Text<'a>>,
    pub(super) text: Option<Text<'a>>,
    // Other tools have it as that of answers is called.
    #[serde(rename = "_encoding", alias = "encoding")]
    pub(super) encoding: Option<Text<'a>>,
    pub(super) params: Option<Vec<Param<'a>>>,
}

/// A field of a form, decoded.
#[derive(Deserialize)]
pub(super) struct Param<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) value: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Timings {
    pub(super) wait: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct Answered<'a> {
    #[serde(default)]
    pub(super) status: u16,
    #[serde(rename = "_unknown", default)]
    pub(super) unknown: bool,
    #[serde(borrow)]
    pub(super) headers: Option<Vec<Line<'a>>>,
    pub(super) content: Option<Content<'a>>,
    #[serde(rename = "_trailers")]
    pub(super) trailers: Option<Vec<Line<'a>>>,
    #[serde(rename = "_latencyNs")]
    pub(super) latency: Option<u64>,
    #[serde(rename = "_clock", default)]
    pub(super) clock: Word,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    pub(super) size: Option<f64>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    pub(super) encoding: Option<Text<'a>>,
    #[serde(rename = "_notKept")]
    pub(super) not_kept: Option<NotKept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) name: String,
    /// Without one there is no answer.
    pub(super) status: Option<u16>,
    #[serde(borrow)]
    pub(super) headers: Option<Vec<Line<'a>>>,
    pub(super) content: Option<Content<'a>>,
    pub(super) trailers: Option<Vec<Line<'a>>>,
    pub(super) latency_ns: Option<u64>,
    #[serde(default)]
    pub(super) clock: Word,
}

#[derive(Deserialize)]
pub(super) struct Differing {
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) baseline: Option<String>,
    pub(super) candidate: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) value: Text<'a>,
    #[serde(rename = "_encoding")]
    pub(super) encoding: Option<Short>,
}

#[derive(Deserialize)]
pub(super) struct NotKept {
    pub(super) length: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    Proxy,
    Wire,
    #[default]
    Foreign,
}
