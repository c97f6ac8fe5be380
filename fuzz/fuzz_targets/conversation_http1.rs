//! What two sides say in HTTP/1, in pieces, with bytes missing, from the beginning or joined late: no more is
//! held than is allowed, and each request is told of once.
#![no_main]

use conversations::Setup;
use fuzz::connection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, script)) = data.split_first() else { return };
    connection::play(
        |limits, budget| Setup { limits, budget, keys: None },
        choice & 1 == 0,
        b"",
        script,
    );
});
