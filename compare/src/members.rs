//! The members of an object that count, in their order and as a list by name.

use std::borrow::Cow;

use super::json::Tape;
use super::normalize::{Keys, Treatment};
use super::text::Text;

/// A member that counts.
pub(super) struct Member<'a> {
    /// A masked one is known by its rule's name, since its own spelling may differ from side to side.
    pub(super) name: Text<'a>,
    /// Its value is equal to any other.
    pub(super) masked: bool,
    /// The node of its key; the value is the node behind it.
    pub(super) key: usize,
}

/// One in a list to sort, where its name is read many times.
pub(super) struct Listed<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) masked: bool,
    pub(super) key: usize,
}

/// What an allocation takes besides its bytes, about.
const ALLOCATION: usize = 32;

/// The members of `object` from node `from` on; not those that leave no trace.
pub(super) fn members<'a>(
    tape: &'a Tape<'_>,
    keys: &'a Keys,
    object: usize,
    from: usize,
) -> impl Iterator<Item = Member<'a>> {
    tape.children_from(from, object).filter_map(|key| {
        let text = tape.text(key);
        match keys.treatment(&text) {
            Treatment::Ignored => None,
            Treatment::Compared => Some(Member { name: text, masked: false, key }),
            Treatment::Hashed(name, _) => {
                Some(Member { name: Text::plain(name), masked: false, key })
            }
            Treatment::Masked(name) => Some(Member { name: Text::plain(name), masked: true, key }),
        }
    })
}

/// Bytes that the list of all members of `object` from node `from` on takes, at most.
pub(super) fn room(tape: &Tape<'_>, object: usize, from: usize) -> usize {
    let entry = |key| {
        let copied = tape.text(key).copied();
        size_of::<Listed<'_>>() + copied + if copied > 0 { ALLOCATION } else { 0 }
    };
    tape.children_from(from, object).map(entry).sum()
}

/// These members, which are some of `object` from node `from` on, by name and then in the order of the
/// document.
pub(super) fn sorted<'a>(
    tape: &Tape<'_>,
    object: usize,
    from: usize,
    members: impl Iterator<Item = Member<'a>>,
) -> Vec<Listed<'a>> {
    let mut list = Vec::with_capacity(tape.children_from(from, object).count());
    list.extend(members.map(|it| Listed {
        name: it.name.unescaped(),
        masked: it.masked,
        key: it.key,
    }));
    // Stable by its second criterion; a stable sort would take more memory.
    list.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(a.key.cmp(&b.key)));
    list
}
