//! Exchanges as lines of JSON, read as their documentation says: nothing of our own code reads them here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::Result;
use crate::raw::Message;

/// A request with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The request.
    pub request: Message,
    /// Its body was kept.
    pub has_request_body: bool,
    /// The answer; its first line is the status.
    pub answer: Message,
    /// Its body was kept.
    pub has_answer_body: bool,
    /// What came over one connection has one number.
    pub connection: Option<u64>,
    /// When it began, in nanoseconds since 1970.
    pub at: u64,
}

/// All of them.
///
/// # Errors
/// A line that is none.
pub fn read(text: &str) -> Result<Vec<Exchange>> {
    text.lines().map(|line| one(&serde_json::from_str(line)?)).collect()
}

/// All of a HAR file, whose entries are the same.
///
/// # Errors
/// It is none, or an entry is not one of ours.
pub fn read_har(text: &str) -> Result<Vec<Exchange>> {
    let har: Value = serde_json::from_str(text)?;
    har["log"]["entries"].as_array().ok_or("no entries")?.iter().map(one).collect()
}

fn one(entry: &Value) -> Result<Exchange> {
    let (request, response) = (&entry["request"], &entry["response"]);
    let url = text(&request["url"])?;
    let target = match request["_target"].as_str() {
        Some(target) => target.to_owned(),
        None => {
            let behind = url.split_once("://").ok_or("no URL")?.1;
            behind.find('/').map_or("/", |at| &behind[at..]).to_owned()
        }
    };
    let status = response["status"].as_u64().ok_or("no status")?;
    Ok(Exchange {
        request: Message {
            first: format!("{} {target}", text(&request["method"])?),
            headers: headers(&request["headers"])?,
            body: body(&request["postData"], "_encoding")?,
        },
        has_request_body: request["_notKept"].is_null(),
        answer: Message {
            first: status.to_string(),
            headers: headers(&response["headers"])?,
            body: body(&response["content"], "encoding")?,
        },
        has_answer_body: response["content"]["_notKept"].is_null(),
        connection: entry["_connection"].as_u64(),
        at: entry["_ns"].as_u64().ok_or("no time")?,
    })
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().ok_or_else(|| format!("{value} is no text"))?.to_owned())
}

fn headers(lines: &Value) -> Result<Vec<(String, String)>> {
    let lines = lines.as_array().ok_or("no headers")?;
    lines.iter().map(|line| Ok((text(&line["name"])?, text(&line["value"])?))).collect()
}

fn body(of: &Value, encoding: &str) -> Result<Vec<u8>> {
    let text = of["text"].as_str().unwrap_or_default();
    match of[encoding].as_str() {
        Some("base64") => Ok(STANDARD.decode(text)?),
        _ => Ok(text.as_bytes().to_vec()),
    }
}
