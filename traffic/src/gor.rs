//! Files of GoReplay (`.gor`), read and written. A record is a line `TYPE ID TIME LATENCY` (times in
//! nanoseconds), a raw message of HTTP/1 and a separator; type 1 is a request, 2 its answer, 3 the answer
//! of whom it was replayed to. Request and answers have the same id, and others may stand between them.

mod message;
mod record;
mod written;

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;
use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{Answer, Clock, Exchange, Request};
use crate::fault::{Fault, Place, ReadError};
use crate::limits::Limits;
use record::{Kind, Record, Records};
pub use written::{Left, Refusal, WriteError, Writer};

/// What came of the records, in numbers of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Records that could not be read: each of them was an error of the iterator.
    pub malformed: u64,
    /// Answers to a request that did not come, or no longer waited.
    pub unasked: u64,
    /// Answers of whom it was replayed to, where there was an original one.
    pub replayed: u64,
    /// Requests without an answer.
    pub unanswered: u64,
}

/// The exchanges of a `.gor` file, in the order of their requests.
///
/// After a malformed record reading goes on with the next one. A request waits for its answer; when too
/// many do, the first goes on without. An answer of type 3 is taken only where none of type 2 came.
#[derive(Debug)]
pub struct Exchanges<R> {
    records: Records<R>,
    limits: Limits,
    waiting: VecDeque<Waiting>,
    /// The number in the order of the file of whoever waits under an id.
    numbers: BTreeMap<Bytes, u64>,
    /// The number of the first that waits.
    first: u64,
    waiting_bytes: usize,
    /// Answers whose request did not come yet: an upload may be answered before it is over.
    early: VecDeque<Early>,
    ended: bool,
    told: Told,
}

/// Answers that wait for their requests.
const EARLY_MAX: usize = 64;

#[derive(Debug)]
struct Early {
    id: Bytes,
    is_replayed: bool,
    latency: u64,
    message: Bytes,
}

#[derive(Debug)]
struct Waiting {
    id: Bytes,
    at: crate::exchange::Moment,
    request: Request,
    answer: Option<Answer>,
    replayed: Option<Answer>,
    bytes: usize,
}

impl<R: BufRead> Exchanges<R> {
    /// Reads from `source`.
    pub fn new(source: R, limits: &Limits) -> Self {
        Self {
            records: Records::new(source, limits.exchange),
            limits: *limits,
            waiting: VecDeque::new(),
            numbers: BTreeMap::new(),
            first: 0,
            waiting_bytes: 0,
            early: VecDeque::new(),
            ended: false,
            told: Told::default(),
        }
    }

    /// What came of the records up to now.
    pub fn told(&self) -> Told {
        self.told
    }

    /// The first that waits, if it is answered, too many wait or nothing more comes.
    fn ready(&mut self) -> Option<Exchange> {
        let first = self.waiting.front()?;
        let over = self.waiting.len() > self.limits.waiting
            || self.waiting_bytes > self.limits.waiting_bytes;
        if first.answer.is_none() && !over && !self.ended {
            return None;
        }
        let it = self.waiting.pop_front()?;
        if self.numbers.get(&it.id) == Some(&self.first) {
            self.numbers.remove(&it.id);
        }
        self.first += 1;
        self.waiting_bytes -= it.bytes;
        self.told.replayed += u64::from(it.answer.is_some() && it.replayed.is_some());
        let answer = it.answer.or(it.replayed);
        self.told.unanswered += u64::from(answer.is_none());
        Some(Exchange {
            id: String::from_utf8_lossy(&it.id).into_owned(),
            at: it.at,
            request: it.request,
            answer,
            ..Exchange::default()
        })
    }

    fn take(&mut self, record: &Record<'_>) -> Result<(), String> {
        if record.kind == Kind::Request {
            let request = message::request(record.message, self.limits.headers)?;
            let id = Bytes::copy_from_slice(record.id);
            self.numbers.insert(id.clone(), self.first + self.waiting.len() as u64);
            self.waiting_bytes += record.message.len();
            let bytes = record.message.len();
            let (answer, replayed) = (None, None);
            let waiting = Waiting { id, at: record.at, request, answer, replayed, bytes };
            self.waiting.push_back(waiting);
            return self.take_early(record.id);
        }
        let early = Early {
            id: Bytes::copy_from_slice(record.id),
            is_replayed: record.kind == Kind::Replayed,
            latency: record.latency,
            message: Bytes::copy_from_slice(record.message),
        };
        if self.answer(&early)? {
            return Ok(());
        }
        self.early.push_back(early);
        let bytes =
            |early: &VecDeque<Early>| early.iter().map(|it| it.message.len()).sum::<usize>();
        while self.early.len() > EARLY_MAX || bytes(&self.early) > self.limits.waiting_bytes {
            self.early.pop_front();
            self.told.unasked += 1;
        }
        Ok(())
    }

    /// The answers that came before this request.
    fn take_early(&mut self, id: &[u8]) -> Result<(), String> {
        while let Some(at) = self.early.iter().position(|early| early.id == id) {
            if let Some(early) = self.early.remove(at) {
                self.answer(&early)?;
            }
        }
        Ok(())
    }

    /// Gives an answer to the request that waits for it; whether there is one.
    fn answer(&mut self, early: &Early) -> Result<bool, String> {
        let number = self.numbers.get(&early.id).map(|number| number - self.first);
        let waiting = number.and_then(|at| self.waiting.get_mut(usize::try_from(at).ok()?));
        let Some(waiting) = waiting else { return Ok(false) };
        let slot = if early.is_replayed { &mut waiting.replayed } else { &mut waiting.answer };
        if slot.is_some() {
            return Ok(true);
        }
        let mut answer =
            message::answer(&early.message, &waiting.request.method, self.limits.headers)?;
        answer.latency = Some(early.latency).filter(|ns| *ns > 0).map(Duration::from_nanos);
        answer.clock = Clock::Foreign;
        waiting.bytes += early.message.len();
        self.waiting_bytes += early.message.len();
        *slot = Some(answer);
        Ok(true)
    }
}

impl<R: BufRead> Iterator for Exchanges<R> {
    type Item = Result<Exchange, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(exchange) = self.ready() {
                return Some(Ok(exchange));
            }
            if self.ended {
                return None;
            }
            let mut fault = None;
            match self.records.read() {
                Ok(true) => {
                    let text = self.records.take();
                    let taken = Record::parse(&text).and_then(|record| self.take(&record));
                    fault = taken.err().map(Fault::Record);
                    self.records.give_back(text);
                }
                Ok(false) => {
                    self.ended = true;
                    self.told.unasked += self.early.len() as u64;
                }
                Err(problem) => {
                    self.ended = !matches!(problem, Fault::TooLong { .. });
                    fault = Some(problem);
                }
            }
            if let Some(fault) = fault {
                self.told.malformed += 1;
                return Some(Err(fault.at(Place::Record(self.records.number()))));
            }
        }
    }
}

#[cfg(test)]
mod tests;
