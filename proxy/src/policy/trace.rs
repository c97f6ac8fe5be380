//! What copies say of the trace that their request is part of.

/// What a copy carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// The request's trace, and a span of its own in it.
    #[default]
    Linked,
    /// Nothing of it.
    Off,
}

impl Copies {
    /// The words of the settings.
    pub const WORDS: &'static [&'static str] = &["linked", "off"];

    /// Reads one of the words.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "linked" => Ok(Self::Linked),
            "off" => Ok(Self::Off),
            _ => Err("is unknown".to_owned()),
        }
    }
}
