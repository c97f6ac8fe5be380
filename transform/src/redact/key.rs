//! Pseudonyms under a key: HMAC-SHA-256 (RFC 2104), with a key of its own for each purpose.
//!
//! Who does not have the key can neither turn a pseudonym back nor tell whose it is, but sees which are
//! equal. Who has it can try values: it is as secret as what it hides, since there are few telephone numbers. And where
//! two copies of a value can be seen, one in clear, they can be put together.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Fewer bytes are a password rather than a key.
const MATERIAL_MIN: usize = 16;
/// What hashed pseudonyms begin with.
const BEGIN: &str = "redacted-";
/// Bytes of a pseudonym that tell values apart: of a million values two are the same once in two billion.
const TAG: usize = 10;
/// Bytes of a pseudonym that tell that it is one.
const CHECK: usize = 4;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are fewer bytes than a key has.
    TooShort,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key has at least {MATERIAL_MIN} bytes")
    }
}

/// What pseudonyms are made with. It is zeroed when it goes, and never shown.
pub struct Key {
    tag: Hmac<Sha256>,
    check: Hmac<Sha256>,
    shape: Hmac<Sha256>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// The key that is made from these bytes, at best from 32 that were drawn at random.
    ///
    /// # Errors
    /// They are too few.
    pub fn new(material: &[u8]) -> Result<Self, KeyError> {
        if material.len() < MATERIAL_MIN {
            return Err(KeyError::TooShort);
        }
        let root = keyed(material);
        let part = |purpose: &str| {
            let derived = root.clone().chain_update(purpose).finalize().into_bytes();
            let derived: Zeroizing<[u8; 32]> = Zeroizing::new(derived.into());
            keyed(derived.as_slice())
        };
        Ok(Self {
            tag: part("mirrorlab redact tag 1"),
            check: part("mirrorlab redact check 1"),
            shape: part("mirrorlab redact shape 1"),
        })
    }

    /// The pseudonym of a value: letters, digits and a hyphen, which stay as they are wherever they are written. That
    /// of a pseudonym is itself.
    pub fn hash(&self, value: &str) -> String {
        if let Some(own) = self.own(value) {
            return own;
        }
        let tag = self.tag.clone().chain_update(value).finalize().into_bytes();
        self.written(&tag[..TAG])
    }

    fn written(&self, tag: &[u8]) -> String {
        let check = self.check.clone().chain_update(tag).finalize().into_bytes();
        let bytes = tag.iter().chain(&check[..CHECK]);
        let digits = bytes.flat_map(|byte| [byte >> 4, byte & 0xF]);
        let digits = digits.map(|digit| char::from_digit(digit.into(), 16).expect("half a byte"));
        BEGIN.chars().chain(digits).collect()
    }

    /// A pseudonym that this key made, as it was written at first: on their way some lose their case.
    pub fn own(&self, value: &str) -> Option<String> {
        let begin = value.get(..BEGIN.len())?;
        let digits = &value.as_bytes()[BEGIN.len()..];
        if !begin.eq_ignore_ascii_case(BEGIN) || digits.len() != 2 * (TAG + CHECK) {
            return None;
        }
        let mut tag = [0; TAG];
        for (byte, pair) in tag.iter_mut().zip(digits.chunks(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? << 4 | low?).expect("two halves of a byte");
        }
        let own = self.written(&tag);
        own.eq_ignore_ascii_case(value).then_some(own)
    }

    /// Bytes that follow from a value, without an end.
    pub(super) fn stream(&self, value: &str, attempt: u8) -> Stream<'_> {
        let seed = self.shape.clone().chain_update([0, attempt]).chain_update(value);
        let seed = seed.finalize().into_bytes().into();
        Stream { key: &self.shape, seed, block: seed, used: 0, count: 0 }
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes that look as if they were drawn at random, and are always the same for a value.
pub(super) struct Stream<'k> {
    key: &'k Hmac<Sha256>,
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    count: u32,
}

impl Stream<'_> {
    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.count += 1;
            let next = self.key.clone().chain_update([1]).chain_update(self.seed);
            let next = next.chain_update(self.count.to_be_bytes());
            (self.block, self.used) = (next.finalize().into_bytes().into(), 0);
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number below this one, which is at most 2^16: each as likely as another.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let (whole, wide) = if bound <= 256 { (256, false) } else { (65_536, true) };
        loop {
            let drawn = u32::from(self.byte());
            let drawn = if wide { drawn << 8 | u32::from(self.byte()) } else { drawn };
            if drawn < whole - whole % bound {
                return drawn % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 32]).expect("it is long enough")
    }

    #[test]
    fn keys_are_neither_short_nor_shown_and_are_zeroed() {
        fn is_zeroed<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        assert_eq!(Key::new(&[7; 15]).expect_err("it is short"), KeyError::TooShort);
        let key = Key::new(b"0123456789abcdef").expect("it is long enough");
        assert_eq!(format!("{key:?}"), "Key(***)");
        // It is made of two of these, and keeps nothing else.
        is_zeroed(&<Sha256 as sha2::Digest>::new());
    }

    #[test]
    fn pseudonyms_stay_what_they_were_in_earlier_versions() {
        let hashed = key(1).hash("ann@example.com");
        assert_eq!(hashed, "redacted-2de31d7de31fbfd3506252a64941");
    }

    #[test]
    fn what_only_looks_like_a_pseudonym_is_a_value() {
        let key = key(1);
        let own = key.hash("a");
        let last = if own.ends_with('0') { '1' } else { '0' };
        let forged = format!("{}{last}", &own[..own.len() - 1]);
        assert_ne!(key.hash(&forged), forged);
        assert_eq!(key.hash(&own.to_uppercase()), own);
        for other in ["redacted-", "redacted", "", "é", &own[1..], &format!("{own}0")] {
            assert_ne!(key.hash(other), other);
        }
    }

    proptest! {
        #[test]
        fn hashes_are_stable_told_apart_and_known_again(a in ".{0,80}", b in ".{0,80}") {
            let (one, other) = (key(1), key(2));
            let hashed = one.hash(&a);
            prop_assert_eq!(&one.hash(&a), &hashed);
            prop_assert_eq!(&Key::new(&[1; 32]).unwrap().hash(&a), &hashed);
            prop_assert_eq!(&one.hash(&hashed), &hashed);
            prop_assert_ne!(&other.hash(&a), &hashed);
            prop_assert_ne!(&other.hash(&hashed), &hashed);
            prop_assert_eq!(a == b, one.hash(&b) == hashed);
            prop_assert!(hashed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        }

        #[test]
        fn numbers_are_below_their_bound(value in ".{0,8}", bound in 1..65_536_u32) {
            let key = key(1);
            let mut stream = key.stream(&value, 0);
            for _ in 0..100 {
                prop_assert!(stream.below(bound) < bound);
            }
        }
    }
}
