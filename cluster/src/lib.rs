//! What replicas of a proxy share, over an engine that speaks the Redis protocol.
//!
//! Each tells what its pairs said ([`Batch`]), and all read what all told, in one order: so each judges the same
//! pairs. What is on and what is off ([`Standing`](judge::guardrail::standing::Standing)) has a version, and only
//! who knows the last one can say the next: so there is one order of all that is decided.
//!
//! Nothing here is in the way of a request. The engine may be away, slow, full or empty at any time.

mod batch;
mod link;
mod settings;
mod teller;

pub use batch::Batch;
pub use link::{Answer, Error, Heard, Link, Peer, Told, Versioned};
pub use settings::{Settings, Tls};
pub use teller::Teller;
