//! What all programs say of themselves with `--version`: the version, and the commit they were built of.

/// Such as `0.1.0 (1f2e3d4c5b6a)`; without the commit where it is not known, or in a debug build.
pub const VERSION: &str = env!("MIRRORLAB_VERSION");
