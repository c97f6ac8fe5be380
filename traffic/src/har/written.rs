//! A HAR file, written entry by entry.

use std::io::{self, Write};

use crate::entry;
use crate::exchange::{Exchange, Moment};

/// Writes a HAR file. Without [`finish`](Self::finish) it lacks its end.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    entry: Vec<u8>,
    first: Option<Moment>,
}

impl<W: Write> Writer<W> {
    /// Begins the file; `version` is the product's.
    ///
    /// # Errors
    ///
    /// The sink fails.
    pub fn new(mut sink: W, version: &str) -> io::Result<Self> {
        let version = serde_json::Value::from(version);
        let creator = format!(r#"{{"name":"MirrorLab","version":{version}}}"#);
        write!(sink, r#"{{"log":{{"version":"1.2","creator":{creator},"entries":["#)?;
        Ok(Self { sink, entry: Vec::new(), first: None })
    }

    /// Adds one entry.
    ///
    /// # Errors
    ///
    /// The sink fails.
    pub fn write(&mut self, exchange: &Exchange) -> io::Result<()> {
        self.entry.clear();
        self.entry.extend_from_slice(if self.first.is_some() { b",\n" } else { b"\n" });
        self.first.get_or_insert(exchange.at);
        entry::write(exchange, &mut self.entry);
        self.sink.write_all(&self.entry)
    }

    /// Ends the file and gives the sink back.
    ///
    /// # Errors
    ///
    /// The sink fails.
    pub fn finish(mut self) -> io::Result<W> {
        // Optional in HAR, but some converters ask for a page.
        let began = entry::shown(self.first.unwrap_or_default());
        let page =
            format!(r#"{{"startedDateTime":"{began}","id":"","title":"","pageTimings":{{}}}}"#);
        write!(self.sink, "\n],\"pages\":[{page}]}}}}\n")?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}
