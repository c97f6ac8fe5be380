//! Tokens, what is kept of them, and what each may. What is kept is a hash, so that the settings file does
//! not give a token away.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret that whoever may do something sends; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of this text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why a header could not carry it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has white space or characters outside ASCII".to_owned());
        }
        Ok(Self::new(text.to_owned()))
    }

    /// Its text, to be sent.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 of a token; not shown either, since a short token could be guessed by it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// That of a token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// Why they are none, or no hash that a token should have.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * hash.len() {
            return Err(format!("has {} bytes", digits.len()));
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            let value = digit(0).zip(digit(1)).map(|(high, low)| 16 * high + low);
            let value = value.and_then(|it| u8::try_from(it).ok());
            *byte = value.ok_or("has other characters")?;
        }
        let hash = Self(hash);
        // What a shell makes of a variable that is not set.
        if hash == Self::of(b"") { Err("is that of an empty text".to_owned()) } else { Ok(hash) }
    }

    /// In constant time, so that an answer's delay tells nothing.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// What a token may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See counts, the status, and what the settings say.
    Read,
    /// See values of traffic.
    Examples,
    /// Switch something.
    Control,
}

impl Right {
    const ALL: [Self; 3] = [Self::Read, Self::Examples, Self::Control];

    /// As the settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Examples => "examples",
            Self::Control => "control",
        }
    }
}

/// What a token may all in all. Each right has that to read with it: who switches something must see what
/// came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    examples: bool,
    control: bool,
}

impl Rights {
    /// All there are.
    pub const ALL: Self = Self { examples: true, control: true };

    /// Reads one of them.
    ///
    /// # Errors
    /// That it is none.
    pub fn parse_one(name: &str) -> Result<Right, String> {
        let found = Right::ALL.into_iter().find(|right| right.name() == name);
        found.ok_or_else(|| format!("{name:?} is no right"))
    }

    /// These.
    pub fn of(rights: &[Right]) -> Self {
        let has = |right| rights.contains(&right);
        Self { examples: has(Right::Examples), control: has(Right::Control) }
    }

    pub(super) fn has(self, right: Right) -> bool {
        match right {
            Right::Read => true,
            Right::Examples => self.examples,
            Right::Control => self.control,
        }
    }
}

/// A token as it is known here: whose it is, and what it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the log and the audit log call it.
    pub name: String,
    /// Tells it from others.
    pub hash: Hash,
    /// What it may.
    pub rights: Rights,
}

/// The name of the token that is set by itself, which no other may have.
pub const CONTROL_TOKEN: &str = "CONTROL_TOKEN";

impl Known {
    /// That of `CONTROL_TOKEN`, which may do everything.
    pub fn control(token: &Token) -> Self {
        let hash = Hash::of(token.secret().as_bytes());
        Self { name: CONTROL_TOKEN.to_owned(), hash, rights: Rights::ALL }
    }

    pub(super) fn is_control(&self) -> bool {
        self.name == CONTROL_TOKEN
    }
}

/// Its name, and what it may.
impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rights = Right::ALL.into_iter().filter(|right| self.rights.has(*right));
        let rights: Vec<_> = rights.map(Right::name).collect();
        write!(f, "{} ({})", self.name, rights.join(", "))
    }
}
