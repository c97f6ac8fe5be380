//! Values of JSON documents.

use rhai::{Array, Dynamic, ImmutableString, NativeCallContext};

use compare::json::Kind;

use crate::hook::json::Place;
use crate::hook::making::Making;
use crate::hook::meter::{Given, Refusal};
use crate::hook::run::{Json, Run, State};
use crate::hook::value;

type Text = ImmutableString;

const NO_OBJECT: Refusal = Refusal::Misuse("no object");
const NO_ARRAY: Refusal = Refusal::Misuse("no array");
const BEYOND: Refusal = Refusal::Misuse("an index beyond the array");

pub(super) fn register(to: &mut Making) {
    to.module.set_indexer_get_fn(|json: &mut Json, name: Text| json.member(&name));
    to.module.set_indexer_get_fn(|json: &mut Json, index: i64| json.element(index));
    to.module.set_indexer_set_fn(|json: &mut Json, name: Text, value: Dynamic| {
        json.set_member(&name, &value)
    });
    to.module.set_indexer_set_fn(|json: &mut Json, index: i64, value: Dynamic| {
        json.set_element(index, &value)
    });
    to.word("set", |json: &mut Json, name: Text, value: Dynamic| json.set_member(&name, &value));
    to.word("set", |json: &mut Json, index: i64, value: Dynamic| json.set_element(index, &value));
    looking(to);
    changing(to);
    let of = |json: Dynamic| -> Box<dyn Iterator<Item = Given<Dynamic>>> {
        let Some(json) = json.try_cast::<Json>() else { return Box::new(std::iter::empty()) };
        let values = json.values();
        match values {
            Ok(values) => Box::new(values.into_iter().map(move |place| json.at(place))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    };
    to.module.set_iter_result(std::any::TypeId::of::<Json>(), of);
    to.module.set_native_fn("==", |a: Json, b: Json| a.equals(&b));
    to.module.set_native_fn("!=", |a: Json, b: Json| a.equals(&b).map(|is| !is));
}

fn looking(to: &mut Making) {
    to.word("len", |json: &mut Json| {
        Ok(i64::try_from(json.run.state().docs.count(json.place)).unwrap_or(i64::MAX))
    });
    to.word("is_object", |json: &mut Json| Ok(json.kind() == Kind::Object));
    to.word("is_array", |json: &mut Json| Ok(json.kind() == Kind::Array));
    to.word("contains", |json: &mut Json, name: Text| {
        Ok(json.run.state().docs.member(json.place, &name).is_some())
    });
    to.word("keys", |json: &mut Json| -> Given<Array> {
        let mut state = json.run.state();
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.keys(json.place, meter)?.into_iter().map(Dynamic::from).collect())
    });
    to.word("parse_json", |context: NativeCallContext<'_>, text: Text| -> Given<Dynamic> {
        let run = Run::of(&context)?;
        let mut state = run.state();
        let State { docs, meter, .. } = &mut *state;
        meter.text(text.len())?;
        let place = docs.add(text.to_string().into(), meter)?;
        let place = place.ok_or(Refusal::Misuse("a text that is no JSON"))?;
        Json::read(&run, &mut state, place)
    });
}

fn changing(to: &mut Making) {
    to.word("remove", |json: &mut Json, name: Text| -> Given<bool> {
        json.is(Kind::Object, NO_OBJECT)?;
        let mut state = json.run.state();
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.remove_member(json.place, &name, meter)?)
    });
    to.word("remove", |json: &mut Json, index: i64| -> Given<bool> {
        json.is(Kind::Array, NO_ARRAY)?;
        let mut state = json.run.state();
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.remove_element(json.place, index, meter)?)
    });
    to.word("rename", |json: &mut Json, from: Text, to: Text| -> Given<bool> {
        json.is(Kind::Object, NO_OBJECT)?;
        let mut state = json.run.state();
        let State { docs, meter, .. } = &mut *state;
        meter.text(to.len())?;
        Ok(docs.rename(json.place, &from, &to, meter)?)
    });
    to.word("push", |json: &mut Json, value: Dynamic| -> Given<()> {
        let at = json.run.state().docs.count(json.place);
        json.insert(at, &value)
    });
    to.word("insert", |json: &mut Json, index: i64, value: Dynamic| -> Given<()> {
        json.insert(usize::try_from(index).map_err(|_| BEYOND)?, &value)
    });
}

impl Json {
    /// What stands at a place, as a script sees it.
    pub(in crate::hook) fn read(run: &Run, state: &mut State, place: Place) -> Given<Dynamic> {
        let State { docs, meter, .. } = state;
        Ok(match docs.scalar(place, meter)? {
            Some(scalar) => value::of_scalar(scalar),
            None => Dynamic::from(Self { run: run.clone(), place }),
        })
    }

    fn at(&self, place: Place) -> Given<Dynamic> {
        Self::read(&self.run, &mut self.run.state(), place)
    }

    fn kind(&self) -> Kind {
        self.run.state().docs.kind(self.place)
    }

    fn is(&self, kind: Kind, otherwise: Refusal) -> Result<(), Refusal> {
        if self.kind() == kind { Ok(()) } else { Err(otherwise) }
    }

    fn member(&self, name: &str) -> Given<Dynamic> {
        self.is(Kind::Object, NO_OBJECT)?;
        let place = self.run.state().docs.member(self.place, name);
        place.map_or(Ok(Dynamic::UNIT), |place| self.at(place))
    }

    fn element(&self, index: i64) -> Given<Dynamic> {
        self.is(Kind::Array, NO_ARRAY)?;
        let place = self.run.state().docs.element(self.place, index);
        self.at(place.ok_or(BEYOND)?)
    }

    fn values(&self) -> Given<Vec<Place>> {
        let mut state = self.run.state();
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.values(self.place, meter)?)
    }

    fn set_member(&self, name: &str, value: &Dynamic) -> Given<()> {
        self.is(Kind::Object, NO_OBJECT)?;
        let mut state = self.run.state();
        let at = state.docs.member(self.place, name);
        if at.is_some_and(|at| value::is_there(&mut state, at, value)) {
            return Ok(());
        }
        let made = made(&mut state, value)?;
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.set_member(self.place, name, made, meter)?)
    }

    fn set_element(&self, index: i64, value: &Dynamic) -> Given<()> {
        self.is(Kind::Array, NO_ARRAY)?;
        let mut state = self.run.state();
        let at = state.docs.element(self.place, index).ok_or(BEYOND)?;
        if value::is_there(&mut state, at, value) {
            return Ok(());
        }
        let made = made(&mut state, value)?;
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.set(at, made, meter)?)
    }

    fn insert(&self, index: usize, value: &Dynamic) -> Given<()> {
        self.is(Kind::Array, NO_ARRAY)?;
        let mut state = self.run.state();
        let made = made(&mut state, value)?;
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.insert(self.place, index, made, meter)?)
    }

    /// Whether both are written alike.
    fn equals(&self, other: &Self) -> Given<bool> {
        let mut state = self.run.state();
        let State { docs, meter, .. } = &mut *state;
        Ok(docs.text(self.place, meter)? == docs.text(other.place, meter)?)
    }
}

/// A document of a value.
fn made(state: &mut State, value: &Dynamic) -> Given<Place> {
    let text = value::written(state, value)?;
    let State { docs, meter, .. } = state;
    Ok(docs.made(text, meter)?)
}
