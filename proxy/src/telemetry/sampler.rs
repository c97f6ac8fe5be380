//! Which requests have spans, by the words of OpenTelemetry's `OTEL_TRACES_SAMPLER`. Pure.

use super::context::{Parent, TraceId};

/// Which requests have spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether it is settled by whoever saw the request before, where there is somebody.
    pub by_parent: bool,
    /// Of all others these.
    pub root: Root,
}

/// Which of the requests that nobody has decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// All.
    On,
    /// None.
    Off,
    /// This share, by the trace's id: whoever decides in the same way decides the same.
    Ratio(f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self { by_parent: true, root: Root::On }
    }
}

impl Sampler {
    /// The words, each with what it stands for; where a share belongs to it, this one.
    pub fn of(word: &str, ratio: f64) -> Option<Self> {
        let (by_parent, word) = match word.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let root = match word {
            "always_on" => Root::On,
            "always_off" => Root::Off,
            "traceidratio" => Root::Ratio(ratio),
            _ => return None,
        };
        Some(Self { by_parent, root })
    }

    /// Whether a request has spans; its trace, and what was said of it before.
    pub fn takes(self, trace: TraceId, parent: Option<Parent>) -> bool {
        match (parent.filter(|_| self.by_parent), self.root) {
            (Some(parent), _) => parent.is_sampled(),
            (None, Root::On) => true,
            (None, Root::Off) => false,
            (None, Root::Ratio(ratio)) => is_below(trace, ratio),
        }
    }
}

/// The last eight bytes of an id are random, and their share of all that they may be is held against the ratio.
fn is_below(trace: TraceId, ratio: f64) -> bool {
    let mut low = [0; 8];
    low.copy_from_slice(&trace.0[8..]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of all 63-bit numbers, as OpenTelemetry's own reckon it"
    )]
    let bound = (ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64;
    u64::from_be_bytes(low) >> 1 < bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::context::TRACEPARENT;

    fn parent(flags: &str) -> Parent {
        let line = format!("00-{}-{}-{flags}", "ab".repeat(16), "cd".repeat(8));
        let headers = [(TRACEPARENT, line.parse().unwrap())].into_iter().collect();
        Parent::of(&headers).unwrap()
    }

    #[test]
    fn the_words_are_those_of_opentelemetry() {
        let trace = TraceId([0x40; 16]);
        let (kept, left) = (Some(parent("01")), Some(parent("00")));
        for (word, ratio, expected) in [
            ("always_on", 1.0, [true, true, true]),
            ("always_off", 1.0, [false, false, false]),
            ("traceidratio", 1.0, [true, true, true]),
            ("traceidratio", 0.0, [false, false, false]),
            ("parentbased_always_on", 1.0, [true, true, false]),
            ("parentbased_always_off", 1.0, [false, true, false]),
            ("parentbased_traceidratio", 0.2, [false, true, false]),
            ("parentbased_traceidratio", 0.3, [true, true, false]),
        ] {
            let sampler = Sampler::of(word, ratio).unwrap();
            let takes = [None, kept, left].map(|parent| sampler.takes(trace, parent));
            assert_eq!(takes, expected, "{word} {ratio}");
        }
        assert_eq!(Sampler::of("parentbased_always_on", 1.0), Some(Sampler::default()));
        for word in ["", "jaeger_remote", "xray", "parentbased_", "Always_On"] {
            assert_eq!(Sampler::of(word, 1.0), None, "{word}");
        }
    }

    #[test]
    fn a_ratio_takes_about_its_share() {
        let sampler = Sampler::of("traceidratio", 0.25).unwrap();
        let taken = (0..4000).filter(|_| sampler.takes(TraceId::random(), None)).count();
        assert!((800..1200).contains(&taken), "{taken}");
    }
}
