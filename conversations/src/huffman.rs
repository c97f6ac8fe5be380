//! The Huffman code of RFC 7541 appendix B, read by a table of the next bits. Crates of HTTP/2 show theirs to nobody.
//!
//! Codes of one length count up in the order of their bytes, and longer ones go on where shorter ones end: so
//! lengths are all that has to be written down. Codes of up to 10 bits are found at once, which is
//! nearly all of what headers are made of; the others by their length.

use std::sync::LazyLock;

/// Bits of the code of each byte.
const BITS: [u8; 256] = [
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
const NEAR: u32 = 10;
const FEWEST: u32 = 5;
const MOST: u32 = 30;

static CODES: LazyLock<Codes> = LazyLock::new(Codes::new);

struct Codes {
    /// By the next bits: a byte, and how many of them are its code; none if that is longer.
    near: Vec<(u8, u32)>,
    /// By length: the first code of it, how many there are, and where their bytes begin in `bytes`.
    lengths: [(u32, u32, usize); MOST as usize + 1],
    bytes: Vec<u8>,
}

impl Codes {
    fn new() -> Self {
        let mut codes = Self {
            near: vec![(0, 0); 1 << NEAR],
            lengths: [(0, 0, 0); MOST as usize + 1],
            bytes: Vec::new(),
        };
        let mut next = 0_u32;
        for length in FEWEST..=MOST {
            next <<= 1;
            let first = next;
            let start = codes.bytes.len();
            for byte in 0..=u8::MAX {
                if u32::from(BITS[usize::from(byte)]) != length {
                    continue;
                }
                codes.bytes.push(byte);
                if length <= NEAR {
                    let from = (next as usize) << (NEAR - length);
                    codes.near[from..from + (1 << (NEAR - length))].fill((byte, length));
                }
                next += 1;
            }
            codes.lengths[length as usize] = (first, next - first, start);
        }
        codes
    }

    /// A byte's code and its length.
    fn of(&self, byte: u8) -> (u32, u32) {
        let length = u32::from(BITS[usize::from(byte)]);
        let (first, count, start) = self.lengths[length as usize];
        // Bytes of one length stand in their order.
        let of_length = &self.bytes[start..start + count as usize];
        (first + of_length.partition_point(|it| *it < byte) as u32, length)
    }

    /// The byte whose code the upper bits of these are, and its length.
    fn next(&self, bits: u64) -> Option<(u8, u32)> {
        let (byte, length) = self.near[(bits >> (64 - NEAR)) as usize];
        if length > 0 {
            return Some((byte, length));
        }
        (NEAR + 1..=MOST).find_map(|length| {
            let code = (bits >> (64 - length)) as u32;
            let (first, count, start) = self.lengths[length as usize];
            let place = code.checked_sub(first).filter(|it| *it < count)?;
            Some((self.bytes[start + place as usize], length))
        })
    }
}

/// What these bytes stand for; `None` if they are no code, or are filled up otherwise than RFC 7541 section
/// 5.2 says: by less than a byte of ones.
pub fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let codes = &*CODES;
    let mut decoded = Vec::with_capacity(coded.len() * 8 / FEWEST as usize);
    let mut coded = coded.iter();
    // The upper `count` bits are those to be read next; ones are behind them.
    let (mut bits, mut count) = (u64::MAX, 0_u32);
    loop {
        while count <= 56 {
            let Some(byte) = coded.next() else { break };
            bits &= !(0xff << (56 - count)) | u64::from(*byte) << (56 - count);
            count += 8;
        }
        match codes.next(bits) {
            Some((byte, length)) if length <= count => {
                decoded.push(byte);
                bits = bits << length | ((1 << length) - 1);
                count -= length;
            }
            // The code of ones alone is longer than the fill.
            _ => return (count < 8 && bits == u64::MAX).then_some(decoded),
        }
    }
}

/// These bytes in the code.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let codes = &*CODES;
    let mut coded = Vec::with_capacity(bytes.len());
    // The lower `count` bits are those that are no whole byte yet.
    let (mut bits, mut count) = (0_u64, 0_u32);
    for byte in bytes {
        let (code, length) = codes.of(*byte);
        bits = bits << length | u64::from(code);
        count += length;
        while count >= 8 {
            count -= 8;
            coded.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        coded.push((bits << (8 - count)) as u8 | 0xff >> count);
    }
    coded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_read_and_written() {
        // RFC 7541 appendix C.4 and C.6.
        let examples: [(&[u8], &str); 6] = [
            (b"", ""),
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
            (b"\x64\x02", "302"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                "https://www.example.com",
            ),
        ];
        for (coded, text) in examples {
            assert_eq!(decode(coded).as_deref(), Some(text.as_bytes()), "{text}");
            assert_eq!(encode(text.as_bytes()), coded, "{text}");
        }
    }

    #[test]
    fn the_code_is_whole() {
        let sum: u64 = BITS.iter().map(|bits| 1_u64 << (32 - bits)).sum();
        // All but the code of 30 ones, which ends the text and is never sent.
        assert_eq!(sum + 4, 1 << 32);
    }

    #[test]
    fn a_code_that_ends_early_or_late_is_refused() {
        // The end mark, a fill of a whole byte, one of zeros, a code cut short, a fill behind a text.
        let coded = [&b"\xff\xff\xff\xff"[..], b"\xff", b"\x1f\xff", b"\x00", b"\xfe"];
        let behind = [&b"\xa8\xeb\x10\x64\x9c\xbf\xff"[..], b"\xa8\xeb\x10\x64\x9c\xbe"];
        for coded in coded.into_iter().chain(behind) {
            assert_eq!(decode(coded), None, "{coded:?}");
        }
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn whatever_is_read_is_what_would_be_written(coded in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(read) = decode(&coded) {
                prop_assert_eq!(encode(&read), coded);
            }
        }
    }
}
