//! From packets to exchanges: puts connections together and listens to each.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packets::{Assembler, Capture, Counts, FileError, Filter, Frame, Nanos, Totals, Tunnel};
use traffic::Exchange;

use crate::conversation::{Conversation, Setup};
use crate::desk::Listener;
use crate::lost::Lost;

/// Listens to all connections of a source of packets.
#[derive(Debug)]
pub struct Overheard {
    assembler: Assembler<Conversation<Ear>>,
    ear: Ear,
    setup: Setup,
    next: u64,
}

/// What was heard so far, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Requests that were seen.
    pub requests: u64,
    /// Those that became exchanges.
    pub exchanges: u64,
    lost: [u64; Lost::ALL.len()],
}

impl Default for Told {
    fn default() -> Self {
        Self { requests: 0, exchanges: 0, lost: [0; Lost::ALL.len()] }
    }
}

impl Told {
    /// What became none, and how often.
    pub fn lost(&self) -> impl Iterator<Item = (Lost, u64)> {
        Lost::ALL.into_iter().zip(self.lost)
    }
}

#[derive(Debug, Default)]
struct Heard {
    exchanges: VecDeque<Exchange>,
    told: Told,
}

/// One for all conversations.
#[derive(Clone, Debug, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Ear {
    fn request(&mut self) {
        self.heard().told.requests += 1;
    }

    fn exchange(&mut self, exchange: Exchange) {
        let mut heard = self.heard();
        heard.told.exchanges += 1;
        heard.exchanges.push_back(exchange);
    }

    fn lost(&mut self, lost: Lost) {
        self.heard().told.lost[lost as usize] += 1;
    }
}

impl Overheard {
    /// Nothing was heard yet.
    pub fn new(limits: packets::Limits, filter: Filter, setup: Setup) -> Self {
        let (assembler, ear) = (Assembler::new(limits, filter), Ear::default());
        Self { assembler, ear, setup, next: 0 }
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let Self { assembler, ear, setup, next } = self;
        assembler.frame(frame, &mut |ends| {
            *next += 1;
            Some(Conversation::new(ends, *next, setup, ear.clone()))
        });
    }

    /// Takes what came to the UDP port of a tunnel; `original` is how long it was if it was cut.
    pub fn payload(&mut self, tunnel: Tunnel, at: Nanos, payload: &[u8], original: usize) {
        let Self { assembler, ear, setup, next } = self;
        assembler.payload(tunnel, at, payload, original, &mut |ends| {
            *next += 1;
            Some(Conversation::new(ends, *next, setup, ear.clone()))
        });
    }

    /// It is this late at least.
    pub fn advance(&mut self, now: Nanos) {
        self.assembler.advance(now);
    }

    /// Nothing more comes: what is open ends.
    pub fn finish(&mut self) {
        self.assembler.finish();
    }

    /// The next exchange of those that were heard.
    pub fn take(&mut self) -> Option<Exchange> {
        self.ear.heard().exchanges.pop_front()
    }

    /// What was heard so far.
    pub fn told(&self) -> Told {
        self.ear.heard().told.clone()
    }

    /// What became of each packet.
    pub fn counts(&self) -> &Counts {
        self.assembler.counts()
    }

    /// What became of connections.
    pub fn totals(&self) -> Totals {
        self.assembler.totals()
    }

    /// How many connections are known.
    pub fn connections(&self) -> usize {
        self.assembler.connections()
    }
}

/// The exchanges of a capture of packets, pcap or pcapng, in the order in which they were over.
pub struct Captured<R: Read> {
    capture: Option<Capture<R>>,
    overheard: Overheard,
}

impl<R: Read> fmt::Debug for Captured<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("overheard", &self.overheard).finish_non_exhaustive()
    }
}

impl<R: Read> Captured<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// That is not the beginning of a capture.
    pub fn new(source: R, overheard: Overheard) -> Result<Self, FileError> {
        Ok(Self { capture: Some(Capture::new(source)?), overheard })
    }

    /// What was heard, and what became of each packet.
    pub fn overheard(&self) -> &Overheard {
        &self.overheard
    }
}

impl<R: Read> Iterator for Captured<R> {
    type Item = Result<Exchange, FileError>;

    /// An error is the end of the file; what was whole before it still comes.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(exchange) = self.overheard.take() {
                return Some(Ok(exchange));
            }
            // What is left once it is over was taken above.
            let ended = match self.capture.as_mut()?.next_frame() {
                Ok(Some(frame)) => {
                    self.overheard.frame(&frame);
                    continue;
                }
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            };
            self.capture = None;
            self.overheard.finish();
            if ended.is_some() {
                return ended;
            }
        }
    }
}
