//! What is said of a candidate.

use serde::{Deserialize, Serialize};

/// What the pairs so far say of the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is settled that it is no worse than allowed.
    #[serde(rename = "pass")]
    Pass,
    /// It is settled that it is worse than allowed.
    #[serde(rename = "fail")]
    Fail,
    /// Neither is settled yet.
    #[serde(rename = "not enough data")]
    NotEnoughData,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Pass, Self::Fail, Self::NotEnoughData];

    /// The word used as metric label and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotEnoughData => "not enough data",
        }
    }

    /// Of several things that must all be well.
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().fold(Self::Pass, |all, next| match (all, next) {
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (Self::Pass, Self::Pass) => Self::Pass,
            _ => Self::NotEnoughData,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn all_is_well_only_where_each_is_and_one_failure_is_enough() {
        use Verdict::{Fail, NotEnoughData, Pass};
        for (verdicts, expected) in [
            (vec![], Pass),
            (vec![Pass, Pass], Pass),
            (vec![Pass, NotEnoughData], NotEnoughData),
            (vec![NotEnoughData, Fail, Pass], Fail),
        ] {
            assert_eq!(Verdict::all(verdicts), expected);
        }
        for verdict in Verdict::ALL {
            let word = serde_json::to_value(verdict).unwrap();
            assert_eq!(word, verdict.name());
        }
    }
}
