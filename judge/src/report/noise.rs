//! What differs by itself: a field in which two baselines differ as much as baseline and candidate
//! tells nothing of the candidate.
//!
//! The formula and its thresholds are Diffy's (`DifferencesFilterFactory` and the default settings
//! of <https://github.com/opendiffy/diffy>): a field differs when there are more raw differences than
//! noise, the relative difference |raw - noise| / (raw + noise) is above 20 %, and the absolute one,
//! |raw - noise| / pairs, above 0.03 %. Diffy asks the second baseline for each request; here it is
//! asked for a sample of them, so that rates are compared, not counts: those over the same samples,
//! where they are known, so that both were measured at the same time on the same requests.

use super::{float, share};

/// Above this, |raw - noise| / (raw + noise) is a difference.
const RELATIVE: f64 = 0.2;
/// Above this, |raw - noise| / pairs is a difference.
const ABSOLUTE: f64 = 0.0003;

/// With so many answers of two baselines, a field that differs in one of ten by itself has most likely
/// been seen to (1 - 0.9^20 = 88 %).
pub(super) const ENOUGH: u64 = 20;

/// In how many pairs and samples one field differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs in which baseline and candidate differ.
    pub raw: u64,
    /// Samples in which two baselines differ.
    pub noise: u64,
    /// Pairs in which baseline and candidate differ, among the samples for which that was told.
    pub raw_in_samples: u64,
}

/// How many answers were compared with those of a second baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// All of them.
    pub all: u64,
    /// Those for which it was told what the candidate differed in.
    paired: u64,
}

impl Samples {
    pub(super) fn count(&mut self, paired: bool) {
        self.all += 1;
        self.paired += u64::from(paired);
    }

    /// Whether a field differs by itself as much as it does on the candidate's side. `compared`
    /// is how many pairs were compared in all.
    pub fn is_noise(self, field: Counts, compared: u64) -> bool {
        if field.noise == 0 {
            return false;
        }
        let noise = share(field.noise, self.all);
        let raw = self.raw(field, compared);
        !differs(raw, noise)
    }

    /// Whether a value that is noisy in general, in so many samples, may be like this as often as it
    /// is by chance: three standard deviations (for none at all, the rule of three). What is usual
    /// there is not judged by this.
    pub fn may_be_chance(self, field: Counts, noise_of_all: u64, compared: u64) -> bool {
        let seen = float(field.noise);
        let chance = (seen + 3.0 * (seen + 1.0).sqrt()) / float(self.all.max(1));
        noise_of_all > 2 * field.noise && self.raw(field, compared) <= chance
    }

    fn raw(self, field: Counts, compared: u64) -> f64 {
        if self.paired == self.all {
            share(field.raw_in_samples, self.paired)
        } else {
            share(field.raw, compared)
        }
    }

    /// Pairs that differ in a field beyond what noise explains: an estimate, at least 0.
    pub fn net(self, field: Counts, compared: u64) -> f64 {
        let expected = share(field.noise, self.all) * float(compared);
        (float(field.raw) - expected).max(0.0)
    }
}

/// Whether so much noise is all there is to a raw rate.
pub(super) fn explains(raw: f64, noise: f64) -> bool {
    noise > 0.0 && !differs(raw, noise)
}

fn differs(raw: f64, noise: f64) -> bool {
    raw > noise && (raw - noise) / (raw + noise) > RELATIVE && raw - noise > ABSOLUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_differs_above_both_thresholds_only() {
        for (raw, noise, expected) in [
            (0.3, 0.0, true),
            (0.3, 0.21, false),
            (0.3, 0.19, true),
            (0.0003, 0.0, false),
            (0.0004, 0.0, true),
            (0.2, 0.9, false),
            (0.0, 0.0, false),
        ] {
            assert_eq!(differs(raw, noise), expected, "{raw} {noise}");
        }
    }
}
