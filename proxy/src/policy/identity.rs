//! What is settled of one identity: where its values are, whose they are, and how long they are kept.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::matcher::Seen;
use super::share::SampleBy;
use transform::identity::{Identity, Limits, Scope, Secret};

/// An identity, as a `[[identity]]` says.
#[derive(Debug)]
pub struct Policy {
    /// Where its values are.
    pub identity: Arc<Identity>,
    /// Whose values they are, by a key of the client; `None` for everybody's.
    pub scope: Option<SampleBy>,
    /// How long a copy waits for a value that is being learned.
    pub wait: Duration,
    /// How much is kept, and for how long.
    pub limits: Limits,
    /// The same for those whose values mean the same; in this process alone.
    pub meaning: u64,
}

impl Policy {
    /// One with these values.
    pub fn new(
        identity: Identity,
        scope: Option<SampleBy>,
        wait: Duration,
        limits: Limits,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        scope.as_ref().map(ToString::to_string).hash(&mut hasher);
        identity.learn.iter().for_each(|place| place.to_string().hash(&mut hasher));
        let meaning = hasher.finish();
        Self { identity: Arc::new(identity), scope, wait, limits, meaning }
    }

    /// Whose values a request has. Those without a key have theirs in common with everybody's.
    pub fn scope_of(&self, request: &Seen<'_>, secret: Secret) -> Scope {
        let key = self.scope.as_ref().and_then(|by| by.key(request));
        secret.scope(key.as_deref())
    }
}
