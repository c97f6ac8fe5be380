//! Holds the code under test to what it asked for: an allocation beyond that fails, which ends the
//! process, and libFuzzer keeps the input.
//!
//! The C code of zstd allocates elsewhere and is not seen.

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Room that grows with what is asked for; without limit again once it is dropped.
#[derive(Debug)]
pub struct Room(());

impl Room {
    /// For `most` bytes more than are in use now.
    pub fn new(most: usize) -> Self {
        set(MEMORY.allocated().saturating_add(most));
        Self(())
    }

    /// For so many bytes more.
    pub fn grow(&self, bytes: usize) {
        set(MEMORY.limit().saturating_add(bytes));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        set(usize::MAX);
    }
}

fn set(limit: usize) {
    MEMORY.set_limit(limit).expect("a limit is never set below what is in use");
}
