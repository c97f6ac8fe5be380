//! A large document made of a small pattern: judging it takes time in proportion to its size. What
//! takes quadratic time takes minutes at this size.
//!
//! The input is a head, a pattern to repeat, a middle, another pattern and a tail, apart by a byte
//! that is in no UTF-8 text. `#` in a pattern is the number of the repetition, counted up on one
//! side and down on the other.
#![no_main]

use std::time::{Duration, Instant};

use fuzz::bodies::{judge, side};
use libfuzzer_sys::fuzz_target;

const APART: u8 = 0xFF;
const SIZE: usize = 256 * 1024;
/// Some twenty times what it takes, with the instrumentation.
const LONGEST: Duration = Duration::from_millis(500);
/// The machine may have been busy.
const ATTEMPTS: u32 = 5;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == APART);
    let mut part = || parts.next().unwrap_or_default();
    let [head, first, middle, second, tail] = [part(), part(), part(), part(), part()];
    let pattern = first.len() + second.len();
    if pattern == 0 {
        return;
    }
    let times = SIZE / (pattern + 6 * count(first) + 6 * count(second));
    let body = |number: &dyn Fn(usize) -> usize| {
        let mut body = head.to_vec();
        (0..times).for_each(|at| repeat(first, number(at), &mut body));
        body.extend_from_slice(middle);
        (0..times).for_each(|at| repeat(second, number(at), &mut body));
        body.extend_from_slice(tail);
        body
    };
    let (ours, theirs) = (body(&|at| at), body(&|at| times - 1 - at));
    let (ours, theirs) = (side(b"", &ours), side(b"", &theirs));
    let time = || {
        let start = Instant::now();
        judge(&ours, &theirs, SIZE, usize::MAX);
        start.elapsed()
    };
    let slow = (0..ATTEMPTS).all(|_| time() > LONGEST);
    assert!(!slow, "longer than {LONGEST:?} in each of {ATTEMPTS} attempts");
});

fn count(pattern: &[u8]) -> usize {
    pattern.iter().filter(|byte| **byte == b'#').count()
}

fn repeat(pattern: &[u8], number: usize, body: &mut Vec<u8>) {
    for byte in pattern {
        match byte {
            b'#' => body.extend_from_slice(number.to_string().as_bytes()),
            _ => body.push(*byte),
        }
    }
}
