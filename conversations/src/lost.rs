//! What did not become an exchange, and why.
//!
//! The counts close: each request that was seen ends as exactly one exchange, or as exactly one [`Lost`] of
//! [`Of::Request`]. All others are beside that sum.

/// Why something that was seen is in no exchange, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lost {
    /// Bytes were missing in the request or in its answer, or may have held its answer.
    Gap,
    /// The request, its answer, or one before it was not as HTTP has it.
    Malformed,
    /// A head of more bytes or lines than [`crate::Limits`] has.
    HeadTooLarge,
    /// It was not known which answer belonged to it: something was missing before.
    OutOfStep,
    /// The connection ended within the request or its answer.
    CutShort,
    /// The connection ended before an answer.
    NoAnswer,
    /// It was taken back, by RST_STREAM or GOAWAY of HTTP/2.
    Reset,
    /// More requests waited for answers than [`crate::Limits`] has.
    TooManyPending,
    /// The bytes held by this conversation or by all of them left no room for its head.
    NoRoom,
    /// It made a tunnel of the connection or the stream: an upgrade or CONNECT that was granted.
    Tunnel,
    /// It was made in HTTP/0.9, which has neither heads nor an end.
    Http09,
    /// An answer without a request that was seen.
    AnswerAlone,
    /// An answer that the server pushed.
    Pushed,
    /// Bytes between two messages that are no message.
    Garbage,
    /// A connection that does not speak HTTP.
    NotHttp,
    /// A connection in TLS without its keys, or with a cipher that is not known here.
    Encrypted,
    /// A connection in TLS that could not be followed further: bytes missing, or records that its keys
    /// do not open.
    TlsBroken,
    /// A connection in HTTP/2 that could not be followed further: bytes missing, or malformed.
    Http2Broken,
    /// A connection that there was no room to read on: for unfinished heads, tables of HPACK, or records.
    Crowded,
    /// A body that was larger than is kept.
    BodyOverLimit,
    /// A body that the conversation had no room for.
    BodyOverConversation,
    /// A body that the budget of all conversations had no room for.
    BodyOverBudget,
    /// A body in which bytes were missing.
    BodyGap,
}

/// What it is that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// A request that was seen, with its answer.
    Request,
    /// An answer, or part of one, or of no request that was seen.
    Other,
    /// All that follows on this connection; the requests that it had open are counted on their own.
    Connection,
    /// A body: its exchange comes, with [`traffic::Body::NotKept`], or is counted on its own.
    Body,
}

impl Lost {
    /// Every loss, in the order of their discriminants.
    pub const ALL: [Self; 23] = [
        Self::Gap,
        Self::Malformed,
        Self::HeadTooLarge,
        Self::OutOfStep,
        Self::CutShort,
        Self::NoAnswer,
        Self::Reset,
        Self::TooManyPending,
        Self::NoRoom,
        Self::Tunnel,
        Self::Http09,
        Self::AnswerAlone,
        Self::Pushed,
        Self::Garbage,
        Self::NotHttp,
        Self::Encrypted,
        Self::TlsBroken,
        Self::Http2Broken,
        Self::Crowded,
        Self::BodyOverLimit,
        Self::BodyOverConversation,
        Self::BodyOverBudget,
        Self::BodyGap,
    ];

    /// The word used in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head_too_large",
            Self::OutOfStep => "out_of_step",
            Self::CutShort => "cut_short",
            Self::NoAnswer => "no_answer",
            Self::Reset => "reset",
            Self::TooManyPending => "too_many_pending",
            Self::NoRoom => "no_room",
            Self::Tunnel => "tunnel",
            Self::Http09 => "http_0_9",
            Self::AnswerAlone => "answer_alone",
            Self::Pushed => "pushed",
            Self::Garbage => "garbage",
            Self::NotHttp => "not_http",
            Self::Encrypted => "encrypted",
            Self::TlsBroken => "tls_broken",
            Self::Http2Broken => "http2_broken",
            Self::Crowded => "crowded",
            Self::BodyOverLimit => "body_over_limit",
            Self::BodyOverConversation => "body_over_conversation",
            Self::BodyOverBudget => "body_over_budget",
            Self::BodyGap => "body_gap",
        }
    }

    /// What it is that was lost.
    pub fn of(self) -> Of {
        match self {
            Self::Gap
            | Self::Malformed
            | Self::HeadTooLarge
            | Self::OutOfStep
            | Self::CutShort
            | Self::NoAnswer
            | Self::Reset
            | Self::TooManyPending
            | Self::NoRoom
            | Self::Tunnel
            | Self::Http09 => Of::Request,
            Self::AnswerAlone | Self::Pushed | Self::Garbage => Of::Other,
            Self::NotHttp
            | Self::Encrypted
            | Self::TlsBroken
            | Self::Http2Broken
            | Self::Crowded => Of::Connection,
            Self::BodyOverLimit
            | Self::BodyOverConversation
            | Self::BodyOverBudget
            | Self::BodyGap => Of::Body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_listed_once_and_has_a_name_of_its_own() {
        for (at, lost) in Lost::ALL.into_iter().enumerate() {
            assert_eq!(lost as usize, at);
            assert!(lost.name().bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_')));
        }
        let names: std::collections::BTreeSet<_> = Lost::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Lost::ALL.len());
        assert_eq!(Lost::BodyGap as usize + 1, Lost::ALL.len());
    }
}
