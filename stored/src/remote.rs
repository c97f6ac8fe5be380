//! A store as a source of recordings, for readers that block.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use traffic::read::Source;

use crate::Store;

/// The bytes of an object as they come.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Reads recordings of a store on a thread that may block, such as one of
/// `tokio::task::spawn_blocking`. Within a task of the runtime it panics.
#[derive(Clone, Debug)]
pub struct Remote {
    store: Store,
    runtime: Handle,
}

impl Remote {
    /// The requests are made by `runtime`, which has to run on other threads.
    pub fn new(store: Store, runtime: Handle) -> Self {
        Self { store, runtime }
    }
}

impl Source for Remote {
    type File = Fetched;

    fn list(&mut self) -> io::Result<Vec<String>> {
        let names = self.runtime.block_on(self.store.list()).map_err(io::Error::other)?;
        Ok(names.into_iter().map(|(name, _)| name).collect())
    }

    fn open(&mut self, name: &str) -> io::Result<Fetched> {
        let pieces = self.runtime.block_on(self.store.get(name)).map_err(io::Error::other)?;
        Ok(Fetched { pieces, piece: Bytes::new(), runtime: self.runtime.clone() })
    }
}

/// An object that is being read; of it, one piece is in memory.
pub struct Fetched {
    pieces: Pieces,
    piece: Bytes,
    runtime: Handle,
}

impl Read for Fetched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.pieces.next()) {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("ahead", &self.piece.len()).finish_non_exhaustive()
    }
}
