//! As much of JSON as leads to the entries, one token at a time; values are left to `serde_json`, which
//! stops behind one that ends by itself.

use std::io::{self, BufRead, Read};

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::fault::Fault;

/// A source of JSON that gives a number of bytes and then fails, until it is renewed.
#[derive(Debug)]
pub(super) struct Pull<R> {
    source: R,
    limit: usize,
    left: usize,
}

impl<R: BufRead> Pull<R> {
    pub(super) fn new(source: R, limit: usize) -> Self {
        Self { source, limit, left: limit }
    }

    pub(super) fn renew(&mut self) {
        self.left = self.limit;
    }

    /// Some tools put U+FEFF in front.
    pub(super) fn skip_bom(&mut self) -> Result<(), Fault> {
        for byte in *b"\xef\xbb\xbf" {
            if self.filled()? == Some(byte) {
                self.bump();
            }
        }
        Ok(())
    }

    /// The next byte that is no space; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.filled()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.bump(),
                other => return Ok(other),
            }
        }
    }

    pub(super) fn bump(&mut self) {
        self.source.consume(1);
    }

    fn filled(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Io(error)),
            }
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek()? == Some(byte) {
            self.bump();
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}`", char::from(byte))))
    }

    /// What is there is not what has to be.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Fault {
        match self.peek() {
            Ok(None) => Fault::Torn(format!("ends where {wanted} has to be")),
            Ok(Some(byte)) => {
                Fault::Syntax(format!("`{}` where {wanted} has to be", byte.escape_ascii()))
            }
            Err(fault) => fault,
        }
    }

    /// Within an object, goes up to the value of this name.
    pub(super) fn enter(&mut self, name: &str) -> Result<(), Fault> {
        loop {
            self.renew();
            if self.peek()? != Some(b'"') {
                return Err(self.unexpected(&format!("`\"{name}\":`")));
            }
            let key: String = self.value()?;
            self.expect(b':')?;
            if key == name {
                return Ok(());
            }
            self.skip()?;
            if self.peek()? == Some(b',') {
                self.bump();
            }
        }
    }

    fn skip(&mut self) -> Result<(), Fault> {
        if let Some(b'{' | b'[' | b'"') = self.peek()? {
            return self.value::<IgnoredAny>().map(|_| ());
        }
        // A number or a word: it does not say where it ends.
        while let Some(byte) = self.filled()? {
            if b",]} \n\r\t".contains(&byte) {
                break;
            }
            self.bump();
        }
        Ok(())
    }

    /// A value that ends by itself: an object, an array or a string.
    pub(super) fn value<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let mut values = serde_json::Deserializer::from_reader(&mut *self).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) if self.left == 0 => Err(Fault::TooLong { limit: self.limit }),
            Some(Err(error)) if error.is_io() => Err(Fault::Io(error.into())),
            // What is cut off within a number or a word is a wrong one to the parser.
            Some(Err(error)) if error.is_eof() || self.filled()?.is_none() => {
                Err(Fault::Torn(error.to_string()))
            }
            Some(Err(error)) => Err(Fault::json(".", &error)),
            None => Err(Fault::Torn("ends where a value has to be".to_owned())),
        }
    }
}

impl<R: BufRead> Read for Pull<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("too long"));
        }
        let most = into.len().min(self.left);
        let read = self.source.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}
