//! How records are opened: TLS 1.3 (RFC 8446 section 5.2) and the suites of TLS 1.2 that authenticate what
//! they encrypt (RFC 5288, RFC 7905). A record that opens is what was said, and in its place; one that does
//! not is no reason to guess.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, HKDF_SHA384, Prk};
use aws_lc_rs::tls_prf::{self, P_SHA256, P_SHA384};
use zeroize::Zeroizing;

use super::hello::{ClientHello, ServerHello};
use super::keys::Secret;

const TAG: usize = 16;
/// What GCM of TLS 1.2 sends of its nonce.
const EXPLICIT: usize = 8;
const SALT: usize = 4;
const NONCE: usize = 12;

/// What a suite is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    aead: &'static Algorithm,
    is_sha384: bool,
    is_gcm: bool,
}

impl Suite {
    /// The suite of this number, if it is known here.
    pub(crate) fn of(hello: &ServerHello) -> Option<Self> {
        let (aead, is_sha384) = match (hello.is_13, hello.suite) {
            (true, 0x1301) => (&AES_128_GCM, false),
            (true, 0x1302) => (&AES_256_GCM, true),
            (true, 0x1303) => (&CHACHA20_POLY1305, false),
            // RSA, DHE and ECDHE with RSA or ECDSA.
            (false, 0x009c | 0x009e | 0xc02b | 0xc02f) => (&AES_128_GCM, false),
            (false, 0x009d | 0x009f | 0xc02c | 0xc030) => (&AES_256_GCM, true),
            (false, 0xcca8..=0xccaa) => (&CHACHA20_POLY1305, false),
            _ => return None,
        };
        Some(Self { aead, is_sha384, is_gcm: *aead != CHACHA20_POLY1305 })
    }

    fn hash(self) -> hkdf::Algorithm {
        if self.is_sha384 { HKDF_SHA384 } else { HKDF_SHA256 }
    }

    fn secret_bytes(self) -> usize {
        if self.is_sha384 { 48 } else { 32 }
    }
}

/// Opens the records of one direction, in their order.
pub(crate) struct Opener {
    suite: Suite,
    key: LessSafeKey,
    /// Of GCM in TLS 1.2 only the first bytes.
    iv: [u8; NONCE],
    /// That of TLS 1.3, from which the next one is made.
    secret: Option<Secret>,
    pub(crate) sequence: u64,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Opener {
    /// With a traffic secret of TLS 1.3.
    pub(crate) fn with_secret(suite: Suite, secret: &Secret) -> Option<Self> {
        if secret.len() != suite.secret_bytes() {
            return None;
        }
        let key = expand(suite, secret, b"key", suite.aead.key_len())?;
        let iv = expand(suite, secret, b"iv", NONCE)?;
        Self::new(suite, &key, &iv, Some(secret.clone()))
    }

    /// Those of the client and the server, with the master secret of TLS 1.2 (RFC 5246 section 6.3).
    pub(crate) fn with_master(
        suite: Suite,
        master: &Secret,
        client: &ClientHello,
        server: &ServerHello,
    ) -> Option<(Self, Self)> {
        let iv = if suite.is_gcm { SALT } else { NONCE };
        let key = suite.aead.key_len();
        let prf = if suite.is_sha384 { &P_SHA384 } else { &P_SHA256 };
        let seed = [server.random, client.random].concat();
        let master = tls_prf::Secret::new(prf, master).ok()?;
        let block = master.derive(b"key expansion", &seed, 2 * (key + iv)).ok()?;
        let (keys, ivs) = block.as_ref().split_at(2 * key);
        let client = Self::new(suite, &keys[..key], &ivs[..iv], None)?;
        Some((client, Self::new(suite, &keys[key..], &ivs[iv..], None)?))
    }

    fn new(suite: Suite, key: &[u8], fixed: &[u8], secret: Option<Secret>) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(suite.aead, key).ok()?);
        let mut iv = [0; NONCE];
        iv.get_mut(..fixed.len())?.copy_from_slice(fixed);
        Some(Self { suite, key, iv, secret, sequence: 0 })
    }

    /// That of the same direction after a change of its key (RFC 8446 section 7.2).
    pub(crate) fn next(&self) -> Option<Self> {
        let secret = self.secret.as_ref()?;
        let next = expand(self.suite, secret, b"traffic upd", self.suite.secret_bytes())?;
        Self::with_secret(self.suite, &next)
    }

    /// Opens the record with this head in place: its kind, and where in the payload its content is.
    pub(crate) fn open(
        &mut self,
        head: [u8; 5],
        payload: &mut [u8],
    ) -> Option<(u8, std::ops::Range<usize>)> {
        let opened = if self.secret.is_some() {
            self.open_13(head, payload)
        } else {
            self.open_12(head, payload)
        };
        self.sequence += u64::from(opened.is_some());
        opened
    }

    /// Opens a record in front of which so many may be missing.
    pub(crate) fn find(
        &mut self,
        head: [u8; 5],
        payload: &mut Vec<u8>,
        missing: u64,
    ) -> Option<(u8, std::ops::Range<usize>)> {
        if missing == 0 {
            return self.open(head, payload);
        }
        let first = self.sequence;
        (first..=first.saturating_add(missing)).find_map(|sequence| {
            self.sequence = sequence;
            let mut tried = payload.clone();
            let opened = self.open(head, &mut tried)?;
            *payload = tried;
            Some(opened)
        })
    }

    fn open_13(&self, head: [u8; 5], payload: &mut [u8]) -> Option<(u8, std::ops::Range<usize>)> {
        let plain = self.key.open_in_place(self.counted(), Aad::from(head), payload).ok()?;
        // The kind is the last byte that is not of the padding.
        let end = plain.iter().rposition(|it| *it != 0)?;
        Some((plain[end], 0..end))
    }

    fn open_12(&self, head: [u8; 5], payload: &mut [u8]) -> Option<(u8, std::ops::Range<usize>)> {
        let explicit = if self.suite.is_gcm { EXPLICIT } else { 0 };
        let length = payload.len().checked_sub(explicit + TAG)?;
        let nonce = if self.suite.is_gcm {
            let mut nonce = self.iv;
            nonce[SALT..].copy_from_slice(&payload[..EXPLICIT]);
            Nonce::assume_unique_for_key(nonce)
        } else {
            self.counted()
        };
        let mut said = [0; 13];
        said[..8].copy_from_slice(&self.sequence.to_be_bytes());
        said[8..11].copy_from_slice(&head[..3]);
        said[11..].copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
        self.key.open_in_place(nonce, Aad::from(said), &mut payload[explicit..]).ok()?;
        Some((head[0], explicit..explicit + length))
    }

    fn counted(&self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// How much of a record of so many bytes is content; `None` where only who opens it knows.
    pub(crate) fn content_bytes(&self, payload: usize) -> Option<u64> {
        let explicit = if self.suite.is_gcm { EXPLICIT } else { 0 };
        let length = payload.checked_sub(explicit + TAG)?;
        self.secret.is_none().then_some(length as u64)
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without a context (RFC 8446 section 7.1).
fn expand(suite: Suite, secret: &[u8], label: &[u8], length: usize) -> Option<Secret> {
    let prk = Prk::new_less_safe(suite.hash(), secret);
    let counts = [length.to_be_bytes().last_chunk::<2>()?, &[6 + label.len() as u8][..]].concat();
    let info = [&counts[..], b"tls13 ", label, &[0]];
    let mut expanded = Zeroizing::new(vec![0; length]);
    prk.expand(&info, Length(length)).ok()?.fill(&mut expanded).ok()?;
    Some(expanded)
}
