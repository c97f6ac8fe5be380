//! What a comparison leaves out: keys whose values differ by nature, and keys whose values are
//! nobody's business.

use super::text::Text;

type Names = &'static [&'static str];

/// Names of JSON keys that get special treatment, at any depth, matched without regard to case.
/// Making them allocates nothing: that is done for each comparison.
#[derive(Clone, Debug)]
pub struct Rules {
    ignored: Names,
    masked: Names,
    outlines: Outlines,
}

impl Default for Rules {
    fn default() -> Self {
        const RULES: Rules = Rules::new(
            &["timestamp", "trace_id", "traceId", "request_id", "requestId"],
            &["email", "phone", "name", "cc_last4"],
        );
        RULES
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
            let name = names[index].as_bytes();
            let (slot, bit) = Self::place(name[0], name.len());
            self.0[slot] |= bit;
            index += 1;
        }
        self
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
}

impl Rules {
    /// Everything is compared.
    pub(super) const NONE: Self = Self::new(&[], &[]);

    const fn new(ignored: Names, masked: Names) -> Self {
        Self { ignored, masked, outlines: Outlines([0; 16]).add(ignored).add(masked) }
    }

    #[inline]
    pub(super) fn treatment(&self, key: &Text<'_>) -> Treatment<'_> {
        if self.outlines.may_have(key) { self.looked_up(key) } else { Treatment::Compared }
    }

    fn looked_up(&self, key: &Text<'_>) -> Treatment<'_> {
        let named = |name: &&&'static str| key.is_any_case_of(name);
        if self.ignored.iter().any(|name| named(&name)) {
            return Treatment::Ignored;
        }
        let masked = self.masked.iter().find(named);
        masked.map_or(Treatment::Compared, |name| Treatment::Masked(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_keys_are_known_in_any_case_and_others_are_compared() {
        let rules = Rules::default();
        let treatment = |key: &'static str| rules.treatment(&Text::plain(key));
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
}
