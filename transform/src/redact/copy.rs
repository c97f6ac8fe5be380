//! A copy of a request under a policy.

use compare::Limits;

use super::policy::{Policy, Tally};
use super::run::{For, Run};
use super::{body, head};
use crate::CopyRequest;
use crate::identity::Value;
use crate::parts::Fault;

impl Policy {
    /// Hides in a copy what the policy says, but for the values in `keep`, and tells what was hidden.
    ///
    /// # Errors
    /// It cannot be done: the body cannot be read, or what should be put in cannot stand there. The copy must not be
    /// sent then; it is in between.
    pub fn redact(
        &self,
        copy: &mut CopyRequest,
        keep: &[Value],
        limits: &mut Limits<'_>,
    ) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        if self.leaves_copies() {
            return Ok(tally);
        }
        let max_decoded = limits.max_decoded;
        let run = Run::new(self, For::Copy(keep), &mut *limits.grant, &mut tally);
        // What the head says of the body is read before it changes.
        let changed = match &copy.body {
            Some(body) => body::redacted(&run, &copy.headers, body, max_decoded)?,
            None => None,
        };
        if let Some(body) = changed {
            copy.set_body(body);
        }
        head::target(&run, copy);
        head::headers(&run, copy)?;
        run.settled()?;
        Ok(tally)
    }
}

#[cfg(test)]
mod tests;
