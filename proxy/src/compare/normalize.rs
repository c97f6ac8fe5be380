//! What a comparison leaves out: keys whose values differ by nature, and keys whose values are
//! nobody's business.

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
            ignored: names(&["timestamp", "trace_id", "traceid", "request_id", "requestid"]),
            masked: names(&["email", "phone", "name", "cc_last4"]),
        }
    }
}

/// How a key is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Compared, key and value.
    Compared,
    /// Left out, value and all.
    Ignored,
    /// Must be on both sides or on neither; the value is not looked at.
    Masked,
}

impl Rules {
    pub(super) fn treatment(&self, key: &[u8]) -> Treatment {
        let among =
            |names: &[String]| names.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
        if among(&self.ignored) {
            Treatment::Ignored
        } else if among(&self.masked) {
            Treatment::Masked
        } else {
            Treatment::Compared
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_keys_are_known_in_any_case_and_others_are_compared() {
        let rules = Rules::default();
        for key in
            ["timestamp", "trace_id", "traceId", "request_id", "requestId", "TIMESTAMP", "TraceID"]
        {
            assert_eq!(rules.treatment(key.as_bytes()), Treatment::Ignored, "{key}");
        }
        for key in ["email", "phone", "name", "cc_last4", "Email", "CC_LAST4"] {
            assert_eq!(rules.treatment(key.as_bytes()), Treatment::Masked, "{key}");
        }
        for key in ["", "id", "timestamps", "e-mail", "names"] {
            assert_eq!(rules.treatment(key.as_bytes()), Treatment::Compared, "{key}");
        }
    }
}
