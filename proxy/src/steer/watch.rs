//! Sees that a file has changed, however it was: written in place, replaced by an editor, or by the
//! symbolic links of a Kubernetes ConfigMap.
//!
//! What is there is read and hashed once in a while. Notices of the kernel would come sooner, but none
//! comes from network file systems and some container mounts, and those for links must be set up anew
//! each time.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Steer;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// More than a settings file may have; of what is longer the beginning tells enough.
const LONGEST: u64 = (1 << 20) + 1;

/// A change is complete when so many looks in a row see the same.
const SETTLED: u32 = 2;
/// A file that is gone, or may not be read, is mostly one that is about to come back.
const GONE: u32 = 6;

/// What may be read anew, for messages.
const WITH_SETTINGS: &str = "a file with settings, put in place by renaming it";

/// Why what is at this path is not to be read anew, in whatever it consists. What is no plain file, a pipe
/// for one, could be waited for without end, and a file without content is one that is being written.
pub fn unfit(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        Some(refused(path, "is no plain file; allowed is the path of a TOML file"))
    } else if metadata.len() == 0 {
        Some(refused(path, &format!("is empty; allowed is {WITH_SETTINGS}")))
    } else {
        None
    }
}

/// Why a file is not taken over in which there are comments and white space alone: it is as good as empty.
pub fn without_settings(path: &Path) -> String {
    refused(path, &format!("has no settings in it; allowed is {WITH_SETTINGS}"))
}

fn refused(path: &Path, why: &str) -> String {
    format!("--config {}: {why}", path.display())
}

/// A hash of what is there, or why nothing can be read.
fn look(path: &Path) -> Result<u64, ErrorKind> {
    if !std::fs::metadata(path).map_err(|error| error.kind())?.is_file() {
        return Err(ErrorKind::InvalidInput);
    }
    let file = std::fs::File::open(path).map_err(|error| error.kind())?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| error.kind())?;
    Ok(xxhash_rust::xxh3::xxh3_64(&bytes))
}

/// Tells a change once it is complete.
#[derive(Debug)]
struct Changes {
    /// What holds.
    holds: u64,
    /// What was taken over, or refused, last.
    tried: Result<u64, ErrorKind>,
    last: Result<u64, ErrorKind>,
    /// So many looks saw the last.
    times: u32,
    /// Something else than what holds was seen since it was last asked for.
    strayed: bool,
}

impl Changes {
    fn new(holds: u64) -> Self {
        let now = Ok(holds);
        Self { holds, tried: now, last: now, times: 0, strayed: false }
    }

    /// Whether to read anew. `refused`: the last try was, and maybe not by whoever looks, so that what
    /// holds is to be read again when it is back.
    fn see(&mut self, now: Result<u64, ErrorKind>, refused: bool) -> bool {
        self.times = if now == self.last { self.times.saturating_add(1) } else { 1 };
        self.last = now;
        self.strayed |= now != Ok(self.holds);
        if self.times < if now.is_ok() { SETTLED } else { GONE } {
            return false;
        }
        let is_back = now == Ok(self.holds) && std::mem::take(&mut self.strayed);
        let changed = now != self.tried;
        self.tried = now;
        changed || (is_back && refused)
    }

    /// What was seen last holds now.
    fn taken(&mut self) {
        self.holds = self.last.unwrap_or(self.holds);
    }
}

/// A file, and the hash of what was read of it (XXH3).
#[derive(Clone, Debug)]
pub struct Watched {
    /// Where it is.
    pub path: PathBuf,
    /// What holds now, so that no change between reading and watching is missed.
    pub read: u64,
}

/// Reads the settings anew whenever this file has changed, for ever.
pub async fn watch(steer: Arc<Steer>, watched: Watched) {
    let path = Arc::new(watched.path);
    let looked = |path: &Arc<PathBuf>| {
        let path = Arc::clone(path);
        tokio::task::spawn_blocking(move || look(&path))
    };
    let mut changes = Changes::new(watched.read);
    loop {
        tokio::time::sleep(EVERY).await;
        let Ok(now) = looked(&path).await else { return };
        if !changes.see(now, !steer.refused().is_null()) {
            continue;
        }
        let steer = Arc::clone(&steer);
        // What came of it is told where it is done.
        if let Ok(Ok(_)) = tokio::task::spawn_blocking(move || steer.reload()).await {
            changes.taken();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        for path in ["/dev/zero", "/tmp", "/nowhere"] {
            assert!(look(Path::new(path)).is_err(), "{path}");
        }
        for path in ["/dev/zero", "/tmp"] {
            assert!(unfit(Path::new(path)).unwrap().contains("no plain file"), "{path}");
        }
        let plain = Path::new(env!("CARGO_MANIFEST_PATH"));
        assert!(look(plain).is_ok() && unfit(plain).is_none());
    }

    /// What is told of these looks.
    fn told(looks: &[Result<u64, ErrorKind>], refused: bool) -> Vec<usize> {
        let mut changes = Changes::new(1);
        let told = looks.iter().enumerate().filter(|(_, now)| changes.see(**now, refused));
        told.map(|(at, _)| at).collect()
    }

    const NOT_THERE: Result<u64, ErrorKind> = Err(ErrorKind::NotFound);

    #[test]
    fn a_change_is_told_once_and_only_when_it_is_complete() {
        let looks = [Ok(1), Ok(2), Ok(3), Ok(3), Ok(3), NOT_THERE, Ok(3), Ok(3)];
        assert_eq!(told(&looks, false), [3]);
    }

    #[test]
    fn what_was_read_before_is_a_change_when_it_comes_back() {
        assert_eq!(told(&[Ok(2), Ok(2), Ok(1), Ok(1)], false), [1, 3]);
    }

    #[test]
    fn a_file_that_stays_away_is_told_once_and_again_when_it_is_back() {
        let looks = [[NOT_THERE; 10].as_slice(), &[Ok(1); 5]].concat();
        assert_eq!(told(&looks, false), [5, 11]);
    }

    #[test]
    fn a_file_that_was_away_for_a_moment_is_read_again_where_somebody_was_refused_meanwhile() {
        let looks = [NOT_THERE, NOT_THERE, Ok(1), Ok(1), Ok(1), Ok(1)];
        assert_eq!((told(&looks, true), told(&looks, false)), (vec![3], vec![]));
        assert_eq!(told(&[Ok(1); 5], true), [0_usize; 0], "refused for something else");
    }

    #[test]
    fn what_holds_is_what_was_taken_last() {
        let mut changes = Changes::new(1);
        let told: Vec<_> = [Ok(2), Ok(2)].map(|now| changes.see(now, false)).into();
        changes.taken();
        assert_eq!((told, changes.holds), (vec![false, true], 2));
    }
}
