//! Turns packets into exchanges and hands them to the proxy's engine: it records them, sends copies to a candidate and
//! holds its answers against those that were seen on the wire. What packets mean is [`packets`]' and [`conversations`]'
//! work; here is where they come from.

pub mod filter;
pub mod keys;
pub mod options;
pub mod privileges;
pub mod run;
pub mod source;
