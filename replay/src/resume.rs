//! How far a run came, so that one that was interrupted goes on there. What was under way then is sent again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use traffic::Moment;

/// The exchanges of a source that are over: all before a number, and some behind it.
#[derive(Debug, Default)]
pub struct Watermark(Mutex<Done>);

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// So many exchanges are over.
    pub over: u64,
    /// When the first one of the source was, by which it is known again: a quota takes the oldest away.
    pub first: Option<Moment>,
}

#[derive(Debug, Default)]
struct Done {
    before: u64,
    behind: BTreeSet<u64>,
    first: Option<Moment>,
}

impl Watermark {
    /// Where a run goes on.
    pub fn from(begun: Begun) -> Self {
        let Begun { over: before, first } = begun;
        Self(Mutex::new(Done { before, behind: BTreeSet::new(), first }))
    }

    /// The source begins with an exchange of this time; whether it is the one that the run began with.
    pub fn begins(&self, at: Moment) -> bool {
        *self.done().first.get_or_insert(at) == at
    }

    /// One is over.
    pub fn over(&self, nth: u64) {
        let mut done = self.done();
        if nth != done.before {
            // Of a source that is read again all before were over once.
            if nth > done.before {
                done.behind.insert(nth);
            }
            return;
        }
        done.before += 1;
        while done.behind.first() == Some(&done.before) {
            done.behind.pop_first();
            done.before += 1;
        }
    }

    /// How far it came.
    pub fn begun(&self) -> Begun {
        let done = self.done();
        Begun { over: done.before, first: done.first }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written down of a run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// What it reads, as it was told.
    sources: Vec<String>,
    /// So many exchanges are over.
    over: u64,
    /// When the first one was, in nanoseconds since 1970.
    #[serde(default)]
    first: Option<u64>,
}

/// Where a run writes down how far it came.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    sources: Vec<String>,
}

impl Place {
    /// A file, of a run that reads these.
    pub fn new(path: &Path, sources: &[String]) -> Self {
        Self { path: path.to_owned(), sources: sources.to_vec() }
    }

    /// How far a run came; nowhere where there is no file yet.
    ///
    /// # Errors
    /// A file that cannot be read, or is of another run.
    pub fn read(&self) -> Result<Begun, String> {
        let path = self.path.display();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Begun::default()),
            Err(error) => return Err(format!("--resume {path}: cannot be read ({error})")),
        };
        let state: State = serde_json::from_str(&text)
            .map_err(|error| format!("--resume {path}: is not the state of a run ({error})"))?;
        if state.sources != self.sources {
            let (its, ours) = (state.sources.join(" "), self.sources.join(" "));
            return Err(format!("--resume {path}: is the state of a run of {its}, not of {ours}"));
        }
        Ok(Begun { over: state.over, first: state.first.map(Moment) })
    }

    /// Writes down how far it came: beside the file first, so that one that is there is whole.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, begun: Begun) -> io::Result<()> {
        let (sources, first) = (self.sources.clone(), begun.first.map(|at| at.0));
        let text = serde_json::to_string(&State { sources, over: begun.over, first })?;
        let beside = self.path.with_extension("part");
        std::fs::write(&beside, text)?;
        std::fs::rename(beside, &self.path)
    }

    /// The run came to its end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_before_the_first_that_is_not_over_are_over() {
        let watermark = Watermark::from(Begun { over: 3, first: Some(Moment(7)) });
        for (over, before) in [(5, 3), (4, 3), (3, 6), (7, 6), (6, 8)] {
            watermark.over(over);
            assert_eq!(watermark.begun().over, before);
        }
        assert!(watermark.begins(Moment(7)) && !watermark.begins(Moment(8)));
        (0..8).for_each(|nth| watermark.over(nth));
        assert_eq!(watermark.begun().over, 8);
        assert!(
            watermark.0.lock().unwrap().behind.is_empty(),
            "what is over again takes no memory"
        );
    }

    #[test]
    fn a_run_goes_on_where_it_was_and_no_other_does() {
        let path = std::env::temp_dir().join(format!("replay-state-{}", std::process::id()));
        let place = Place::new(&path, &["a".to_owned()]);
        assert_eq!(place.read(), Ok(Begun::default()));
        let begun = Begun { over: 7, first: Some(Moment(9)) };
        place.write(begun).unwrap();
        assert_eq!(place.read(), Ok(begun));
        let other = Place::new(&path, &["b".to_owned()]).read().unwrap_err();
        assert!(other.contains("a run of a, not of b"), "{other}");
        std::fs::write(&path, "{").unwrap();
        assert!(place.read().unwrap_err().contains("is not the state of a run"));
        place.forget().unwrap();
        place.forget().unwrap();
        assert_eq!(place.read(), Ok(Begun::default()));
    }
}
