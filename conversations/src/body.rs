//! A body while it comes: kept as long as it is allowed, and only measured from then on.

use bytes::Bytes;
use traffic::Body;

use crate::Lost;
use crate::desk::Desk;

/// Room that is made at once for a body of known length; more is made as it comes, for a length is easily
/// said.
const AT_ONCE: u64 = 16 * 1024;

/// What came of a body.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    kept: Vec<u8>,
    /// Bytes that it has so far, with those that are missing; `None` where that is not known.
    length: Option<u64>,
    dropped: bool,
}

impl Collector {
    /// A body of which nothing is said before.
    pub(crate) fn new() -> Self {
        Self { kept: Vec::new(), length: Some(0), dropped: false }
    }

    /// One of this length: where that is more than is kept, not a byte of it is copied.
    pub(crate) fn of_length(length: u64, desk: &mut Desk<'_>) -> Self {
        let mut new = Self::new();
        if length > desk.limits.body_bytes as u64 {
            new.drop_it(Lost::BodyOverLimit, desk);
        } else {
            new.kept.reserve_exact(length.min(AT_ONCE) as usize);
        }
        new
    }

    /// One that nobody wants.
    pub(crate) fn unwanted() -> Self {
        Self { kept: Vec::new(), length: Some(0), dropped: true }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], desk: &mut Desk<'_>) {
        self.length = self.length.and_then(|it| it.checked_add(bytes.len() as u64));
        if self.dropped {
            return;
        }
        if bytes.len() > desk.limits.body_bytes - self.kept.len() {
            return self.drop_it(Lost::BodyOverLimit, desk);
        }
        match desk.account.take(bytes.len()) {
            Ok(()) => self.kept.extend_from_slice(bytes),
            Err(lost) => self.drop_it(lost, desk),
        }
    }

    /// So many bytes of it are missing.
    pub(crate) fn skip(&mut self, missing: Option<u64>, desk: &mut Desk<'_>) {
        self.length = self.length.zip(missing).and_then(|(length, it)| length.checked_add(it));
        if !self.dropped {
            self.drop_it(Lost::BodyGap, desk);
        }
    }

    fn drop_it(&mut self, why: Lost, desk: &mut Desk<'_>) {
        desk.lost(why);
        self.forget(desk);
    }

    /// Gives back what it holds; from now on it is only measured.
    pub(crate) fn forget(&mut self, desk: &mut Desk<'_>) {
        desk.account.give(self.kept.len());
        self.kept = Vec::new();
        self.dropped = true;
    }

    /// The body, and the bytes that it holds of the account.
    pub(crate) fn finish(self) -> (Body, usize) {
        if self.dropped {
            return (Body::NotKept(self.length), 0);
        }
        let held = self.kept.len();
        (Body::Whole(Bytes::from(self.kept)), held)
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }
}
