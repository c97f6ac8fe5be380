//! A key log that grows while packets are read: clients write the keys of each connection when it begins.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use conversations::KeyLog;

/// Opens it; what is new in it is read whenever keys are wanted that are not known.
///
/// # Errors
/// It cannot be read.
pub fn follow(path: &Path) -> Result<KeyLog, String> {
    let opened = File::open(path);
    let mut file = opened.map_err(|error| format!("--keylog {}: {error}", path.display()))?;
    Ok(KeyLog::followed(move |text| {
        // One that cannot be read any more says nothing new, and what it said holds.
        file.read_to_end(text).unwrap_or_default();
    }))
}
