//! Keys that get special treatment wherever they are: those whose values differ by nature, and those
//! whose values are nobody's business.

use std::sync::Arc;

use super::redaction::Alias;
use super::rules::MaskAs;
use super::secrets;
use super::text::Text;
use super::used::Used;

type Names = &'static [&'static str];

const IGNORED: Names = &["timestamp", "trace_id", "traceId", "request_id", "requestId"];
const MASKED: Names = &["email", "phone", "name", "cc_last4"];

/// Names of JSON keys that get special treatment, at any depth, matched without regard to case.
/// Making the default ones allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    ignored: Names,
    masked: Names,
    /// Whether values whose keys name secrets are not shown.
    secrets: bool,
    more: Vec<KeyRule>,
    /// Whose values are not shown, however they are compared.
    hidden: Vec<String>,
    outlines: Outlines,
}

/// A name that was asked for.
#[derive(Clone, Debug)]
pub(super) struct KeyRule {
    pub(super) name: String,
    /// `None` for one that is ignored.
    pub(super) mask: Option<MaskAs>,
    pub(super) used: Arc<Used>,
}

impl Default for Keys {
    fn default() -> Self {
        const KEYS: Keys = Keys::of(IGNORED, MASKED, true);
        KEYS
    }
}

/// The lengths of all names, and with which letters names of a length begin: most keys are told
/// from all names by that, without a look at their other letters.
#[derive(Clone, Copy, Debug)]
struct Outlines([u32; 16]);

impl Outlines {
    const fn add(mut self, names: Names) -> Self {
        let mut index = 0;
        while index < names.len() {
            self.add_one(names[index]);
            index += 1;
        }
        self
    }

    const fn add_one(&mut self, name: &str) {
        let name = name.as_bytes();
        let first = if name.is_empty() { 0 } else { name[0] };
        let (slot, bit) = Self::place(first, name.len());
        self.0[slot] |= bit;
    }

    /// Letters have the same low five bits in either case. Long names share a slot.
    const fn place(first: u8, length: usize) -> (usize, u32) {
        (if length < 16 { length } else { 0 }, 1 << (first & 31))
    }

    fn may_have(&self, key: &Text<'_>) -> bool {
        key.outline().is_none_or(|(first, length)| {
            let (slot, bit) = Self::place(first, length);
            self.0[slot] & bit != 0
        })
    }
}

/// How a key is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment<'r> {
    /// Compared, key and value.
    Compared,
    /// Left out, value and all.
    Ignored,
    /// Must be on both sides or on neither; the value is not looked at. Known by the rule's name,
    /// since its own spelling may differ from side to side.
    Masked(&'r str),
    /// The same, but for its value, which is compared in this way and not shown.
    Hashed(&'r str, MaskAs),
}

impl Keys {
    /// Everything is compared.
    pub(super) const NONE: Self = Self::of(&[], &[], false);

    const fn of(ignored: Names, masked: Names, secrets: bool) -> Self {
        let outlines = Outlines([0; 16]).add(ignored).add(masked);
        Self { ignored, masked, secrets, more: Vec::new(), hidden: Vec::new(), outlines }
    }

    /// Those that are always special, unless not wanted, and more.
    pub(super) fn with(builtin: bool, more: Vec<KeyRule>, hidden: Vec<String>) -> Self {
        // What names a secret is never shown.
        let mut keys = if builtin { Self::default() } else { Self::of(&[], &[], true) };
        more.iter().for_each(|rule| keys.outlines.add_one(&rule.name));
        (keys.more, keys.hidden) = (more, hidden);
        keys
    }

    #[inline]
    pub(super) fn treatment(&self, key: &Text<'_>) -> Treatment<'_> {
        if self.outlines.may_have(key) { self.looked_up(key) } else { Treatment::Compared }
    }

    /// Whether a value is not shown, however it is compared.
    pub(super) fn hides(&self, key: &Text<'_>) -> bool {
        self.secrets && secrets::is_named(key)
            || self.hidden.iter().any(|name| key.is_any_case_of(name))
    }

    /// As [`Self::treatment`], and notes which rules applied.
    pub(super) fn noted(&self, key: &Text<'_>) -> Treatment<'_> {
        let treatment = self.treatment(key);
        if treatment != Treatment::Compared {
            let applied = self.more.iter().filter(|rule| key.is_any_case_of(&rule.name));
            applied.for_each(|rule| rule.used.note());
        }
        treatment
    }

    /// What is ignored is not even masked; what is to be compared by its hash is compared.
    fn looked_up(&self, key: &Text<'_>) -> Treatment<'_> {
        let builtin = |names: Names| names.iter().find(|name| key.is_any_case_of(name));
        let more = |mask| {
            let wanted = move |rule: &&KeyRule| rule.mask == mask && key.is_any_case_of(&rule.name);
            self.more.iter().find(wanted).map(|rule| rule.name.as_str())
        };
        if builtin(self.ignored).is_some() || more(None).is_some() {
            return Treatment::Ignored;
        }
        for mask in [Alias::Hash, Alias::Shape].map(MaskAs::Alias).into_iter().chain([MaskAs::Hash])
        {
            if let Some(name) = more(Some(mask)) {
                return Treatment::Hashed(name, mask);
            }
        }
        if let Some(name) = builtin(self.masked) {
            return Treatment::Masked(name);
        }
        more(Some(MaskAs::Equal)).map_or(Treatment::Compared, Treatment::Masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_keys_are_known_in_any_case_and_others_are_compared() {
        let keys = Keys::default();
        let treatment = |key: &'static str| keys.treatment(&Text::plain(key));
        for key in
            ["timestamp", "trace_id", "traceId", "request_id", "requestId", "TIMESTAMP", "TraceID"]
        {
            assert_eq!(treatment(key), Treatment::Ignored, "{key}");
        }
        for key in ["email", "phone", "name", "cc_last4", "Email", "CC_LAST4"] {
            let name = key.to_ascii_lowercase();
            assert_eq!(treatment(key), Treatment::Masked(&name), "{key}");
        }
        for key in ["", "id", "timestamps", "e-mail", "names", "trace-id", "user_name"] {
            assert_eq!(treatment(key), Treatment::Compared, "{key}");
        }
    }

    #[test]
    fn more_keys_join_the_builtin_ones_and_what_asks_for_more_care_goes_first() {
        let rule = |name: &str, mask| KeyRule { name: name.to_owned(), mask, used: Arc::default() };
        let more = || {
            vec![
                rule("nonce", None),
                rule("Email", Some(MaskAs::Hash)),
                rule("phone", None),
                rule("iban", Some(MaskAs::Equal)),
                rule("", None),
            ]
        };
        let keys = Keys::with(true, more(), Vec::new());
        let treatment = |key: &'static str| keys.noted(&Text::plain(key));
        assert_eq!(treatment("NONCE"), Treatment::Ignored);
        assert_eq!(treatment("email"), Treatment::Hashed("Email", MaskAs::Hash));
        assert_eq!(treatment("phone"), Treatment::Ignored);
        assert_eq!(treatment("Iban"), Treatment::Masked("iban"));
        assert_eq!(treatment("timestamp"), Treatment::Ignored);
        assert_eq!(treatment(""), Treatment::Ignored);
        assert!(keys.more.iter().all(|rule| rule.used.get()));
        let alone = Keys::with(false, more(), vec!["Street".to_owned()]);
        assert!(alone.hides(&Text::plain("street")) && !keys.hides(&Text::plain("street")));
        assert_eq!(alone.treatment(&Text::plain("timestamp")), Treatment::Compared);
        assert_eq!(alone.treatment(&Text::plain("nonce")), Treatment::Ignored);
        assert!(!alone.more.iter().any(|rule| rule.used.get()));
    }
}
