//! A key log that grows while packets are read: clients write the keys of each connection when it begins.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use conversations::KeyLog;

/// How often is looked for more.
const EVERY: Duration = Duration::from_millis(100);

/// A key log that is followed.
#[derive(Debug)]
pub struct Keys {
    file: File,
    log: KeyLog,
    due: Instant,
}

impl Keys {
    /// Opens it and reads what it says so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("--keylog {}: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let mut keys = Self { file, log: KeyLog::default(), due: Instant::now() };
        keys.read().map_err(failed)?;
        Ok(keys)
    }

    /// What it says, now and later.
    pub fn log(&self) -> KeyLog {
        self.log.clone()
    }

    /// Reads what is new, if it is time to look.
    pub fn follow(&mut self) {
        if Instant::now() >= self.due {
            self.due = Instant::now() + EVERY;
            // One that cannot be read any more says nothing new, and what it said holds.
            self.read().unwrap_or_default();
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        self.file.read_to_end(&mut text)?;
        self.log.extend(&text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_later_is_known_later_and_half_a_line_when_it_is_whole() {
        let path = std::env::temp_dir().join(format!("keys-{}", std::process::id()));
        let line = |byte: &str| format!("CLIENT_RANDOM {} {}\n", byte.repeat(32), "ab".repeat(48));
        let mut file = File::create(&path).unwrap();
        file.write_all(line("01").as_bytes()).unwrap();
        let mut keys = Keys::open(&path).unwrap();
        let log = keys.log();
        assert_eq!(log.len(), 1);
        let second = line("02");
        for (part, known) in [(&second[..40], 1), (&second[40..], 2)] {
            file.write_all(part.as_bytes()).unwrap();
            keys.due = Instant::now();
            keys.follow();
            assert_eq!(log.len(), known);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Keys::open(&path).unwrap_err().starts_with("--keylog "));
    }
}
