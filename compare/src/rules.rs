//! What a comparison is told to relax, as it is meant: which values are left out, which are nobody's
//! business, and which may differ a little. Where it is written is none of this module's business.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::path::Path;
use super::redaction::{Alias, Redaction};

/// Most rules that can hold for one route, the global ones included.
pub const RULES_MAX: usize = 256;
/// Most of them that let values differ: numbers, times and classes.
pub const LENIENT_MAX: usize = 64;

/// Values of JSON that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those of this key at any depth, in any case of ASCII letters.
    Key(String),
    /// Those that this path selects.
    Path(Path),
}

/// What is compared of a masked value, which is never shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaskAs {
    /// Nothing: it equals any other, and must only be on both sides or on neither.
    #[default]
    Equal,
    /// Its hash under a key that nobody knows.
    Hash,
    /// Itself, or what stands for it in the candidate's copies.
    Alias(Alias),
}

/// How elements of two arrays are paired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Each with an equal one, wherever that is.
    Unordered,
    /// Those whose members of this name are equal.
    ByKey(String),
}

/// How far two numbers may be apart: `max(absolute, relative × the larger of both)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// In the unit of the numbers.
    pub absolute: f64,
    /// As a share, below 1.
    pub relative: f64,
}

/// What a selected value is let off.
#[derive(Clone, Debug)]
pub(super) enum Lenience {
    Number(Tolerance),
    /// In nanoseconds.
    Time(u128),
    Class(Class),
}

/// Values that differ by nature and are alike in form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 hexadecimal digits in five groups (RFC 9562 section 4).
    Uuid,
    /// RFC 3339, or a number that is a recent time in seconds or milliseconds since 1970.
    Timestamp,
    /// 16 and more letters, digits and `-._~+/=`, with a letter and a digit among them.
    Token,
    /// Hexadecimal digits, 8 and more.
    Hex,
    /// Three parts of base64url joined by dots, of which the first begins as JSON does (RFC 7519).
    Jwt,
    /// 26 characters of Crockford's base32.
    Ulid,
    /// Any text.
    Text,
    /// Any number.
    Number,
}

impl Class {
    /// Every class, those first that hold for the fewest values.
    pub const ALL: [Self; 8] = [
        Self::Uuid,
        Self::Ulid,
        Self::Jwt,
        Self::Hex,
        Self::Timestamp,
        Self::Token,
        Self::Text,
        Self::Number,
    ];

    /// The word used in the file of rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Timestamp => "timestamp",
            Self::Token => "token",
            Self::Hex => "hex",
            Self::Jwt => "jwt",
            Self::Ulid => "ulid",
            Self::Text => "string",
            Self::Number => "number",
        }
    }
}

/// A set of classes: those that values are all of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    /// Of no value at all.
    pub const ALL: Self = Self(u8::MAX);

    /// Those for which this holds.
    pub(super) fn holding_where(holds: impl Fn(Class) -> bool) -> Self {
        Self(Class::ALL.iter().fold(0, |set, class| set | (u8::from(holds(*class)) * bit(*class))))
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it has this one.
    pub fn contains(self, class: Class) -> bool {
        self.0 & bit(class) != 0
    }

    /// The one that holds for the fewest values.
    pub fn tightest(self) -> Option<Class> {
        Class::ALL.into_iter().find(|class| self.contains(*class))
    }
}

fn bit(class: Class) -> u8 {
    1 << class as u8
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Leaves values out: they leave no trace.
    Ignore(Select),
    /// Hides values.
    Mask(Select, MaskAs),
    /// Hides values, which are compared all the same.
    Hide(Select),
    /// Takes a response header out of the comparison.
    IgnoreHeader(HeaderName),
    /// Hides the value of a response header.
    MaskHeader(HeaderName, MaskAs),
    /// Hides the value of a response header, which is compared all the same where it is.
    HideHeader(HeaderName),
    /// Pairs the elements of arrays in another way than by their index.
    Array(Path, Pairing),
    /// Numbers may differ a little.
    Number(Path, Tolerance),
    /// Times may differ a little: RFC 3339 texts, or numbers of seconds or milliseconds since 1970.
    Time(Path, Duration),
    /// Values need only be of the same class.
    Class(Path, Class),
    /// Strings are read as the JSON that is in them.
    JsonString(Path),
}

impl What {
    /// Whether it lets values differ a little, of which there may be fewer.
    pub fn is_lenient(&self) -> bool {
        matches!(self, Self::Number(..) | Self::Time(..) | Self::Class(..))
    }
}

/// One rule, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it does.
    pub what: What,
    /// As it was written, such as `ignore "$.nonce"`.
    pub text: String,
    /// Where it was written, such as `line 3`.
    pub place: String,
}

/// The rules of all routes, or those that one route has besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// Response headers that are compared, besides those that hold for all routes.
    pub headers: Vec<HeaderName>,
    /// Whether a member that is `null` equals one that is not there.
    pub null_equals_absent: bool,
    /// The rules, in the order they were written.
    pub rules: Vec<Rule>,
}

/// What one candidate's copies are without, and what is shown of nobody's.
#[derive(Clone, Debug)]
pub struct Redacted {
    /// The policy.
    pub by: Arc<dyn Redaction>,
    /// Whether it holds for the copies as well.
    pub copies: bool,
    /// What it means for single values and headers.
    pub rules: Vec<What>,
}

impl PartialEq for Redacted {
    fn eq(&self, other: &Self) -> bool {
        self.by.meaning() == other.by.meaning()
            && self.copies == other.copies
            && self.rules == other.rules
    }
}

/// All rules of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleBook {
    /// Whether the keys that are always ignored or masked are.
    pub builtin: bool,
    /// Whether `content-type`, `location` and `cache-control` are compared.
    pub default_headers: bool,
    /// For all routes.
    pub all: RuleSet,
    /// For single routes besides, by label.
    pub routes: Vec<(String, RuleSet)>,
    /// What is nobody's business, whatever the route.
    pub redacted: Option<Redacted>,
}

impl Default for RuleBook {
    fn default() -> Self {
        Self {
            builtin: true,
            default_headers: true,
            all: RuleSet::default(),
            routes: Vec::new(),
            redacted: None,
        }
    }
}
