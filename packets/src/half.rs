//! One direction of a connection: segments in any order become one stream.
//!
//! **Of two copies of a byte the first wins**, as it was captured first; what was told is never taken
//! back. Sequence numbers are widened to 64 bits relative to what is told next, so that their wrap is
//! nowhere else. In-order bytes are told straight from the packet; only those behind a hole are
//! copied.

use std::collections::BTreeMap;

use crate::frame::Part;
use crate::limits::Limits;
use crate::stream::{End, Nanos, Streams};
use crate::teller::Teller;

/// Where streams begin, plus their first sequence number: so that what is before is above zero.
const ORIGIN: u64 = 1 << 32;

/// What became of a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Told,
    Held,
    Known,
    BeforeStart,
    AfterEnd,
}

#[derive(Debug)]
struct Piece {
    at: Nanos,
    bytes: Box<[u8]>,
    /// That many bytes were cut off behind them.
    cut: usize,
}

impl Piece {
    fn total(&self) -> u64 {
        (self.bytes.len() + self.cut) as u64
    }

    fn weight(&self) -> usize {
        self.bytes.len() + Limits::PIECE
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// Where the stream was begun to be told; 0 while that is not known.
    start: u64,
    /// What is told next.
    next: u64,
    /// What the other side has acknowledged.
    acknowledged: u64,
    fin: Option<(u64, Nanos)>,
    ended: bool,
    /// What is behind a hole. None overlaps another, and none begins at `next` or before.
    pieces: BTreeMap<u64, Piece>,
    held: usize,
    latest: Nanos,
}

impl Half {
    pub(crate) fn known(&self) -> bool {
        self.start != 0
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// What is held weighs so many bytes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Where the hole begins that something is behind of.
    pub(crate) fn hole(&self) -> Option<u64> {
        let waits = !self.pieces.is_empty() || (self.fin.is_some() && !self.ended);
        waits.then_some(self.next)
    }

    /// The first byte has this number.
    pub(crate) fn begin(&mut self, sequence: u32) {
        self.start = ORIGIN + u64::from(sequence);
        self.next = self.start;
        self.acknowledged = self.start;
    }

    /// Whether the first byte has this number.
    pub(crate) fn began_at(&self, sequence: u32) -> bool {
        self.known() && self.start as u32 == sequence
    }

    /// How far a number is behind what is told next; negative where it is before.
    pub(crate) fn distance(&self, sequence: u32) -> i64 {
        i64::from(sequence.wrapping_sub(self.next as u32).cast_signed())
    }

    fn position(&self, sequence: u32) -> u64 {
        self.next.saturating_add_signed(self.distance(sequence))
    }

    /// The other side has received all before this number. So what is missing there was sent and
    /// not captured, and nobody will send it again.
    pub(crate) fn acknowledge<S: Streams>(
        &mut self,
        number: u32,
        at: Nanos,
        limits: &Limits,
        teller: &mut Teller<'_, S>,
    ) {
        if self.known() && self.distance(number) <= i64::from(limits.window) {
            self.acknowledged = self.acknowledged.max(self.position(number));
            self.give_up_acknowledged(at.saturating_sub(limits.grace), teller);
        }
    }

    fn give_up_acknowledged<S: Streams>(&mut self, before: Nanos, teller: &mut Teller<'_, S>) {
        while self.behind_hole().is_some_and(|(to, at)| to <= self.acknowledged && at <= before) {
            self.give_up(teller);
        }
    }

    /// What is behind the hole, bytes or the end: where it begins, and when it came.
    fn behind_hole(&self) -> Option<(u64, Nanos)> {
        let piece = self.pieces.first_key_value().map(|(to, piece)| (*to, piece.at));
        piece.or(self.fin.filter(|_| !self.ended))
    }

    /// A segment's payload; the first byte has that number.
    pub(crate) fn take<S: Streams>(
        &mut self,
        sequence: u32,
        payload: Part<'_>,
        at: Nanos,
        limits: &Limits,
        teller: &mut Teller<'_, S>,
    ) -> Taken {
        let start = self.position(sequence);
        let total = payload.total() as u64;
        let last = self.fin.map_or(u64::MAX, |(at, _)| at);
        if start >= last || self.ended {
            return if start < last && self.fin.is_some() { Taken::Known } else { Taken::AfterEnd };
        }
        let end = (start + total).min(last);
        if end <= self.next {
            return if end <= self.start { Taken::BeforeStart } else { Taken::Known };
        }
        self.fit(start, end, limits.window, teller);
        if end <= self.next {
            return Taken::Known;
        }
        let from = start.max(self.next);
        let new = payload.range((from - start) as usize, (end - start) as usize);
        if from == self.next {
            self.tell_all(new, at, teller);
            self.end_at_fin(teller);
            return Taken::Told;
        }
        if !self.hold(from, new, at) {
            return Taken::Known;
        }
        self.give_up_acknowledged(at.saturating_sub(limits.grace), teller);
        while self.held > limits.held {
            self.give_up(teller);
        }
        if self.next >= end { Taken::Told } else { Taken::Held }
    }

    /// The direction ends before this number. A second end elsewhere, one before what was told, or one
    /// too far ahead is not believed.
    pub(crate) fn finish<S: Streams>(
        &mut self,
        sequence: u32,
        at: Nanos,
        limits: &Limits,
        teller: &mut Teller<'_, S>,
    ) {
        let distance = 0..=i64::from(limits.window);
        if !self.known() || self.fin.is_some() || !distance.contains(&self.distance(sequence)) {
            return;
        }
        let end = self.position(sequence);
        self.fin = Some((end, at));
        let over = self.pieces.split_off(&end);
        self.held -= over.values().map(Piece::weight).sum::<usize>();
        if let Some(mut last) = self.pieces.last_entry() {
            let room = (end - last.key()) as usize;
            let piece = last.get_mut();
            if piece.total() > room as u64 {
                self.held -= piece.weight();
                let kept = Part { bytes: &piece.bytes, cut: piece.cut }.range(0, room);
                *piece = Piece { at: piece.at, bytes: kept.bytes.into(), cut: kept.cut };
                self.held += piece.weight();
            }
        }
        self.end_at_fin(teller);
        self.give_up_acknowledged(at.saturating_sub(limits.grace), teller);
    }

    /// Gives up the hole, and those behind it where what is behind them is as old.
    pub(crate) fn give_up_old<S: Streams>(&mut self, before: Nanos, teller: &mut Teller<'_, S>) {
        self.give_up(teller);
        while self.pieces.first_key_value().is_some_and(|(_, piece)| piece.at <= before) {
            self.give_up(teller);
        }
    }

    /// Gives up all holes.
    pub(crate) fn give_up_all<S: Streams>(&mut self, teller: &mut Teller<'_, S>) {
        while self.hole().is_some() {
            self.give_up(teller);
        }
    }

    /// A reader was made only now: tells it what happened before. No bytes came, or there would have
    /// been one; but some may be missing, and the end may have come.
    pub(crate) fn catch_up<S: Streams>(&self, teller: &mut Teller<'_, S>) {
        if self.next > self.start {
            teller.gap(self.latest, self.next - self.start);
        }
        if self.ended {
            teller.end(self.latest, End::Finished);
        }
    }

    /// Nobody reads this: forgets what is behind a hole. Where it began stays known.
    pub(crate) fn forget(&mut self) {
        self.fin = None;
        self.pieces.clear();
        self.held = 0;
    }

    /// Nothing more comes.
    pub(crate) fn end<S: Streams>(&mut self, how: End, at: Nanos, teller: &mut Teller<'_, S>) {
        self.give_up_all(teller);
        if !self.ended {
            self.ended = true;
            self.latest = self.latest.max(at);
            teller.end(self.latest, how);
        }
    }

    /// Gives up the hole: what is behind it goes on.
    fn give_up<S: Streams>(&mut self, teller: &mut Teller<'_, S>) {
        let Some((to, at)) = self.behind_hole() else { return };
        if to > self.next {
            self.latest = self.latest.max(at);
            teller.lost(self.latest, to - self.next);
            self.next = to;
        }
        self.drain(teller);
        self.end_at_fin(teller);
    }

    /// Gives up holes until this is not too far ahead.
    fn fit<S: Streams>(&mut self, start: u64, end: u64, window: u32, teller: &mut Teller<'_, S>) {
        let far = |next: u64| end > next.saturating_add(u64::from(window));
        while far(self.next) && !self.pieces.is_empty() {
            self.give_up(teller);
        }
        if far(self.next) && start > self.next {
            teller.lost(self.latest, start - self.next);
            self.next = start;
        }
    }

    fn tell_all<S: Streams>(&mut self, new: Part<'_>, at: Nanos, teller: &mut Teller<'_, S>) {
        let (start, end) = (self.next, self.next + new.total() as u64);
        while self.next < end {
            let free = self.pieces.first_key_value().map_or(end, |(at, _)| end.min(*at));
            let free = new.range((self.next - start) as usize, (free - start) as usize);
            self.tell(free, at, teller);
            self.drain(teller);
        }
    }

    fn drain<S: Streams>(&mut self, teller: &mut Teller<'_, S>) {
        while let Some(first) = self.pieces.first_entry().filter(|first| *first.key() == self.next)
        {
            let piece = first.remove();
            self.held -= piece.weight();
            self.tell(Part { bytes: &piece.bytes, cut: piece.cut }, piece.at, teller);
        }
    }

    fn tell<S: Streams>(&mut self, part: Part<'_>, at: Nanos, teller: &mut Teller<'_, S>) {
        self.latest = self.latest.max(at);
        self.next += part.total() as u64;
        if !part.bytes.is_empty() {
            teller.data(self.latest, part.bytes);
        }
        if part.cut > 0 {
            teller.cut(self.latest, part.cut as u64);
        }
    }

    fn end_at_fin<S: Streams>(&mut self, teller: &mut Teller<'_, S>) {
        if let Some((end, at)) = self.fin
            && end == self.next
            && !self.ended
        {
            self.ended = true;
            self.latest = self.latest.max(at);
            teller.end(self.latest, End::Finished);
        }
    }

    /// Keeps what of it is not held yet, and says whether there was such.
    fn hold(&mut self, start: u64, new: Part<'_>, at: Nanos) -> bool {
        let end = start + new.total() as u64;
        let before = self.pieces.range(..=start).next_back();
        let mut cursor = before.map_or(start, |(at, piece)| start.max(at + piece.total()));
        let mut kept = false;
        while cursor < end {
            let next = self.pieces.range(cursor..end).next();
            let (free, behind) = next.map_or((end, end), |(at, piece)| (*at, at + piece.total()));
            if free > cursor {
                let part = new.range((cursor - start) as usize, (free - start) as usize);
                let piece = Piece { at, bytes: part.bytes.into(), cut: part.cut };
                self.held += piece.weight();
                self.pieces.insert(cursor, piece);
                kept = true;
            }
            cursor = behind;
        }
        kept
    }
}
