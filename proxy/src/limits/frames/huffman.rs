//! The Huffman code of RFC 7541 appendix B, for reading only.
//!
//! The code is canonical: within a length codes count up with the byte, and a longer code begins where
//! the shorter ones end. So the lengths say all there is, and take less looking after than a dependency;
//! h2 shows its own to nobody.

use std::sync::LazyLock;

/// Length of each byte's code, in bits.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const SHORTEST: usize = 5;
const LONGEST: usize = 30;
/// What is behind the last code is filled up with ones, less than a byte of them.
const FILL_MAX: u32 = 7;

static CODE: LazyLock<Code> = LazyLock::new(Code::new);

struct Code {
    /// By length: the codes of this length and the shorter ones are below it, as the upper bits of 32.
    ends: [u64; LONGEST + 1],
    /// By length: what to add to a code of this length, to get its place in `bytes`.
    places: [i64; LONGEST + 1],
    /// Ordered by their codes.
    bytes: Vec<u8>,
}

impl Code {
    fn new() -> Self {
        let mut code = Self { ends: [0; _], places: [0; _], bytes: Vec::new() };
        let mut next = 0_u64;
        for length in SHORTEST..=LONGEST {
            next <<= 1;
            code.places[length] = code.bytes.len() as i64 - next as i64;
            for byte in 0..=u8::MAX {
                if usize::from(LENGTHS[usize::from(byte)]) == length {
                    code.bytes.push(byte);
                    next += 1;
                }
            }
            code.ends[length] = next << (32 - length);
        }
        code
    }
}

/// Appends to `into` what these bytes stand for; whether they are well-formed.
pub(super) fn decode(coded: &[u8], into: &mut Vec<u8>) -> bool {
    let code = &*CODE;
    // The lower `count` bits of `bits` are still to be read.
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut rest = coded.iter();
    loop {
        while count <= 32 {
            let Some(byte) = rest.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            count += 8;
        }
        if count == 0 {
            return true;
        }
        // Behind the end there are ones, which is what the fill looks like.
        let window = if count >= 32 {
            bits >> (count - 32) & 0xffff_ffff
        } else {
            (bits << (32 - count) | ((1 << (32 - count)) - 1)) & 0xffff_ffff
        };
        let Some(length) = (SHORTEST..=LONGEST).find(|length| window < code.ends[*length]) else {
            // The end: the beginning of a code of ones alone, which stands for no byte.
            return count <= FILL_MAX && window == 0xffff_ffff;
        };
        if length as u32 > count {
            return false;
        }
        let place = (window >> (32 - length)) as i64 + code.places[length];
        let Some(byte) = usize::try_from(place).ok().and_then(|at| code.bytes.get(at)) else {
            return false;
        };
        into.push(*byte);
        count -= length as u32;
    }
}

/// The other way: by the same table, which h2 holds against its own.
#[cfg(test)]
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut bits = String::new();
    for byte in bytes {
        let length = usize::from(LENGTHS[usize::from(*byte)]);
        let place = CODE.bytes.iter().position(|it| it == byte).unwrap();
        let code = place as i64 - CODE.places[length];
        bits.push_str(&format!("{code:0length$b}"));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let octets = bits.as_bytes().chunks(8).map(|it| std::str::from_utf8(it).unwrap());
    octets.map(|it| u8::from_str_radix(it, 2).unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7541 appendix C.4 and C.6.
        let examples: [(&[u8], &str); 4] = [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x64\x02", "302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                "https://www.example.com",
            ),
        ];
        for (coded, text) in examples {
            let mut read = Vec::new();
            assert!(decode(coded, &mut read), "{text}");
            assert_eq!(read, text.as_bytes());
            assert_eq!(encode(text.as_bytes()), coded);
        }
    }

    #[test]
    fn a_code_that_ends_early_or_late_is_refused() {
        // The end mark, a fill of a whole byte, one of zeros, a code cut short.
        for coded in [&b"\xff\xff\xff\xff"[..], b"\xff", b"\x1f\xff", b"\x00", b"\xfe"] {
            assert!(!decode(coded, &mut Vec::new()), "{coded:?}");
        }
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut read = Vec::new();
            prop_assert!(decode(&encode(&bytes), &mut read));
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn whatever_is_read_is_what_would_be_written(coded in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut read = Vec::new();
            if decode(&coded, &mut read) {
                prop_assert_eq!(encode(&read), coded);
            }
        }
    }
}
