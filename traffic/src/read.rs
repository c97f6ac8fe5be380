//! Recordings of our own, read: one file, or all of a folder in the order of their names. What can't be
//! read of one, because it is torn or damaged, is told, and reading goes on with the next.

use std::fmt;
use std::io::{self, BufReader, Read};

use crate::exchange::Exchange;
use crate::fault::{Fault, Place, ReadError};
use crate::limits::Limits;
use crate::line::Lines;
use crate::packed::Packed;
use crate::segment::name::without_part;

/// Where files are read from. All names are file names without a folder.
pub trait Source {
    /// A file that is being read.
    type File: Read;

    /// The names of all files, in any order.
    ///
    /// # Errors
    ///
    /// As the source says.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Opens a file at its beginning.
    ///
    /// # Errors
    ///
    /// As the source says.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;
}

/// A place between two exchanges of a folder, from which reading can go on, later and elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The file; empty before the first one.
    pub file: String,
    /// Exchanges of it that were read.
    pub exchanges: u64,
}

/// The exchanges of a folder.
pub struct Segments<S: Source> {
    source: S,
    limits: Limits,
    /// Those that come, the next one last.
    names: Vec<String>,
    current: Option<One<S::File>>,
    position: Position,
    /// How many of the next file were read before.
    skip: u64,
}

impl<S: Source> Segments<S> {
    /// All of it that comes behind `from`. Files that are not there any more are passed over.
    ///
    /// # Errors
    ///
    /// The folder can't be listed.
    pub fn new(mut source: S, from: Position, limits: &Limits) -> io::Result<Self> {
        let mut names = source.list()?;
        names.retain(|name| is_recording(name) && without_part(name) >= from.file.as_str());
        names.sort_by(|a, b| without_part(b).cmp(without_part(a)));
        let there = names.last().is_some_and(|name| without_part(name) == from.file);
        let skip = if there { from.exchanges } else { 0 };
        Ok(Self { source, limits: *limits, names, current: None, position: from, skip })
    }

    /// Behind what was read last.
    pub fn position(&self) -> &Position {
        &self.position
    }

    fn next_file(&mut self) -> Option<Result<(), ReadError>> {
        let name = self.names.pop()?;
        self.position = Position { file: without_part(&name).to_owned(), exchanges: 0 };
        let opened = self.source.open(&name).and_then(|file| One::new(file, &self.limits));
        match opened {
            Ok(one) => {
                self.current = Some(one);
                Some(Ok(()))
            }
            Err(error) => {
                self.skip = 0;
                let place = Place::Byte(0);
                Some(Err(ReadError { file: Some(name), place, fault: Fault::Io(error) }))
            }
        }
    }
}

impl<S: Source> Iterator for Segments<S> {
    type Item = Result<Exchange, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(current) = &mut self.current else {
                match self.next_file()? {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            };
            match current.next() {
                None => {
                    self.current = None;
                    self.skip = 0;
                }
                Some(Ok(exchange)) => {
                    self.position.exchanges += 1;
                    if self.position.exchanges > self.skip {
                        return Some(Ok(exchange));
                    }
                }
                // It was told when it was read first.
                Some(Err(_)) if self.position.exchanges < self.skip => {}
                Some(Err(mut error)) => {
                    error.file = Some(self.position.file.clone());
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<S: Source> fmt::Debug for Segments<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").field("position", &self.position).finish_non_exhaustive()
    }
}

fn is_recording(name: &str) -> bool {
    let name = without_part(name);
    name.ends_with(".jsonl") || name.ends_with(".jsonl.zst")
}

/// The exchanges of one recording of our own in any stream of bytes, packed or not.
#[derive(Debug)]
pub struct One<R: Read> {
    lines: Lines<BufReader<Packed<R>>>,
}

impl<R: Read> One<R> {
    /// Reads from `source`.
    ///
    /// # Errors
    ///
    /// The first bytes can't be read.
    pub fn new(source: R, limits: &Limits) -> io::Result<Self> {
        let source = Packed::new(source, limits)?;
        Ok(Self { lines: Lines::new(BufReader::new(source), limits) })
    }
}

impl<R: Read> Iterator for One<R> {
    type Item = Result<Exchange, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next = self.lines.next()?;
        if let Err(error) = &mut next
            && let Fault::Io(problem) = &error.fault
            && let Some(byte) = self.lines.source().get_ref().damaged()
        {
            *error = Fault::Torn(problem.to_string()).at(Place::Byte(byte));
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests;
