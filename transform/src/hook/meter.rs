//! What a run may use: each kind of growth asks first, and what was given is not given back before its end.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Position};

/// Longest text that a script handles at once.
pub(super) const TEXT_MAX: usize = 256 * 1024;
/// Most elements of a script's own arrays, those in arrays in them included.
pub(super) const ARRAY_MAX: usize = 2048;
/// Most members of a script's own maps, likewise.
pub(super) const MAP_MAX: usize = 512;

/// Asked before memory grows by so many bytes; what is refused is not taken.
pub type Grant = Box<dyn FnMut(usize) -> bool + Send + Sync>;

/// Whether the time is over.
pub type Over = Arc<dyn Fn() -> bool + Send + Sync>;

/// What a run may use.
pub struct Limits {
    /// Steps: each expression, call and round of a loop is one or some.
    pub steps: u64,
    /// Bytes of texts and documents, in all.
    pub bytes: usize,
    /// Asked now and then.
    pub over: Over,
    /// The memory that `bytes` are part of.
    pub grant: Grant,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { steps, bytes, .. } = self;
        f.debug_struct("Limits").field("steps", steps).field("bytes", bytes).finish_non_exhaustive()
    }
}

/// Why a function of ours refuses. The words are ours, so that they may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What a script may catch.
    Misuse(&'static str),
    /// The run's own bound of bytes.
    Memory,
    /// Nobody has the memory.
    NoBudget,
    /// The time is over.
    Time,
    /// Not a fault: the copy is dropped.
    Dropped,
}

/// What functions of scripts give.
pub(super) type Given<T> = Result<T, Box<EvalAltResult>>;

impl From<Refusal> for Box<EvalAltResult> {
    fn from(refusal: Refusal) -> Self {
        let what = Dynamic::from(refusal);
        Self::new(match refusal {
            Refusal::Misuse(_) => EvalAltResult::ErrorRuntime(what, Position::NONE),
            _ => EvalAltResult::ErrorTerminated(what, Position::NONE),
        })
    }
}

/// The bytes of one run.
pub(super) struct Meter {
    left: usize,
    grant: Grant,
}

impl Meter {
    pub(super) fn new(bytes: usize, grant: Grant) -> Self {
        Self { left: bytes, grant }
    }

    /// Takes so many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(bytes).ok_or(Refusal::Memory)?;
        if (self.grant)(bytes) { Ok(()) } else { Err(Refusal::NoBudget) }
    }

    /// Takes what a text of this length needs that the script sees.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes > TEXT_MAX {
            return Err(Refusal::Misuse("a text of more than 256 KiB"));
        }
        self.take(bytes)
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }
}
