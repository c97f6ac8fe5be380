//! What two sides say in HTTP/2 behind its preface, in pieces, with bytes missing: no more is held than is
//! allowed, and each request is told of once.
#![no_main]

use conversations::Setup;
use fuzz::connection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    connection::play(|limits, budget| Setup { limits, budget, keys: None }, true, preface, data);
});
