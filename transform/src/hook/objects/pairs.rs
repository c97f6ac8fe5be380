//! Parameters of the query, and cookies.

use rhai::{Array, Dynamic, ImmutableString};

use super::messages::is_query;
use super::{Cookies, Query};
use crate::CopyRequest;
use crate::hook::making::Making;
use crate::hook::meter::{Given, Refusal};
use crate::parts::{cookies, pairs};
use pairs::Edit;

type Text = ImmutableString;

pub(super) fn register(to: &mut Making) {
    query(to);
    of_cookies(to);
}

fn query(to: &mut Making) {
    to.module.set_indexer_get_fn(|query: &mut Query, name: Text| query.value(&name));
    to.module.set_indexer_set_fn(|query: &mut Query, name: Text, value: Dynamic| {
        query.set(&name, &value)
    });
    to.module.set_getter_fn("text", |query: &mut Query| -> Given<Dynamic> {
        let text = query.0.with(|copy| copy.query.clone())?;
        let Some(text) = text else { return Ok(Dynamic::UNIT) };
        query.0.run.state().meter.text(text.len())?;
        Ok(text.into())
    });
    to.word("set", |query: &mut Query, name: Text, value: Dynamic| query.set(&name, &value));
    to.word("add", |query: &mut Query, name: Text, value: Text| query.add(&name, &value));
    to.word("remove", |query: &mut Query, name: Text| query.set(&name, &Dynamic::UNIT));
    to.word("contains", |query: &mut Query, name: Text| Ok(query.value(&name)?.is_string()));
    to.word("names", |query: &mut Query| -> Given<Array> {
        let text = query.0.with(|copy| copy.query.clone().unwrap_or_default())?;
        query.0.run.state().meter.text(text.len())?;
        Ok(pairs::pairs(&text).map(|(name, _)| Dynamic::from(name.into_owned())).collect())
    });
}

fn of_cookies(to: &mut Making) {
    to.module.set_indexer_get_fn(|cookies: &mut Cookies, name: Text| cookies.value(&name));
    to.module.set_indexer_set_fn(|cookies: &mut Cookies, name: Text, value: Dynamic| {
        cookies.set(&name, &value)
    });
    to.word("set", |cookies: &mut Cookies, name: Text, value: Dynamic| cookies.set(&name, &value));
    to.word("remove", |cookies: &mut Cookies, name: Text| cookies.set(&name, &Dynamic::UNIT));
    to.word("contains", |cookies: &mut Cookies, name: Text| Ok(cookies.value(&name)?.is_string()));
    to.word("names", |it: &mut Cookies| -> Given<Array> {
        let names: Vec<String> = it.0.with(|copy| {
            cookies::cookies(&copy.headers).map(|(name, _)| name.to_owned()).collect()
        })?;
        it.0.run.state().meter.text(names.iter().map(String::len).sum())?;
        Ok(names.into_iter().map(Dynamic::from).collect())
    });
}

/// The text that is set, or that the pair goes; anything else is refused.
fn text_of(value: &Dynamic) -> Result<Option<ImmutableString>, Refusal> {
    if value.is_unit() {
        return Ok(None);
    }
    let text = value.read_lock::<ImmutableString>().map(|text| text.clone());
    text.map(Some).ok_or(Refusal::Misuse("a value here is a text"))
}

/// What becomes of the pairs of a name: the first has the value, and the others go.
fn first_of<'v>(
    name: &'v str,
    value: Option<&'v str>,
    found: &'v mut bool,
) -> impl FnMut(&str) -> Edit {
    move |own: &str| {
        if own != name {
            return Edit::Keep;
        }
        match value.filter(|_| !std::mem::replace(found, true)) {
            Some(value) => Edit::Value(value.to_owned()),
            None => Edit::Remove,
        }
    }
}

impl Query {
    fn value(&self, name: &str) -> Given<Dynamic> {
        let read = |copy: &mut CopyRequest| {
            let query = copy.query.as_deref().unwrap_or_default();
            pairs::value(query, name).map(std::borrow::Cow::into_owned)
        };
        let Some(value) = self.0.with(read)? else { return Ok(Dynamic::UNIT) };
        self.0.run.state().meter.text(value.len())?;
        Ok(value.into())
    }

    fn set(&self, name: &str, value: &Dynamic) -> Given<()> {
        let value = text_of(value)?;
        self.change(name.len() + value.as_ref().map_or(0, |it| it.len()), |query| {
            let mut found = false;
            let mut edit = first_of(name, value.as_deref(), &mut found);
            let changed = pairs::rewrite(query, &mut |own, _| edit(own)).into_owned();
            drop(edit);
            match &value {
                Some(value) if !found => pairs::with(&changed, name, value),
                _ => changed,
            }
        })
    }

    fn add(&self, name: &str, value: &str) -> Given<()> {
        self.change(name.len() + value.len(), |query| pairs::with(query, name, value))
    }

    fn change(&self, bytes: usize, change: impl FnOnce(&str) -> String) -> Given<()> {
        let query = self.0.with(|copy| copy.query.clone())?;
        let before = query.clone().unwrap_or_default();
        // Each byte may become three.
        self.0.run.state().meter.text(before.len() + 3 * bytes)?;
        let changed = change(&before);
        if !is_query(&changed) {
            return Err(Refusal::Misuse("a query that is none").into());
        }
        let changed = (query.is_some() || !changed.is_empty()).then_some(changed);
        self.0.with(|copy| copy.query = changed)
    }
}

impl Cookies {
    fn value(&self, name: &str) -> Given<Dynamic> {
        let value = self.0.with(|copy| cookies::value(&copy.headers, name).map(str::to_owned))?;
        let Some(value) = value else { return Ok(Dynamic::UNIT) };
        self.0.run.state().meter.text(value.len())?;
        Ok(value.into())
    }

    fn set(&self, name: &str, value: &Dynamic) -> Given<()> {
        let value = text_of(value)?;
        let bytes = name.len() + value.as_ref().map_or(0, |it| it.len());
        self.0.run.state().meter.text(bytes + 64)?;
        let fits = self.0.with(|copy| {
            let mut found = false;
            let mut edit = first_of(name, value.as_deref(), &mut found);
            let fits = cookies::rewrite(&mut copy.headers, &mut |own, _| edit(own));
            drop(edit);
            match &value {
                Some(value) if !found => fits && cookies::add(&mut copy.headers, name, value),
                _ => fits,
            }
        })?;
        if fits { Ok(()) } else { Err(Refusal::Misuse("a cookie that is none").into()) }
    }
}
