//! What is told of two bodies: a bounded list, each value masked and bounded.

use super::super::detail::LISTED_MAX;
use super::super::difference::{Difference, Kind};
use super::super::policy::Rules;
use super::super::redaction::{LENGTH_MAX, MASK, same_looks};
use super::super::show;
use super::super::traits::Traits;
use super::looks;

/// Why a body is not read in the way that was tried: it is too large, it is not well-formed, or memory was not
/// granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread;

impl From<super::super::Obstacle> for Unread {
    fn from(_: super::super::Obstacle) -> Self {
        Self
    }
}

/// A body was read: what is to be said where nothing in it differs that is told.
pub(super) type Read = Result<&'static str, Unread>;

/// A place with its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: String,
    pub(super) field: String,
    /// Whether values are not shown for what they are called.
    pub(super) hidden: bool,
}

impl Spot {
    /// The same for place and field.
    pub(super) fn one(name: &str) -> Self {
        Self { place: name.to_owned(), field: name.to_owned(), hidden: false }
    }

    /// One of many: `line 3` of `line [*]`.
    pub(super) fn nth(name: &str, number: usize) -> Self {
        let (place, field) = (format!("{name} {number}"), format!("{name} [*]"));
        Self { place, field, hidden: false }
    }

    /// A place within this one.
    pub(super) fn and(&self, inner: &Self) -> Self {
        Self {
            place: format!("{} {}", self.place, inner.place),
            field: format!("{} {}", self.field, inner.field),
            hidden: self.hidden || inner.hidden,
        }
    }
}

/// Everything that was told so far.
#[derive(Debug)]
pub(super) struct Told<'r> {
    pub(super) rules: &'r Rules,
    /// Each with where it is in the bodies, to sort by.
    list: Vec<(usize, Difference)>,
    more: bool,
    /// Whether anything was left out since one side's stands for the other's in copies.
    aliases: bool,
}

impl<'r> Told<'r> {
    pub(super) fn new(rules: &'r Rules) -> Self {
        Self { rules, list: Vec::new(), more: false, aliases: false }
    }

    /// Nobody needs to look for more.
    pub(super) fn is_full(&self) -> bool {
        self.more
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes back all but the first ones.
    pub(super) fn truncate(&mut self, length: usize) {
        self.more &= self.list.len() == length;
        self.list.truncate(length);
    }

    /// Whether anything was left out since one side's stands for the other's in copies.
    pub(super) fn has_aliases(&self) -> bool {
        self.aliases
    }

    /// In the order of the bodies, and whether there is more.
    pub(super) fn into_list(mut self) -> (Vec<Difference>, bool) {
        self.list.sort_by_key(|(order, _)| *order);
        (self.list.into_iter().map(|(_, difference)| difference).collect(), self.more)
    }

    pub(super) fn push(&mut self, order: usize, difference: Difference) {
        if self.list.len() == LISTED_MAX {
            self.more = true;
            return;
        }
        self.list.push((order, difference));
    }

    /// There is more than was told.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    /// What one side has, or both have as different values.
    pub(super) fn texts(&mut self, order: usize, at: &Spot, texts: [Option<&[u8]>; 2]) {
        if self.list.len() == LISTED_MAX {
            self.more = true;
            return;
        }
        if self.stand_for_each_other(texts) {
            self.aliases = true;
            return;
        }
        let kind = kind_of(&texts);
        let ([baseline, candidate], note) = self.shown(at.hidden, texts);
        let traits = match texts {
            [Some(ours), Some(theirs)] => Traits::of_parts(ours, theirs),
            _ => Traits::default(),
        };
        let (place, field) = (at.place.clone(), at.field.clone());
        self.push(order, Difference { place, field, kind, baseline, candidate, traits, note });
    }

    /// What is described rather than shown.
    pub(super) fn said(
        &mut self,
        order: usize,
        at: &Spot,
        kind: Kind,
        [baseline, candidate]: [Option<String>; 2],
    ) {
        let traits = match (kind, &candidate) {
            (Kind::Type, Some(candidate)) => Traits::known(candidate),
            _ => Traits::default(),
        };
        let (place, field) = (at.place.clone(), at.field.clone());
        self.push(
            order,
            Difference { place, field, kind, baseline, candidate, traits, note: None },
        );
    }

    /// A name as it may stand in a place.
    pub(super) fn name(&self, name: &[u8]) -> String {
        let shown = looks::shown(name, self.rules);
        show::text("", shown.iter().copied(), "")
    }

    /// Whether the values of what has this name are not shown: `password`, `user[password]`, `data-password`,
    /// `user:password`.
    pub(super) fn hides(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return true };
        let last = name.trim_end_matches([']', '[', '"', '\'']).rsplit(['[', ':', '.']).next();
        let bare = last.unwrap_or_default().trim();
        let hides = |name: &str| self.rules.hides(name);
        hides(name) || hides(bare) || bare.strip_prefix("data-").is_some_and(hides)
    }

    /// Whether copies had one of two texts in the place of the other.
    fn stand_for_each_other(&self, texts: [Option<&[u8]>; 2]) -> bool {
        let [Some(ours), Some(theirs)] = texts else { return false };
        let Some(redaction) = self.rules.looks() else { return false };
        let both = std::str::from_utf8(ours).ok().zip(std::str::from_utf8(theirs).ok());
        ours.len().max(theirs.len()) <= LENGTH_MAX
            && both.is_some_and(|(ours, theirs)| same_looks(redaction, ours, theirs))
    }

    /// Texts as they are shown, and in what they differ where that is hard to see; of a text that is too long to be
    /// shown from where on.
    fn shown(
        &self,
        hidden: bool,
        texts: [Option<&[u8]>; 2],
    ) -> ([Option<String>; 2], Option<String>) {
        if hidden {
            return (texts.map(|text| text.map(|_| MASK.to_owned())), None);
        }
        let [Some(ours), Some(theirs)] = texts else {
            let one = |text: &[u8]| {
                let rest = looks::shown(text, self.rules);
                show::text("\"", rest.iter().copied(), "\"")
            };
            return (texts.map(|text| text.map(one)), None);
        };
        let rest = [ours, theirs].map(|text| looks::shown(text, self.rules));
        let is_whole = rest[0] == ours && rest[1] == theirs;
        let bytes = rest.each_ref().map(|rest| rest.iter().copied());
        let (shown, what) = show::pair("\"", bytes, ["\""; 2]);
        let note = if ours.len().max(theirs.len()) > LENGTH_MAX {
            Some(show::texts(ours, theirs))
        } else {
            what.filter(|_| is_whole).map(str::to_owned)
        };
        (shown.map(Some), note)
    }
}

/// What is wrong where these are.
pub(super) fn kind_of<T>(sides: &[Option<T>; 2]) -> Kind {
    match sides {
        [Some(_), None] => Kind::Missing,
        [None, Some(_)] => Kind::Added,
        _ => Kind::Value,
    }
}
