//! What the process may, once what needs it is open: nothing that others may not.

use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Gives up all capabilities of this thread, and of those that it starts from then on, and can never have others.
///
/// # Errors
/// As the kernel says.
pub fn give_up() -> io::Result<()> {
    let nothing = CapabilitySet::empty();
    let sets = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
    set_no_new_privs(true)?;
    set_capabilities(None, sets)?;
    Ok(())
}
