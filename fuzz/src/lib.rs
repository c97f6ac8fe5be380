//! What the fuzz targets share: a bound on memory, a second opinion on JSON, and bodies to compare.

pub mod bodies;
pub mod document;
pub mod memory;
