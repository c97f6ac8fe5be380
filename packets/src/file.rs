//! Capture files, pcap and pcapng, from whatever can be read.
//!
//! Memory is bounded by the largest block that is allowed. Files that are compressed are to be
//! decompressed on the way here.

mod blocks;
mod error;
mod source;

use std::fmt;
use std::io::{Chain, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};

use blocks::{Found, Interface, Peek, Step, next_block, peek};
pub use error::FileError;
use source::{Failure, Keeper, LARGEST, beginning};

use crate::frame::{Frame, Link};
use crate::stream::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// What is read at once.
const BUFFER: usize = 256 << 10;

type Source<R> = Keeper<Chain<Cursor<Vec<u8>>, R>>;

/// The frames of a capture file, one after the other.
pub struct Capture<R: Read> {
    reader: Format<R>,
    interfaces: Vec<Interface>,
    /// The time of the frame before, for blocks that have none.
    at: Nanos,
    /// What is to be let go of before the next block.
    read: usize,
    /// What is left of a block that is passed over.
    skip: usize,
    /// As the section says, in pcapng.
    big_endian: bool,
    capacity: usize,
    failure: Failure,
    over: bool,
}

enum Format<R: Read> {
    Legacy(LegacyPcapReader<Source<R>>),
    Next(PcapNGReader<Source<R>>),
}

enum Stop {
    End,
    More,
    Small,
    Error(FileError),
}

impl<R: Read> Capture<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    ///
    /// If that is not the beginning of a capture, or cannot be read.
    pub fn new(mut source: R) -> Result<Self, FileError> {
        let (beginning, next) = beginning(&mut source)?;
        let capacity = BUFFER.max(2 * beginning.len());
        let failure = Arc::new(Mutex::new(None));
        let source =
            Keeper { source: Cursor::new(beginning).chain(source), failure: Arc::clone(&failure) };
        let reader = if next {
            PcapNGReader::new(capacity, source).map(Format::Next)
        } else {
            LegacyPcapReader::new(capacity, source).map(Format::Legacy)
        };
        let reader = reader.map_err(|_| FileError::NotACapture)?;
        let interfaces = Vec::new();
        Ok(Self {
            reader,
            interfaces,
            capacity,
            failure,
            at: 0,
            read: 0,
            skip: 0,
            big_endian: false,
            over: false,
        })
    }

    /// The next frame; none at the end, and behind an error.
    ///
    /// # Errors
    ///
    /// If there is no further frame, though the file is not over as it should be.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        while !self.over {
            self.reader.consume(std::mem::take(&mut self.read));
            let stop = match self.step() {
                Ok(Step::Other) => continue,
                Ok(Step::Frame(found)) => {
                    let Found { at, link, start, len, original } = found;
                    self.at = at.unwrap_or(self.at);
                    let bytes = self.reader.data().get(start..start + len).unwrap_or_default();
                    return Ok(Some(Frame { at: self.at, link, bytes, original }));
                }
                Err(stop) => stop,
            };
            if let Err(error) = self.go_on(stop) {
                self.over = true;
                return Err(error);
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Step, Stop> {
        let interfaces = &mut self.interfaces;
        let (size, block) = match &mut self.reader {
            Format::Legacy(reader) => reader.next().map_err(|error| stop(&error))?,
            Format::Next(reader) => {
                let here = reader.data().len();
                let rest = match self.skip {
                    0 => peek(reader.data(), &mut self.big_endian),
                    skip => Peek::Skip(skip),
                };
                match rest {
                    Peek::Skip(size) if here > 0 => {
                        self.read = size.min(here);
                        self.skip = size - self.read;
                        return Ok(Step::Other);
                    }
                    // All of it is here, so that what the reader does not understand is wrong.
                    Peek::Read(size) if size <= here => {
                        reader.next().map_err(|_| Stop::Error(FileError::Malformed))?
                    }
                    Peek::Malformed => return Err(Stop::Error(FileError::Malformed)),
                    Peek::Short | Peek::Skip(_) | Peek::Read(_) if reader.reader_exhausted() => {
                        let whole = here == 0 && self.skip == 0;
                        return Err(if whole {
                            Stop::End
                        } else {
                            Stop::Error(FileError::Truncated)
                        });
                    }
                    Peek::Read(size) if size > self.capacity => return Err(Stop::Small),
                    Peek::Short | Peek::Skip(_) | Peek::Read(_) => return Err(Stop::More),
                }
            }
        };
        self.read = size;
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let resolution = if header.is_nanosecond_precision() { 9 } else { 6 };
                // The upper half says how long the frame check sequence is.
                let link = Link::of((header.network.0 & 0xFFFF) as u16);
                interfaces.push(Interface { link, resolution, offset: 0 });
                Ok(Step::Other)
            }
            PcapBlockOwned::Legacy(block) => {
                let Some(interface) = interfaces.first() else { return Ok(Step::Other) };
                let fraction = interface.nanos(u64::from(block.ts_usec));
                let at = u64::from(block.ts_sec) * SECOND + fraction;
                Ok(Step::Frame(Found {
                    at: Some(at),
                    link: interface.link,
                    start: size - block.data.len(),
                    len: block.data.len(),
                    original: block.origlen as usize,
                }))
            }
            PcapBlockOwned::NG(block) => next_block(&block, interfaces).map_err(Stop::Error),
        }
    }

    /// Makes the next step possible, where it may be.
    fn go_on(&mut self, stop: Stop) -> Result<(), FileError> {
        let small = match stop {
            Stop::End => {
                self.over = true;
                return Ok(());
            }
            Stop::Error(error) => return Err(self.failed(error)),
            Stop::Small => true,
            Stop::More => false,
        };
        if !small {
            let before = self.reader.data().len();
            self.reader.refill().map_err(|error| self.failed(error))?;
            if self.reader.data().len() > before || self.reader.exhausted() {
                return Ok(());
            }
        }
        if self.capacity >= LARGEST {
            return Err(FileError::TooLarge);
        }
        self.capacity = (self.capacity * 2).min(LARGEST);
        self.reader.grow(self.capacity);
        self.reader.refill().map_err(|error| self.failed(error))
    }

    /// What the source said, if it was that which failed.
    fn failed(&self, error: FileError) -> FileError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(error, FileError::Read)
    }
}

impl<R: Read> Format<R> {
    fn data(&self) -> &[u8] {
        match self {
            Self::Legacy(reader) => reader.data(),
            Self::Next(reader) => reader.data(),
        }
    }

    fn exhausted(&self) -> bool {
        match self {
            Self::Legacy(reader) => reader.reader_exhausted(),
            Self::Next(reader) => reader.reader_exhausted(),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self {
            Self::Legacy(reader) if bytes > 0 => reader.consume(bytes),
            Self::Next(reader) if bytes > 0 => reader.consume(bytes),
            Self::Legacy(_) | Self::Next(_) => {}
        }
    }

    fn grow(&mut self, capacity: usize) {
        match self {
            Self::Legacy(reader) => reader.grow(capacity),
            Self::Next(reader) => reader.grow(capacity),
        };
    }

    fn refill(&mut self) -> Result<(), FileError> {
        let filled = match self {
            Self::Legacy(reader) => reader.refill(),
            Self::Next(reader) => reader.refill(),
        };
        filled.map_err(|_| FileError::Malformed)
    }
}

fn stop(error: &PcapError<&[u8]>) -> Stop {
    match error {
        PcapError::Eof => Stop::End,
        PcapError::Incomplete(_) => Stop::More,
        PcapError::BufferTooSmall => Stop::Small,
        PcapError::UnexpectedEof => Stop::Error(FileError::Truncated),
        PcapError::ReadError
        | PcapError::HeaderNotRecognized
        | PcapError::NomError(..)
        | PcapError::OwnedNomError(..) => Stop::Error(FileError::Malformed),
    }
}

impl<R: Read> fmt::Debug for Capture<R> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Capture").field("at", &self.at).finish_non_exhaustive()
    }
}
