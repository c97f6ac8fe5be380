//! A HAR file: whatever it is, there are no more entries than objects in it, and what was read is the same
//! when it is written, which is JSON to anybody, and read once more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::{Exchange, Limits, har};

const LONGEST: usize = 2000;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { exchange: LONGEST, ..Limits::default() };
    let mut entries = har::Entries::new(data, &limits);
    let read: Vec<_> = entries.by_ref().collect();
    let seen = read.len() as u64 + entries.told().cached;
    let objects = data.iter().filter(|byte| **byte == b'{').count();
    // One error may be of no entry at all.
    assert!(seen <= objects as u64 + 1, "more than there are entries");
    let read: Vec<Exchange> = read.into_iter().flatten().collect();

    let mut writer = har::Writer::new(Vec::new(), "0").expect("a Vec takes all");
    read.iter().for_each(|it| writer.write(it).expect("a Vec takes all"));
    let text = writer.finish().expect("a Vec takes all");
    assert_eq!(entries_of(&text), Some(read.len()));
    let larger = Limits { exchange: 1 << 20, ..Limits::default() };
    let again: Result<Vec<_>, _> = har::Entries::new(&text[..], &larger).collect();
    assert_eq!(again.expect("what was written can be read"), read);
});

/// How many entries there are, if this is HAR at all.
fn entries_of(text: &[u8]) -> Option<usize> {
    let file: serde_json::Value = serde_json::from_slice(text).ok()?;
    Some(file.get("log")?.get("entries")?.as_array()?.len())
}
