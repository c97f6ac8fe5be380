//! What differs, where, and how much it matters.

use http::HeaderName;

use super::traits::Traits;

/// What is wrong at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The baseline has it, the candidate has not.
    Missing,
    /// The candidate has it, the baseline has not.
    Added,
    /// Both have it, as values of different types.
    Type,
    /// Both have it, with different values.
    Value,
    /// The same elements in another order.
    Order,
    /// Arrays or bodies of different length.
    Length,
    /// Different status codes.
    Status,
    /// Different response headers.
    Header,
    /// The candidate has the baseline's value under another name.
    Renamed,
    /// The candidate has the baseline's value in another place.
    Moved,
    /// The same, written differently.
    Form,
    /// The candidate answers with errors of GraphQL, the baseline without (GraphQL, October 2021, section
    /// 7.1).
    Errors,
}

impl Kind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::Added,
        Self::Type,
        Self::Value,
        Self::Order,
        Self::Length,
        Self::Status,
        Self::Header,
        Self::Renamed,
        Self::Moved,
        Self::Form,
        Self::Errors,
    ];

    /// The word used as metric label and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Type => "type",
            Self::Value => "value",
            Self::Order => "order",
            Self::Length => "length",
            Self::Status => "status",
            Self::Header => "header",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Form => "form",
            Self::Errors => "errors",
        }
    }

    /// How likely it breaks a client: what is gone or of another type does, what is new seldom.
    pub fn risk(self) -> Risk {
        match self {
            Self::Missing | Self::Type | Self::Status => Risk::High,
            Self::Renamed | Self::Moved | Self::Errors => Risk::High,
            Self::Value | Self::Order | Self::Length | Self::Header | Self::Form => Risk::Medium,
            Self::Added => Risk::Low,
        }
    }
}

/// How likely a difference breaks a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Risk {
    /// Something was added.
    Low,
    /// A value is another one.
    Medium,
    /// Something is gone, or of another type.
    High,
}

impl Risk {
    /// Every risk, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The word used as metric label and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One difference between two replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: a normalized JSON path (RFC 9535, section 2.7), or `status`, `body`, or
    /// `header NAME`; in a body that is no JSON `body` and the way from there, such as `body line 3` or
    /// `body html > body > ul > li[3] > a @href`.
    pub place: String,
    /// The same with `[*]` for every array index, every number of a line, a row, an element or a part, and for
    /// keys that are ids, so that the places of a list or a map are one field.
    pub field: String,
    /// What is wrong there.
    pub kind: Kind,
    /// The baseline's value as text, bounded and masked; `None` where it has none.
    pub baseline: Option<String>,
    /// The candidate's value as text, bounded and masked; `None` where it has none.
    pub candidate: Option<String>,
    /// What the candidate's value is like.
    pub traits: Traits,
    /// What the values do not show: in what they differ where they look alike, and how a body was
    /// read that is no plain JSON. Nothing of the values.
    pub note: Option<String>,
}

/// What differs in a pair, as far as it was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the order of the baseline's document.
    pub found: Vec<Difference>,
    /// Whether there are more than were listed.
    pub more: bool,
    /// Response headers that differ and are not compared; they say nothing of the result.
    pub uncompared: Vec<Uncompared>,
}

/// A response header that differs and is not compared. Its values are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncompared {
    /// Which.
    pub name: HeaderName,
    /// How it differs.
    pub change: Change,
}

/// How a header that is not compared differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Both sides have it, and say something else.
    Value,
    /// The candidate has not got it.
    BaselineOnly,
    /// The baseline has not got it.
    CandidateOnly,
    /// The media type is the same, and its charset another one.
    Charset,
}

impl Change {
    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::BaselineOnly => "baseline only",
            Self::CandidateOnly => "candidate only",
            Self::Charset => "charset",
        }
    }
}
