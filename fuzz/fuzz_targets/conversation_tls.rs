//! What two sides say in TLS, with the keys of the corpus' connections: in pieces, with bytes missing, from
//! the beginning or joined late. No more is held than is allowed, and each request is told of once.
#![no_main]

use conversations::{KeyLog, Setup};
use fuzz::connection;
use libfuzzer_sys::fuzz_target;

/// Those of the connections that the corpus is made of, which were made for it.
const KEYS: &[u8] = include_bytes!("../corpus/conversation_tls.keys");

fuzz_target!(|data: &[u8]| {
    let Some((choice, script)) = data.split_first() else { return };
    let keys = (choice & 2 == 0).then(|| KeyLog::parse(KEYS));
    let setup = |limits, budget| Setup { limits, budget, keys };
    connection::play(setup, choice & 1 == 0, b"", script);
});
