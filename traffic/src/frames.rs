//! Frames of zstd (RFC 8878) one after the other, read as one text. Unlike the library's own reader this
//! knows where the frame began that can't be read, and so where a recording is torn.

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

/// What frames have in them.
pub(crate) struct Frames<R> {
    source: R,
    decoder: Decoder<'static>,
    /// Bytes of the source that were read.
    position: u64,
    /// Where the frame began that is being read.
    frame: u64,
    within: bool,
}

impl<R: BufRead> Frames<R> {
    /// Frames that ask for a larger window than 2 to the power of `window_log` are an error.
    pub(crate) fn new(source: R, window_log: u32) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(window_log))?;
        Ok(Self { source, decoder, position: 0, frame: 0, within: false })
    }

    /// Where in the source the frame began that was read last, or could not be.
    pub(crate) fn frame(&self) -> u64 {
        self.frame
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let chunk = self.source.fill_buf()?;
            let ended = chunk.is_empty();
            if ended && !self.within {
                return Ok(0);
            }
            if !self.within {
                self.frame = self.position;
            }
            let status = self.decoder.run_on_buffers(chunk, into)?;
            self.source.consume(status.bytes_read);
            self.position += status.bytes_read as u64;
            self.within = status.remaining != 0;
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if status.bytes_read == 0 {
                let kind =
                    if ended { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::InvalidData };
                return Err(io::Error::new(kind, "a frame of zstd is not whole"));
            }
        }
    }
}

impl<R> std::fmt::Debug for Frames<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("frame", &self.frame).finish_non_exhaustive()
    }
}
