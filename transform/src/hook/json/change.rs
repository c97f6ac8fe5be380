//! Changes of documents.

use super::{Change, Docs, Key, Member, Place};
use crate::hook::meter::{Meter, Refusal};

impl Docs {
    /// Another document stands at a place.
    pub(in crate::hook) fn set(
        &mut self,
        at: Place,
        value: Place,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        self.put(at, Change::Value(value.doc), meter)
    }

    /// Sets a member, which is put at the end where it is not there.
    pub(in crate::hook) fn set_member(
        &mut self,
        place: Place,
        name: &str,
        value: Place,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        let doc = self.now(place).doc;
        let is_it = |(key, it, _): &(_, _, _)| self.is_named(doc, (*key, *it), name);
        match self.members(place).filter(is_it).count() {
            0 => {
                let key = Key::New(name.to_owned());
                meter.take(name.len())?;
                self.list(place, meter)?.push(Member { key, value });
                Ok(())
            }
            more => {
                if more > 1 {
                    self.keep(
                        place,
                        meter,
                        |index, is_it, last| !is_it || Some(index) == last,
                        name,
                    )?;
                }
                let at = self.member(place, name).expect("it was there a moment ago");
                self.set(at, value, meter)
            }
        }
    }

    /// Takes a member out, wherever it is; whether it was there.
    pub(in crate::hook) fn remove_member(
        &mut self,
        place: Place,
        name: &str,
        meter: &mut Meter,
    ) -> Result<bool, Refusal> {
        if self.member(place, name).is_none() {
            return Ok(false);
        }
        self.keep(place, meter, |_, is_it, _| !is_it, name)?;
        Ok(true)
    }

    /// Keeps those members of which this is true: told the index, whether it has the name, and the index of the
    /// last that has it.
    fn keep(
        &mut self,
        place: Place,
        meter: &mut Meter,
        stays: impl Fn(usize, bool, Option<usize>) -> bool,
        name: &str,
    ) -> Result<(), Refusal> {
        let doc = self.now(place).doc;
        meter.take(self.count(place))?;
        let named: Vec<_> =
            self.members(place).map(|(key, it, _)| self.is_named(doc, (key, it), name)).collect();
        let last = named.iter().rposition(|is_it| *is_it);
        let mut index = 0;
        self.list(place, meter)?.retain(|_| {
            index += 1;
            stays(index - 1, named[index - 1], last)
        });
        Ok(())
    }

    /// Gives a member another name, in its place; another that had it is gone. Whether it was there.
    pub(in crate::hook) fn rename(
        &mut self,
        place: Place,
        from: &str,
        to: &str,
        meter: &mut Meter,
    ) -> Result<bool, Refusal> {
        if self.member(place, from).is_none() {
            return Ok(false);
        }
        if from == to {
            return Ok(true);
        }
        self.remove_member(place, to, meter)?;
        let at = self.now(place);
        let named = |(key, it, _): &(_, _, _)| self.is_named(at.doc, (*key, *it), from);
        let indices: Vec<_> =
            self.members(place).enumerate().filter(|(_, it)| named(it)).map(|(at, _)| at).collect();
        for index in indices {
            meter.take(to.len())?;
            let (key, ..) = self.members(place).nth(index).expect("it was there a moment ago");
            match key {
                Some(node) => {
                    self.put(Place { doc: at.doc, node }, Change::Key(to.to_owned()), meter)?;
                }
                None => self.list(place, meter)?[index].key = Key::New(to.to_owned()),
            }
        }
        Ok(true)
    }

    /// Puts an element at an index, which is at most the number of elements.
    pub(in crate::hook) fn insert(
        &mut self,
        place: Place,
        index: usize,
        value: Place,
        meter: &mut Meter,
    ) -> Result<(), Refusal> {
        let list = self.list(place, meter)?;
        if index > list.len() {
            return Err(Refusal::Misuse("an index beyond the array"));
        }
        list.insert(index, Member { key: Key::None, value });
        Ok(())
    }

    /// Takes an element out; whether it was there.
    pub(in crate::hook) fn remove_element(
        &mut self,
        place: Place,
        index: i64,
        meter: &mut Meter,
    ) -> Result<bool, Refusal> {
        let count = self.count(place);
        let index = match usize::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => {
                count.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX))
            }
        };
        let Some(index) = index.filter(|index| *index < count) else { return Ok(false) };
        self.list(place, meter)?.remove(index);
        Ok(true)
    }

    /// The container as a list of its own.
    fn list(&mut self, place: Place, meter: &mut Meter) -> Result<&mut Vec<Member>, Refusal> {
        let place = self.now(place);
        let count = self.count(place);
        if !matches!(self.change(place), Some(Change::Members(_))) {
            meter.take(2 * (count + 1) * size_of::<Member>())?;
            let key = |key: Option<u32>| key.map_or(Key::None, Key::Same);
            let member = |(node, _, value)| Member { key: key(node), value };
            let list = self.members(place).map(member).collect();
            self.put(place, Change::Members(list), meter)?;
        }
        match self.0[place.doc as usize].changes.get_mut(&place.node) {
            Some(Change::Members(list)) => {
                if list.len() == list.capacity() {
                    meter.take(list.len().max(4) * size_of::<Member>())?;
                }
                Ok(list)
            }
            _ => Err(Refusal::Misuse("no array and no object")),
        }
    }
}
