//! Streams a body through and keeps at most N bytes of it beside; says when it gave up.
//!
//! Captured bytes are copied, not shared: a slice of hyper's read buffer would pin the whole
//! buffer, and the byte budget would no longer tell how much memory is held.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use compare::{Cause, Hasher};

/// A byte budget for everything that the mirror side holds at once, or a part of one for one candidate.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
    /// What is taken from a part is taken from the whole, too: parts may come before others have gone.
    whole: Option<Arc<Self>>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0), whole: None })
    }

    /// A part of at most `limit` bytes.
    pub fn part(self: &Arc<Self>, limit: usize) -> Arc<Self> {
        let (limit, used) = (AtomicUsize::new(limit), AtomicUsize::new(0));
        Arc::new(Self { limit, used, whole: Some(Arc::clone(self)) })
    }

    /// Another limit from now on; what was taken stays taken.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes taken and not given back.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether less than half of it is taken.
    pub fn has_to_spare(&self) -> bool {
        self.used() < self.limit.load(Ordering::Relaxed) / 2
    }

    /// Takes `bytes`, or nothing when they do not fit; never waits.
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let mut held = Held { budget: Arc::clone(self), bytes: 0 };
        held.try_grow(bytes).then_some(held)
    }

    fn take(&self, bytes: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let taken = self.whole.as_ref().is_none_or(|whole| whole.take(bytes));
        if !taken {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
}

/// Bytes taken from a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Takes `more` bytes; false, and nothing taken, when they do not fit.
    pub fn try_grow(&mut self, more: usize) -> bool {
        let taken = self.budget.take(more);
        if taken {
            self.bytes += more;
        }
        taken
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// A copy of a body, at most `cap` bytes, paid for from a budget.
#[derive(Debug)]
pub struct Capture {
    bytes: Vec<u8>,
    cap: usize,
    held: Held,
}

impl Capture {
    /// An empty copy.
    pub fn new(cap: usize, budget: &Arc<Budget>) -> Self {
        Self { bytes: Vec::new(), cap, held: Held { budget: Arc::clone(budget), bytes: 0 } }
    }

    /// One that is there already, and what pays for it.
    pub fn of(bytes: Vec<u8>, held: Held) -> Self {
        Self { cap: bytes.len(), bytes, held }
    }

    /// Appends, or says why it cannot; what was kept so far stays.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Cause> {
        let length = self.bytes.len() + chunk.len();
        if length > self.cap {
            return Err(Cause::TooLarge);
        }
        if length > self.bytes.capacity() {
            self.grow(length)?;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Doubles, so that appending stays linear, unless only the exact size is left in the budget.
    fn grow(&mut self, length: usize) -> Result<(), Cause> {
        let old = self.bytes.capacity();
        let doubled = length.max(old * 2).min(self.cap);
        for target in [doubled, length] {
            if self.held.try_grow(target - old) {
                self.bytes.reserve_exact(target - self.bytes.len());
                return Ok(());
            }
        }
        Err(Cause::NoBudget)
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, and the hold on the budget that pays for them.
    pub fn into_parts(self) -> (Vec<u8>, Held) {
        (self.bytes, self.held)
    }
}

/// A response body: kept whole while it fits, else only its length and hash.
#[derive(Debug)]
pub enum ReplyBody {
    /// All of it, as sent.
    Whole(Capture),
    /// Too much to keep.
    Hashed {
        /// Runs over the bytes as sent.
        hasher: Box<Hasher>,
        /// Bytes so far.
        length: u64,
        /// Why it was not kept.
        cause: Cause,
    },
}

impl ReplyBody {
    /// An empty body that keeps up to `cap` bytes.
    pub fn new(cap: usize, budget: &Arc<Budget>) -> Self {
        Self::Whole(Capture::new(cap, budget))
    }

    /// Takes in the next bytes; never fails, since a hash needs no memory.
    pub fn push(&mut self, chunk: &[u8]) {
        match self {
            Self::Whole(capture) => {
                if let Err(cause) = capture.push(chunk) {
                    let mut hasher = Box::new(Hasher::new());
                    hasher.update(capture.bytes());
                    hasher.update(chunk);
                    let length = (capture.bytes().len() + chunk.len()) as u64;
                    *self = Self::Hashed { hasher, length, cause };
                }
            }
            Self::Hashed { hasher, length, .. } => {
                hasher.update(chunk);
                *length += chunk.len() as u64;
            }
        }
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        match self {
            Self::Whole(capture) => capture.bytes().len() as u64,
            Self::Hashed { length, .. } => *length,
        }
    }
}

/// Watches a body go by. Called in order: `data` any number of times, `trailers` at most once, then `end` or `failed`, or
/// neither when the body is dropped before.
pub trait Tap: Send + Unpin + 'static {
    /// Some bytes go by.
    fn data(&mut self, chunk: &[u8]);
    /// Trailers go by.
    fn trailers(&mut self, _trailers: &HeaderMap) {}
    /// The body is whole.
    fn end(&mut self);
    /// The body's source broke.
    fn failed(&mut self);
    /// Whether trailers may tell more than the body, so that its last byte is not the end.
    fn waits_for_trailers(&self) -> bool {
        false
    }
}

/// Several that watch the same body, one for each candidate.
impl<T: Tap> Tap for Vec<T> {
    fn data(&mut self, chunk: &[u8]) {
        self.iter_mut().for_each(|tap| tap.data(chunk));
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.iter_mut().for_each(|tap| tap.trailers(trailers));
    }

    fn end(&mut self) {
        self.iter_mut().for_each(T::end);
    }

    fn failed(&mut self) {
        self.iter_mut().for_each(T::failed);
    }

    fn waits_for_trailers(&self) -> bool {
        self.iter().any(T::waits_for_trailers)
    }
}

/// A body that passes through unchanged while a [`Tap`] watches.
#[derive(Debug)]
pub struct Tapped<B: Body, T: Tap> {
    inner: B,
    tap: Option<T>,
    /// Bytes of the declared length that have not gone by.
    left: Option<u64>,
}

impl<B: Body, T: Tap> Tapped<B, T> {
    /// Wraps `inner`; an empty body ends at once, since nobody may ever poll it.
    pub fn new(inner: B, tap: T) -> Self {
        let left = inner.size_hint().exact();
        let mut tapped = Self { inner, tap: Some(tap), left };
        tapped.end_if_whole();
        tapped
    }

    // A sender that knows the length does not poll past the last byte, so that the end must be
    // seen with the last frame. Over HTTP/2 the source may not know yet: the end of its stream can
    // come in a frame of its own, but no byte over the declared length can (RFC 9113 section 8.1.1).
    fn end_if_whole(&mut self) {
        let waits = self.tap.as_ref().is_some_and(T::waits_for_trailers);
        if self.inner.is_end_stream() || (self.left == Some(0) && !waits) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(mut tap) = self.tap.take() {
            tap.end();
        }
    }
}

impl<B: Body, T: Tap> Drop for Tapped<B, T> {
    fn drop(&mut self) {
        // Nobody asked for the trailers that were waited for.
        if self.left == Some(0) {
            self.end();
        }
    }
}

impl<B, T> Body for Tapped<B, T>
where
    B: Body<Data = Bytes> + Unpin,
    T: Tap,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    if let Some(tap) = &mut self.tap {
                        tap.data(data);
                    }
                }
                // Nothing comes after trailers, and a sender may not ask.
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(mut tap) = self.tap.take()
                {
                    tap.trailers(trailers);
                    tap.end();
                }
                self.end_if_whole();
            }
            Some(Err(_)) => {
                if let Some(mut tap) = self.tap.take() {
                    tap.failed();
                }
            }
            None => self.end(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_up_to_its_cap_and_says_when_there_is_more() {
        let budget = Budget::new(1000);
        let mut capture = Capture::new(4, &budget);
        assert_eq!(capture.push(b"abcd"), Ok(()));
        assert_eq!(capture.push(b"e"), Err(Cause::TooLarge));
        assert_eq!(capture.bytes(), b"abcd");
    }

    #[test]
    fn parts_of_a_budget_take_no_more_than_there_is_and_give_it_back() {
        let whole = Budget::new(10);
        let (one, other) = (whole.part(8), whole.part(8));
        let held = one.try_take(8).unwrap();
        assert!(one.try_take(1).is_none() && other.try_take(3).is_none());
        assert_eq!((one.used(), other.used(), whole.used()), (8, 0, 8));
        let rest = other.try_take(2).unwrap();
        drop(held);
        assert_eq!((one.used(), other.used(), whole.used()), (0, 2, 2));
        drop(rest);
        assert_eq!(whole.used(), 0);
    }

    #[test]
    fn captures_share_one_budget_and_give_back_what_they_took() {
        let budget = Budget::new(10);
        let mut first = Capture::new(100, &budget);
        assert_eq!(first.push(b"12345678"), Ok(()));
        let mut second = Capture::new(100, &budget);
        assert_eq!(second.push(b"123"), Err(Cause::NoBudget));
        drop(first);
        assert_eq!(second.push(b"123"), Ok(()));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_a_capture_allocates_never_exceeds_what_it_took_from_the_budget() {
        let budget = Budget::new(1 << 20);
        let mut capture = Capture::new(100_000, &budget);
        for _ in 0..1000 {
            capture.push(&[7; 99]).expect("fits");
            assert!(capture.bytes.capacity() <= budget.used());
        }
    }

    #[test]
    fn a_reply_over_its_cap_goes_on_as_length_and_hash_and_frees_the_budget() {
        let budget = Budget::new(1000);
        let mut body = ReplyBody::new(4, &budget);
        body.push(b"abc");
        body.push(b"def");
        body.push(b"ghi");
        assert_eq!((body.length(), budget.used()), (9, 0));
        let ReplyBody::Hashed { hasher, cause, .. } = body else { panic!("kept") };
        assert_eq!(hasher.digest128(), compare::hash(b"abcdefghi"));
        assert_eq!(cause, Cause::TooLarge);
    }
}
