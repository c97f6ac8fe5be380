//! Capture files, pcap and pcapng, from whatever can be read.
//!
//! Memory is bounded by the largest block that is allowed. Files that are compressed are to be
//! decompressed on the way here.

use std::fmt;
use std::io::{self, Chain, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};

use crate::frame::{Frame, Link};
use crate::stream::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// What is read at once.
const BUFFER: usize = 256 << 10;
/// The largest block that is read; a snap length is 256 KiB as a rule, and the largest packet that
/// kernels make 512 KiB.
const LARGEST: usize = 16 << 20;
/// More interfaces than a capture has.
const INTERFACES: usize = 65_536;

/// Why a file cannot be read, or not further.
#[derive(Debug)]
pub enum FileError {
    /// It is neither pcap nor pcapng.
    NotACapture,
    /// It ends in the middle of a block; all frames before that were read.
    Truncated,
    /// It contradicts itself; all frames before that were read.
    Malformed,
    /// A block is larger than any should be.
    TooLarge,
    /// What it is read from failed.
    Read(io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACapture => to.write_str("it is neither a pcap nor a pcapng file"),
            Self::Truncated => to.write_str("the file ends in the middle of a packet"),
            Self::Malformed => to.write_str("the file is broken from here on"),
            Self::TooLarge => write!(to, "a block is larger than {LARGEST} bytes"),
            Self::Read(error) => write!(to, "cannot read it: {error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

type Source<R> = Keeper<Chain<Cursor<Vec<u8>>, R>>;

/// The frames of a capture file, one after the other.
pub struct Capture<R: Read> {
    reader: Format<R>,
    interfaces: Vec<Interface>,
    /// The time of the frame before, for blocks that have none.
    at: Nanos,
    /// What is to be let go of before the next block.
    read: usize,
    capacity: usize,
    failure: Arc<Mutex<Option<io::Error>>>,
    over: bool,
}

enum Format<R: Read> {
    Legacy(LegacyPcapReader<Source<R>>),
    Next(PcapNGReader<Source<R>>),
}

#[derive(Clone, Copy)]
struct Interface {
    link: Link,
    /// As the option `if_tsresol` has it: a negative power of 10, or of 2 with the highest bit set.
    resolution: u8,
    /// In seconds.
    offset: i64,
}

/// A block, as far as its frame goes: where that is, from the beginning of the block.
struct Found {
    at: Option<Nanos>,
    link: Link,
    start: usize,
    len: usize,
    original: usize,
}

enum Step {
    Frame(Found),
    Other,
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
        Ok(Self { reader, interfaces, capacity, failure, at: 0, read: 0, over: false })
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
            Format::Legacy(reader) => reader.next(),
            Format::Next(reader) => reader.next(),
        }
        .map_err(|error| stop(&error))?;
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
            PcapBlockOwned::NG(block) => next_block(&block, interfaces),
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

/// A block of pcapng (draft-ietf-opsawg-pcapng section 4). A packet block without an interface is a
/// frame of unknown kind, so that it is counted.
fn next_block(block: &Block<'_>, interfaces: &mut Vec<Interface>) -> Result<Step, Stop> {
    const ENHANCED: usize = 28;
    const SIMPLE: usize = 12;
    match block {
        Block::SectionHeader(_) => interfaces.clear(),
        Block::InterfaceDescription(block) => {
            if interfaces.len() >= INTERFACES {
                return Err(Stop::Error(FileError::Malformed));
            }
            interfaces.push(Interface {
                link: Link::of((block.linktype.0 & 0xFFFF) as u16),
                resolution: block.if_tsresol,
                offset: block.if_tsoffset,
            });
        }
        Block::EnhancedPacket(block) => {
            let interface = interfaces.get(block.if_id as usize);
            let units = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
            return Ok(Step::Frame(Found {
                at: interface.map(|interface| interface.time(units)),
                link: interface.map_or(Link::Unknown(u16::MAX), |interface| interface.link),
                start: ENHANCED,
                len: block.packet_data().len(),
                original: block.origlen as usize,
            }));
        }
        Block::SimplePacket(block) => {
            return Ok(Step::Frame(Found {
                at: None,
                link: interfaces.first().map_or(Link::Unknown(u16::MAX), |first| first.link),
                start: SIMPLE,
                len: block.data.len().min(block.origlen as usize),
                original: block.origlen as usize,
            }));
        }
        _ => {}
    }
    Ok(Step::Other)
}

impl Interface {
    /// So many units, without the offset.
    fn nanos(self, units: u64) -> Nanos {
        let nanos = u128::from(units) * u128::from(SECOND);
        let power = u32::from(self.resolution & 0x7F);
        let nanos = if self.resolution & 0x80 != 0 {
            nanos >> power
        } else {
            10_u128.checked_pow(power).map_or(0, |per_second| nanos / per_second)
        };
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn time(self, units: u64) -> Nanos {
        let offset = self.offset.saturating_mul(SECOND.cast_signed());
        self.nanos(units).saturating_add_signed(offset)
    }
}

/// The first block whole, which the readers want at once, and whether it is one of pcapng.
fn beginning(source: &mut impl Read) -> Result<(Vec<u8>, bool), FileError> {
    const SECTION: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
    const LEGACY_HEADER: u64 = 24;
    const SECTION_HEADER: u32 = 28;
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, most: u64| {
        let mut more = source.by_ref().take(most.saturating_sub(bytes.len() as u64));
        more.read_to_end(bytes).map_err(FileError::Read)
    };
    read(&mut bytes, 12)?;
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(FileError::NotACapture);
    };
    if *magic != SECTION {
        read(&mut bytes, LEGACY_HEADER)?;
        return Ok((bytes, false));
    }
    let Some((&length, order)) = rest.split_first_chunk::<4>() else {
        return Err(FileError::Truncated);
    };
    let length = match order {
        [0x1A, 0x2B, 0x3C, 0x4D] => u32::from_be_bytes(length),
        [0x4D, 0x3C, 0x2B, 0x1A] => u32::from_le_bytes(length),
        _ => return Err(FileError::NotACapture),
    };
    if length < SECTION_HEADER {
        return Err(FileError::Malformed);
    }
    if length as usize > LARGEST / 2 {
        return Err(FileError::TooLarge);
    }
    read(&mut bytes, u64::from(length))?;
    if bytes.len() < length as usize {
        return Err(FileError::Truncated);
    }
    Ok((bytes, true))
}

/// Keeps what the source said when it failed, which the readers do not hand on, and asks again where
/// it was only interrupted.
struct Keeper<R> {
    source: R,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl<R: Read> Read for Keeper<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    *failure = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
                Ok(read) => return Ok(read),
            }
        }
    }
}

impl<R: Read> fmt::Debug for Capture<R> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Capture").field("at", &self.at).finish_non_exhaustive()
    }
}
