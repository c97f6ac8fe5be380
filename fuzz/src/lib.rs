//! What the fuzz targets share: a bound on memory, a second opinion on JSON, bodies to compare, and copies.

pub mod bodies;
pub mod copies;
pub mod document;
pub mod memory;
