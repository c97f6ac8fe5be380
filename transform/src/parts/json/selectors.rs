//! Which of many selectors select a value, found without asking each of them: most names are told from all that
//! are looked for by their first letter and their length.

use compare::names_secret;
use compare::path::{Child, Path, Taken};
use compare::text::Text;

use super::Select;

/// Selectors, each with its place among all.
pub(super) struct Selectors<'s> {
    paths: Vec<(usize, &'s Path)>,
    keys: Vec<(usize, &'s str)>,
    secrets: Vec<usize>,
    texts: Vec<usize>,
    /// For each length of a key which first letters there are, as bits; long keys share one.
    outlines: [u32; 16],
    /// Those that select the value at hand, in order.
    pub(super) picked: Vec<usize>,
}

impl<'s> Selectors<'s> {
    pub(super) fn new(select: &'s [Select]) -> Self {
        let (mut paths, mut keys) = (Vec::new(), Vec::new());
        let (mut secrets, mut texts) = (Vec::new(), Vec::new());
        let mut outlines = [0; 16];
        for (index, select) in select.iter().enumerate() {
            match select {
                Select::Path(path) => paths.push((index, path)),
                Select::Secret => secrets.push(index),
                Select::Text => texts.push(index),
                Select::Key(key) => {
                    let first = key.as_bytes().first().copied().unwrap_or_default();
                    let (slot, bit) = outline(first, key.len());
                    outlines[slot] |= bit;
                    keys.push((index, key.as_str()));
                }
            }
        }
        Self { paths, keys, secrets, texts, outlines, picked: Vec::new() }
    }

    /// How many there are of which it is kept how far they have come.
    pub(super) fn paths(&self) -> usize {
        self.paths.len()
    }

    /// Those that select all texts.
    pub(super) fn texts(&self) -> &[usize] {
        &self.texts
    }

    /// Finds those that select a value. What the paths have taken is put behind what is in `taken`; `parent` is where
    /// there that of its container is, and how many children were before; `is_text`, whether those of texts select it.
    /// Whether any may select what is in it.
    #[inline]
    pub(super) fn pick(
        &mut self,
        taken: &mut Vec<Taken>,
        parent: Option<(usize, usize)>,
        key: Option<&Text<'_>>,
        is_text: bool,
    ) -> bool {
        self.picked.clear();
        let by_name = !self.keys.is_empty() || !self.secrets.is_empty();
        let mut is_below = by_name || !self.texts.is_empty();
        let name = key.filter(|_| !self.paths.is_empty()).map(Text::unescaped);
        for (slot, (index, path)) in self.paths.iter().enumerate() {
            let (now, is_selected) = match (parent, &name) {
                (None, _) => path.start(),
                (Some((from, _)), _) if taken[from + slot] == 0 => (0, false),
                (Some((from, _)), Some(name)) => path.step(taken[from + slot], Child::Key(name)),
                (Some((from, count)), None) => path.step(taken[from + slot], Child::Index(count)),
            };
            taken.push(now);
            is_below |= now != 0;
            self.picked.extend(is_selected.then_some(*index));
        }
        if let Some(key) = key.filter(|key| self.may_have(key)) {
            let named = self.keys.iter().filter(|(_, name)| key.is_any_case_of(name));
            self.picked.extend(named.map(|(index, _)| *index));
        }
        if !self.secrets.is_empty()
            && key.is_some_and(|key| names_secret(&String::from_utf8_lossy(&key.unescaped())))
        {
            self.picked.extend(&self.secrets);
        }
        if is_text {
            self.picked.extend(&self.texts);
        }
        self.picked.sort_unstable();
        is_below
    }

    fn may_have(&self, key: &Text<'_>) -> bool {
        key.outline().is_none_or(|(first, length)| {
            let (slot, bit) = outline(first, length);
            self.outlines[slot] & bit != 0
        })
    }
}

/// Letters have the same low five bits in either case.
fn outline(first: u8, length: usize) -> (usize, u32) {
    (if length < 16 { length } else { 0 }, 1 << (first & 31))
}
