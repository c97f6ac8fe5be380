//! A second opinion on HTTP in packets: the requests and answers that tshark reads, put together from their segments and
//! chunks by code that is not ours.

use std::collections::BTreeMap;
use std::path::Path;

use crate::raw::Message;
use crate::run::Run;
use crate::{Result, tools};

/// What came over a connection: requests with their answers, in their order.
pub type Talk = Vec<(Message, Message)>;

/// All connections of a capture to a port over which something came, in no order of meaning.
///
/// # Errors
/// [`tools::Lacking`], or a connection that it could not read to its end.
pub async fn talks(run: &Run, file: &Path, port: u16) -> Result<Vec<Talk>> {
    let (file, http) = (file.to_string_lossy(), format!("tcp.port=={port},http"));
    // Bodies as they were sent, in a text of XML in which one frame may hold several messages.
    let sent = ["-o", "http.decompress_body:FALSE", "-o", "tcp.reassemble_out_of_order:TRUE"];
    let arguments = ["-r", &*file, "-d", &http, "-Y", "http", "-T", "pdml", "-J", "tcp http"];
    let found = tools::tool(run, "tshark", &[&arguments[..], &sent].concat()).await?;
    let mut sides = BTreeMap::<String, [Vec<Message>; 2]>::new();
    for packet in found.out.split("<packet>").skip(1) {
        let mut layers = packet.split("<proto name=\"http\"");
        let stream = shown(layers.next().unwrap_or_default(), "tcp.stream");
        let stream = stream.ok_or("HTTP is in no connection")?;
        for layer in layers {
            let (message, is_answer) = message(layer)?;
            sides.entry(stream.to_owned()).or_default()[usize::from(is_answer)].push(message);
        }
    }
    sides.into_values().map(paired).collect()
}

fn paired([requests, answers]: [Vec<Message>; 2]) -> Result<Talk> {
    if requests.len() == answers.len() {
        Ok(requests.into_iter().zip(answers).collect())
    } else {
        let (asked, answered) = (requests.len(), answers.len());
        Err(format!("tshark reads {asked} requests and {answered} answers of a connection").into())
    }
}

/// A message, and whether it is an answer.
fn message(layer: &str) -> Result<(Message, bool)> {
    let text = |name: &str| bytes(layer, name).next().map(String::from_utf8).transpose();
    let (first, lines) = match text("http.response.code")? {
        Some(code) => (code, "http.response.line"),
        None => {
            let method = text("http.request.method")?.ok_or("tshark does not know what that is")?;
            let target = text("http.request.uri")?.ok_or("tshark reads no target")?;
            (format!("{method} {target}"), "http.request.line")
        }
    };
    let headers = bytes(layer, lines).map(|line| {
        let line = String::from_utf8(line)?;
        let (name, value) = line.split_once(':').ok_or("a header has no value")?;
        Ok((name.to_owned(), value.trim().to_owned()))
    });
    // What is coded is no text to it.
    let mut bodies = bytes(layer, "http.file_data").chain(bytes(layer, "data.data"));
    let body = bodies.next().unwrap_or_default();
    let message = Message { first, headers: headers.collect::<Result<_>>()?, body };
    Ok((message, lines == "http.response.line"))
}

/// What is shown of the first field of this name.
fn shown<'a>(layer: &'a str, name: &str) -> Option<&'a str> {
    attribute(fields(layer, name).next()?, "show")
}

/// The bytes of all fields of this name.
fn bytes(layer: &str, name: &str) -> impl Iterator<Item = Vec<u8>> {
    fields(layer, name).filter_map(|field| attribute(field, "value").map(unhex))
}

fn fields<'a>(layer: &'a str, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let name = format!("name=\"{name}\"");
    layer.split("<field ").filter(move |field| field.starts_with(&name))
}

/// Quotes within one are written otherwise.
fn attribute<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = field.split_once(&format!(" {name}=\""))?;
    Some(behind.split_once('"')?.0)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |it: u8| char::from(it).to_digit(16).unwrap_or_default() as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
