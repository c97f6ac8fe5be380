//! Which exchanges are recorded, and what of them.

use super::share::Share;

/// What of bodies is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// All.
    All,
    /// Those of requests: to be sent again to two that are live.
    Requests,
    /// None: what was asked, how long it took and what came of it.
    None,
}

impl Bodies {
    /// The words of the settings.
    pub const WORDS: &'static [&'static str] = &["all", "requests", "none"];

    /// Reads one of the words.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "requests" => Ok(Self::Requests),
            "none" => Ok(Self::None),
            _ => Err("is unknown".to_owned()),
        }
    }
}

/// What holds for the requests of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Share of requests, mirrored or not.
    pub share: Share,
    /// Whether every pair that differs is recorded apart.
    pub mismatches: bool,
    /// What of bodies.
    pub bodies: Bodies,
    /// Of a longer one its length alone.
    pub max_body_bytes: usize,
    /// Whether it is recorded without what is personal or secret.
    pub redact: bool,
}

/// What a route says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfRoute {
    /// See [`Record::share`].
    pub share: Option<Share>,
    /// See [`Record::mismatches`].
    pub mismatches: Option<bool>,
    /// See [`Record::bodies`].
    pub bodies: Option<Bodies>,
    /// See [`Record::max_body_bytes`].
    pub max_body_bytes: Option<usize>,
}

impl OfRoute {
    /// What holds for all, with what the route says over it.
    #[must_use]
    pub fn over(&self, all: &Record) -> Record {
        Record {
            share: self.share.unwrap_or(all.share),
            mismatches: self.mismatches.unwrap_or(all.mismatches),
            bodies: self.bodies.unwrap_or(all.bodies),
            max_body_bytes: self.max_body_bytes.unwrap_or(all.max_body_bytes),
            redact: all.redact,
        }
    }
}
