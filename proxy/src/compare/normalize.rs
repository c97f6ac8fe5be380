//! What a comparison leaves out: keys whose values differ by nature, and keys whose values are
//! nobody's business.

use super::text::Text;

/// Names of JSON keys that get special treatment, at any depth, matched without regard to case.
#[derive(Clone, Debug)]
pub struct Rules {
    ignored: Vec<String>,
    masked: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            ignored: names(&["timestamp", "trace_id", "traceId", "request_id", "requestId"]),
            masked: names(&["email", "phone", "name", "cc_last4"]),
        }
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
    pub(super) fn treatment(&self, key: &Text<'_>) -> Treatment<'_> {
        let named = |name: &&String| key.is_any_case_of(name);
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
