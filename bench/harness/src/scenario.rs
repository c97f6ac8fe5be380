//! What is measured: the kinds of traffic, and what the candidate does meanwhile.

use std::time::Duration;

use crate::backend::Manner;
use crate::messages::Kind;

/// What the candidate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// Nothing is mirrored.
    Unused,
    /// Takes connections; whole requests are counted.
    Takes(Manner),
    /// Nobody listens; attempts are counted by the kernel.
    Refuses,
}

/// One kind of run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) candidate: Candidate,
    /// Of a copy, for all proxies alike.
    pub(crate) timeout: Duration,
    /// Settings of our proxy besides those of every run.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Peers have no counterpart.
    pub(crate) ours_only: bool,
}

/// What is mirrored is compared with the guardrail kept from stopping it.
const KEEP_ON: (&str, &str) = ("ABORT_ERROR_DELTA", "1");
const KEEP_ON_SLOW: (&str, &str) = ("ABORT_P99_RATIO", "1000000");
/// Copies are tried as long as the guardrail has not had its breaches.
const NEVER_PROBE: (&str, &str) = ("ABORT_CONSECUTIVE", "1000000000");
const ALL: (&str, &str) = ("MIRROR_FRACTION", "1");
const MANY: (&str, &str) = ("MIRROR_CONCURRENCY", "8192");
const MANY_WAIT: (&str, &str) = ("MIRROR_QUEUE_SIZE", "8192");

/// The byte budget of the run with a hung candidate, in MiB, and as the setting.
pub(crate) const BUDGET_MIB: f64 = 16.0;
const BUDGET: (&str, &str) = ("MIRROR_BUFFER_BYTES", "16777216");

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "get",
        title: "GET plain",
        kind: Kind::Get,
        candidate: Candidate::Unused,
        timeout: TEN_SECONDS,
        settings: &[("MIRROR_FRACTION", "0")],
        ours_only: false,
    },
    Scenario {
        name: "get-mirrored",
        title: "GET mirrored",
        kind: Kind::Get,
        candidate: Candidate::Takes(Manner::Answer),
        timeout: TEN_SECONDS,
        settings: &[ALL, KEEP_ON, KEEP_ON_SLOW],
        ours_only: false,
    },
    Scenario {
        name: "post-mirrored",
        title: "POST mirrored",
        kind: Kind::Post,
        candidate: Candidate::Takes(Manner::Answer),
        timeout: TEN_SECONDS,
        settings: &[ALL, KEEP_ON, KEEP_ON_SLOW],
        ours_only: false,
    },
    Scenario {
        name: "slow",
        title: "candidate 200 ms slow",
        kind: Kind::Get,
        candidate: Candidate::Takes(Manner::Delay(Duration::from_millis(200))),
        timeout: TEN_SECONDS,
        settings: &[ALL, KEEP_ON, KEEP_ON_SLOW, MANY, MANY_WAIT],
        ours_only: false,
    },
    Scenario {
        name: "refusing",
        title: "candidate refusing, every copy tried",
        kind: Kind::Get,
        candidate: Candidate::Refuses,
        timeout: TEN_SECONDS,
        settings: &[ALL, KEEP_ON, NEVER_PROBE],
        ours_only: false,
    },
    Scenario {
        name: "refusing-known",
        title: "candidate refusing, and the proxy may know",
        kind: Kind::Get,
        candidate: Candidate::Refuses,
        timeout: TEN_SECONDS,
        settings: &[ALL],
        ours_only: true,
    },
    Scenario {
        name: "hung",
        title: "candidate hung",
        kind: Kind::Get,
        candidate: Candidate::Takes(Manner::Hang),
        timeout: Duration::from_secs(1),
        settings: &[ALL, KEEP_ON, KEEP_ON_SLOW, BUDGET],
        ours_only: false,
    },
];

impl Scenario {
    /// Whether requests are copied.
    pub(crate) fn mirrored(&self) -> bool {
        self.candidate != Candidate::Unused
    }
}
