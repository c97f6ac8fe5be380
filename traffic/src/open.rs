//! A recording of whatever format, from any stream of bytes.

use std::fmt;
use std::io::{self, BufReader, Read};

use crate::exchange::Exchange;
use crate::fault::ReadError;
use crate::kind::{self, Format};
use crate::limits::Limits;
use crate::packed::Packed;
use crate::read::One;
use crate::{gor, har};

/// The exchanges of some recording, in constant memory.
pub type Exchanges = Box<dyn Iterator<Item = Result<Exchange, ReadError>> + Send>;

/// What a stream of bytes turned out to be.
pub enum Opened {
    /// Exchanges.
    Exchanges(Exchanges),
    /// Packets, unpacked: exchanges are yet to be found in them.
    Packets(Format, Box<dyn Read + Send>),
}

/// Opens a recording; `name`, which may be empty, counts only where the first bytes say nothing. `None` if
/// it is of no format that is known.
///
/// Who wants to know how much was left out uses the reader of the format itself.
///
/// # Errors
///
/// The first bytes can't be read.
pub fn open(
    mut source: impl Read + Send + 'static,
    name: &str,
    limits: &Limits,
) -> io::Result<Option<Opened>> {
    let mut begin = Vec::new();
    source.by_ref().take(kind::ENOUGH as u64).read_to_end(&mut begin)?;
    let Some((format, _)) = kind::of(&begin, name) else { return Ok(None) };
    let whole = io::Cursor::new(begin).chain(source);
    if format == Format::Line {
        return Ok(Some(Opened::Exchanges(Box::new(One::new(whole, limits)?))));
    }
    let unpacked = BufReader::new(Packed::new(whole, limits)?);
    Ok(Some(match format {
        Format::Gor => Opened::Exchanges(Box::new(gor::Exchanges::new(unpacked, limits))),
        Format::Har => Opened::Exchanges(Box::new(har::Entries::new(unpacked, limits))),
        Format::Line | Format::Pcap | Format::Pcapng => Opened::Packets(format, Box::new(unpacked)),
    }))
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchanges(_) => f.write_str("Exchanges"),
            Self::Packets(format, _) => f.debug_tuple("Packets").field(format).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::{line, made};

    fn count(text: Vec<u8>) -> usize {
        match open(io::Cursor::new(text), "", &Limits::default()).unwrap() {
            Some(Opened::Exchanges(all)) => all.map(Result::unwrap).count(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_format_is_opened_packed_or_not() {
        let (mut lines, mut gor) = (Vec::new(), gor::Writer::new(Vec::new(), 9));
        let mut har = har::Writer::new(Vec::new(), "0").unwrap();
        for number in 0..100 {
            line::write(&made::plain(number), &mut lines);
            gor.write(&made::plain(number)).unwrap();
            har.write(&made::plain(number)).unwrap();
        }
        for text in [lines, gor.into_inner(), har.finish().unwrap()] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&text).unwrap();
            assert_eq!(count(gzip.finish().unwrap()), 100);
            assert_eq!(count(text), 100);
        }
    }

    #[test]
    fn packets_are_given_on_and_what_is_unknown_is_none() {
        let packets = b"\xd4\xc3\xb2\xa1rest".to_vec();
        match open(io::Cursor::new(packets.clone()), "", &Limits::default()).unwrap() {
            Some(Opened::Packets(Format::Pcap, mut rest)) => {
                let mut read = Vec::new();
                rest.read_to_end(&mut read).unwrap();
                assert_eq!(read, packets);
            }
            other => panic!("{other:?}"),
        }
        assert!(open(io::empty(), "x.txt", &Limits::default()).unwrap().is_none());
    }
}
