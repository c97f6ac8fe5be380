//! Sees that a file has changed, however it was: written in place, replaced by an editor, or by the
//! symbolic links of a Kubernetes ConfigMap.
//!
//! What is there is read and hashed once in a while. Notices of the kernel would come sooner, but none
//! comes from network file systems and some container mounts, and those for links must be set up anew
//! each time.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Steer;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// More than a settings file may have; of what is longer the beginning tells enough.
const LONGEST: u64 = (1 << 20) + 1;

/// A hash of what is there; `None` where there is no file to be read. What is no plain file, a pipe for
/// one, could be waited for without end.
fn look(path: &Path) -> Option<u64> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(xxhash_rust::xxh3::xxh3_64(&bytes))
}

/// Tells a change once it is complete: when two looks see the same, and not what was there before.
#[derive(Debug)]
struct Changes {
    known: Option<u64>,
    last: Option<u64>,
}

impl Changes {
    fn new(now: Option<u64>) -> Self {
        Self { known: now, last: now }
    }

    /// A file that is gone is one that is about to come back.
    fn see(&mut self, now: Option<u64>) -> bool {
        let settled = now.is_some() && now == self.last;
        self.last = now;
        let changed = settled && now != self.known;
        if changed {
            self.known = now;
        }
        changed
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
    let mut changes = Changes::new(Some(watched.read));
    loop {
        tokio::time::sleep(EVERY).await;
        let Ok(now) = looked(&path).await else { return };
        if changes.see(now) {
            let steer = Arc::clone(&steer);
            // What came of it is told where it is done.
            drop(tokio::task::spawn_blocking(move || steer.reload()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        for path in ["/dev/zero", "/tmp", "/nowhere"] {
            assert_eq!(look(Path::new(path)), None, "{path}");
        }
        assert!(look(Path::new(env!("CARGO_MANIFEST_PATH"))).is_some());
    }

    #[test]
    fn a_change_is_told_once_and_only_when_it_is_complete() {
        let mut changes = Changes::new(Some(1));
        let told: Vec<_> = [Some(1), Some(2), Some(3), Some(3), Some(3), None, Some(3), Some(3)]
            .map(|now| changes.see(now))
            .into();
        assert_eq!(told, [false, false, false, true, false, false, false, false]);
    }

    #[test]
    fn what_was_read_before_is_a_change_when_it_comes_back() {
        let mut changes = Changes::new(Some(1));
        let told = [Some(2), Some(2), Some(1), Some(1)].map(|now| changes.see(now));
        assert_eq!(told, [false, true, false, true]);
    }
}
