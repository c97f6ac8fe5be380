//! What the fuzz targets share: a bound on memory, a second opinion on JSON, bodies to compare, copies,
//! and readers of connections.

pub mod bodies;
pub mod connection;
pub mod copies;
pub mod document;
pub mod memory;
pub mod streams;
