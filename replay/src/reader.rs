//! Reads beside: a thread reads ahead by a little, so that neither disk nor parsing holds up what is due.

use std::thread;

use tokio::sync::mpsc;
use traffic::Exchange;

use crate::input::Input;

/// Exchanges that are handed over at once.
const BATCH: usize = 64;
/// Bytes of bodies after which fewer are.
const BYTES: usize = 1 << 20;
/// Batches that are read ahead.
const AHEAD: usize = 8;

/// What a source yields.
#[derive(Debug)]
pub enum Read {
    /// One more.
    Exchange(Box<Exchange>),
    /// Something that is none, and why.
    Fault(String),
}

/// Reads all of it. The thread ends with whoever receives.
pub fn start(input: Input) -> mpsc::Receiver<Vec<Read>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || read(input, &sender));
    receiver
}

fn read(input: Input, sender: &mpsc::Sender<Vec<Read>>) {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
    for found in input {
        let found = match found {
            Ok(exchange) => {
                bytes += weight(&exchange);
                Read::Exchange(exchange)
            }
            Err(why) => Read::Fault(why),
        };
        batch.push(found);
        if batch.len() < BATCH && bytes < BYTES {
            continue;
        }
        bytes = 0;
        if sender.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err() {
            return;
        }
    }
    // Nobody is left to be told where that fails.
    drop(sender.blocking_send(batch));
}

fn weight(exchange: &Exchange) -> usize {
    let answer = exchange.answer.as_ref().and_then(|it| it.body.whole());
    let bodies = [exchange.request.body.whole(), answer].into_iter().flatten();
    bodies.map(bytes::Bytes::len).sum()
}
