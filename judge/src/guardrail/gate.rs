//! The one value that flows back from the guardrail to the client path, in two halves: the
//! guardrail sets it, the mirror reads it at each request without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OPEN: u64 = 0;
const TRIPPED: u64 = 1;
const HELD: u64 = 2;
const PROBATION: u64 = 3;
const KIND_BITS: u32 = 2;
/// Bits of a share on probation, between kind and epoch.
const SHARE_BITS: u32 = 10;

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Mirroring is allowed; the epoch tells one spell of mirroring from the next.
    Open {
        /// Grows whenever mirroring comes back.
        epoch: u64,
    },
    /// Allowed for a share of what would be mirrored otherwise.
    Probation {
        /// As for `Open`.
        epoch: u64,
        /// Thousandths.
        share: u16,
    },
    /// Off until then, or until it is enabled by hand.
    Tripped {
        /// When the first request may switch mirroring on again, as [`Moment::at`](super::Moment::at);
        /// up to a microsecond later than it was set.
        until: Duration,
    },
    /// Off until it is enabled by hand.
    Held,
}

#[derive(Debug)]
struct Shared {
    /// Kind in the low bits; above them the epoch (on probation the share before it), or the end of the cooldown in microseconds.
    /// One word, so that a reader never sees half of a change.
    word: AtomicU64,
}

/// The guardrail's half.
#[derive(Debug)]
pub struct Setter(Arc<Shared>);

/// The reader's half.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

/// A gate that is open, in epoch 0.
pub fn gate() -> (Setter, Gate) {
    let shared = Arc::new(Shared { word: AtomicU64::new(OPEN) });
    (Setter(Arc::clone(&shared)), Gate(shared))
}

impl Setter {
    /// Sets what readers see from now on.
    pub fn set(&self, reading: Reading) {
        let word = match reading {
            Reading::Open { epoch } => (epoch << KIND_BITS) | OPEN,
            Reading::Probation { epoch, share } => {
                (((epoch << SHARE_BITS) | u64::from(share)) << KIND_BITS) | PROBATION
            }
            Reading::Tripped { until } => {
                // Rounded up: the gate must not open before the guardrail's own time has come.
                let after = until.as_micros() + 1;
                (u64::try_from(after).unwrap_or(u64::MAX >> KIND_BITS) << KIND_BITS) | TRIPPED
            }
            Reading::Held => HELD,
        };
        self.0.word.store(word, Ordering::Release);
    }
}

impl Gate {
    /// What the gate says now.
    pub fn read(&self) -> Reading {
        let word = self.0.word.load(Ordering::Acquire);
        let value = word >> KIND_BITS;
        match word & ((1 << KIND_BITS) - 1) {
            OPEN => Reading::Open { epoch: value },
            PROBATION => {
                let share = value & ((1 << SHARE_BITS) - 1);
                let share = u16::try_from(share).expect("ten bits fit into sixteen");
                Reading::Probation { epoch: value >> SHARE_BITS, share }
            }
            TRIPPED => Reading::Tripped { until: Duration::from_micros(value) },
            _ => Reading::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_was_set_last() {
        let (setter, gate) = gate();
        assert_eq!(gate.read(), Reading::Open { epoch: 0 });
        setter.set(Reading::Held);
        assert_eq!(gate.read(), Reading::Held);
        for reading in [
            Reading::Open { epoch: 3 },
            Reading::Probation { epoch: 3, share: 0 },
            Reading::Probation { epoch: 1 << 40, share: 1000 },
        ] {
            setter.set(reading);
            assert_eq!(gate.read(), reading);
        }
        let until = Duration::from_secs(24 * 3600);
        setter.set(Reading::Tripped { until });
        let Reading::Tripped { until: read } = gate.read() else { panic!("not tripped") };
        assert!(read >= until && read - until <= Duration::from_micros(2));
    }
}
