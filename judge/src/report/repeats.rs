//! Whether a value that should change stays what it was: what a field was last, on both sides. A
//! candidate that sends a constant where the baselines never repeat themselves would hide behind
//! the noise of the field. One side is held against the other in the same pair, so that a time that
//! is the same for all requests of a second is none.

/// Values remembered of a side.
const LAST: usize = 4;

/// What is being compared with what: each has a memory of its own, since a sample of the requests
/// repeats itself less often than all of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// Baseline and candidate.
    Raw,
    /// Both baselines.
    Noise,
    /// Baseline and candidate, on the requests that went to both baselines.
    Sampled,
}

/// The last values of one side, as hashes.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    last: [Option<u32>; LAST],
    next: u8,
}

/// The last values of a field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last([[Ring; 2]; 3]);

impl Last {
    /// Whether the second side repeats itself here and the first does not.
    pub(super) fn repeats(&self, stream: Stream, [ours, theirs]: [u32; 2]) -> bool {
        let [our_ring, their_ring] = &self.0[stream as usize];
        their_ring.last.contains(&Some(theirs)) && !our_ring.last.contains(&Some(ours))
    }

    /// Whether a side's value here is one of its last ones.
    pub(super) fn knows(&self, stream: Stream, [ours, theirs]: [u32; 2]) -> bool {
        let [our_ring, their_ring] = &self.0[stream as usize];
        our_ring.last.contains(&Some(ours)) || their_ring.last.contains(&Some(theirs))
    }

    /// Takes in the values of a pair.
    pub(super) fn note(&mut self, stream: Stream, values: [u32; 2]) {
        for (ring, value) in self.0[stream as usize].iter_mut().zip(values) {
            ring.last[usize::from(ring.next)] = Some(value);
            ring.next = (ring.next + 1) % LAST as u8;
        }
    }
}
