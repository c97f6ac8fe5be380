//! A recording in lines: no line makes the reader fail for those behind it, and what it read is the same
//! when it is written and read once more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::{Limits, line};

const LONGEST: usize = 2000;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { exchange: LONGEST, ..Limits::default() };
    let mut read = 0;
    for exchange in line::Lines::new(data, &limits) {
        read += 1;
        if let Ok(exchange) = exchange {
            let mut written = Vec::new();
            line::write(&exchange, &mut written);
            assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
            let again = line::parse(&written).expect("what was written can be read");
            assert_eq!(again, exchange);
        }
    }
    assert!(read <= data.split(|byte| *byte == b'\n').count(), "more than there are lines");
});
