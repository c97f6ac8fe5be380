//! A stream of bytes with what it is packed in taken off.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::frames::Frames;
use crate::kind::{self, Packing};
use crate::limits::Limits;

/// The bytes of a recording, whatever it is packed in.
pub(crate) struct Packed<R> {
    inner: Inner<R>,
    damaged: Option<u64>,
}

enum Inner<R> {
    Plain(BufReader<R>),
    Zstd(Frames<BufReader<R>>),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
}

impl<R: Read> Packed<R> {
    pub(crate) fn new(source: R, limits: &Limits) -> io::Result<Self> {
        let mut source = BufReader::new(source);
        let inner = match kind::packing(source.fill_buf()?) {
            Packing::Plain => Inner::Plain(source),
            Packing::Zstd => Inner::Zstd(Frames::new(source, limits.window_log)?),
            Packing::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
        };
        Ok(Self { inner, damaged: None })
    }

    /// Where the packed bytes began that are torn or damaged.
    pub(crate) fn damaged(&self) -> Option<u64> {
        self.damaged
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(source) => source.read(into),
            Inner::Gzip(source) => source.read(into),
            Inner::Zstd(source) => {
                let read = source.read(into);
                self.damaged = read.is_err().then(|| source.frame());
                read
            }
        }
    }
}

impl<R> fmt::Debug for Packed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("damaged", &self.damaged).finish_non_exhaustive()
    }
}
