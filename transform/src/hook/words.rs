//! All that a script may call. Rhai's own packages are not there: what is not in this list does not exist, so
//! that a call of it is refused when a script is loaded, and all that makes texts or lists asks first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use rhai::{Array, Dynamic, Engine, ImmutableString, Module, NativeCallContext, Shared};

use super::making::Making;
use super::meter::{ARRAY_MAX, Given, Refusal};
use super::objects;
use super::run::{Json, Run};
use super::value::{self, Exact};

/// Functions by name, and how many arguments each may have, the one before the dot included.
pub(super) struct Words {
    pub(super) module: Shared<Module>,
    pub(super) known: BTreeMap<&'static str, BTreeSet<usize>>,
}

pub(super) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut making = Making::default();
    // The engine itself knows it.
    making.known.entry("type_of").or_default().insert(1);
    verdicts(&mut making);
    numbers(&mut making);
    texts(&mut making);
    joining(&mut making);
    lists(&mut making);
    objects::register(&mut making);
    let Making { mut module, known } = making;
    module.set_iterable::<Array>();
    module.set_iterable::<std::ops::Range<i64>>();
    module.set_iterable::<std::ops::RangeInclusive<i64>>();
    Words { module: module.into(), known }
});

/// Makes all words known to an engine.
pub(super) fn teach(engine: &mut Engine) {
    engine.register_global_module(Shared::clone(&WORDS.module));
    objects::name_types(engine);
}

fn verdicts(to: &mut Making) {
    to.word("drop", |context: NativeCallContext<'_>, reason: ImmutableString| -> Given<()> {
        let run = Run::of(&context)?;
        let mut state = run.state();
        if !state.may_drop {
            return Err(Refusal::Misuse("only `pre` may drop").into());
        }
        state.dropped.get_or_insert_with(|| reason.to_string());
        Err(Refusal::Dropped.into())
    });
    to.word("label", |context: NativeCallContext<'_>, name: ImmutableString| -> Given<()> {
        let run = Run::of(&context)?;
        let mut state = run.state();
        let declared = state.declared.iter().position(|label| **label == *name);
        let index = declared.ok_or(Refusal::Misuse("a label that is not declared"))?;
        if !state.labels.contains(&index) {
            state.labels.push(index);
        }
        Ok(())
    });
}

fn numbers(to: &mut Making) {
    to.word("round", |number: Dynamic, digits: i64| Ok(value::round(&number, digits)?));
    to.word("round", |number: Dynamic| Ok(value::round(&number, 0)?));
    to.word("floor", |number: f64| Ok(number.floor()));
    to.word("ceiling", |number: f64| Ok(number.ceil()));
    to.word("abs", |number: f64| Ok(number.abs()));
    to.word("abs", |number: i64| {
        Ok(number.checked_abs().ok_or(Refusal::Misuse("a number that is too large"))?)
    });
    to.word("min", |a: i64, b: i64| Ok(a.min(b)));
    to.word("min", |a: f64, b: f64| Ok(a.min(b)));
    to.word("max", |a: i64, b: i64| Ok(a.max(b)));
    to.word("max", |a: f64, b: f64| Ok(a.max(b)));
    to.word("to_float", |number: Dynamic| {
        let text = value::text_of_number(&number).ok_or(Refusal::Misuse("no number"))?;
        Ok(text.parse::<f64>().map_err(|_| Refusal::Misuse("no number"))?)
    });
    to.word("to_int", |number: f64| {
        // Beyond these bounds a conversion would not say so.
        let fits = number > i64::MIN as f64 && number < i64::MAX as f64;
        Ok(if fits { number as i64 } else { Err(Refusal::Misuse("a number that is too large"))? })
    });
    to.word("to_int", |number: i64| Ok(number));
    to.word("parse_int", |text: ImmutableString| {
        Ok(text
            .trim()
            .parse::<i64>()
            .map_err(|_| Refusal::Misuse("a text that is no whole number"))?)
    });
    to.word("parse_float", |text: ImmutableString| {
        Ok(text.trim().parse::<f64>().map_err(|_| Refusal::Misuse("a text that is no number"))?)
    });
    to.operator("==", |a: Exact, b: Exact| Ok(a == b));
    to.operator("!=", |a: Exact, b: Exact| Ok(a != b));
    orders(to);
}

/// Without these a comparison with a number of another kind would be false, whatever they are.
fn orders(to: &mut Making) {
    macro_rules! order {
        ($($operator:tt)*) => {$(
            let name = stringify!($operator);
            to.operator(name, |a: Exact, b: Exact| Ok(a.about() $operator b.about()));
            to.operator(name, |a: Exact, b: i64| Ok(a.about() $operator b as f64));
            to.operator(name, |a: i64, b: Exact| Ok((a as f64) $operator b.about()));
            to.operator(name, |a: Exact, b: f64| Ok(a.about() $operator b));
            to.operator(name, |a: f64, b: Exact| Ok(a $operator b.about()));
        )*};
    }
    order!(< <= > >=);
}

/// A text that a function makes: as many bytes as it says are asked for before.
fn made(
    context: &NativeCallContext<'_>,
    bytes: usize,
    make: impl FnOnce() -> String,
) -> Given<ImmutableString> {
    Run::of(context)?.state().meter.text(bytes)?;
    Ok(make().into())
}

fn texts(to: &mut Making) {
    type Text = ImmutableString;
    to.word("len", |text: Text| Ok(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)));
    to.word("is_empty", |text: Text| Ok(text.is_empty()));
    to.word("contains", |text: Text, part: Text| Ok(text.contains(&*part)));
    to.word("contains", |text: Text, letter: char| Ok(text.contains(letter)));
    to.word("starts_with", |text: Text, part: Text| Ok(text.starts_with(&*part)));
    to.word("ends_with", |text: Text, part: Text| Ok(text.ends_with(&*part)));
    to.word("index_of", |text: Text, part: Text| {
        let at = text.find(&*part).map(|at| text[..at].chars().count());
        Ok(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
    });
    parts_of_texts(to);
    changed_texts(to);
}

/// Texts that are made of others.
fn parts_of_texts(to: &mut Making) {
    type Text = ImmutableString;
    to.word("to_upper", |context: NativeCallContext<'_>, text: Text| {
        made(&context, 3 * text.len(), || text.to_uppercase())
    });
    to.word("to_lower", |context: NativeCallContext<'_>, text: Text| {
        made(&context, 3 * text.len(), || text.to_lowercase())
    });
    to.word("sub_string", |context: NativeCallContext<'_>, text: Text, from: i64, length: i64| {
        let (Ok(from), Ok(length)) = (usize::try_from(from), usize::try_from(length)) else {
            return Err(Refusal::Misuse("a part that begins before its text").into());
        };
        made(&context, text.len(), || text.chars().skip(from).take(length).collect())
    });
    to.word("sub_string", |context: NativeCallContext<'_>, text: Text, from: i64| {
        let from = usize::try_from(from)
            .map_err(|_| Refusal::Misuse("a part that begins before its text"))?;
        made(&context, text.len(), || text.chars().skip(from).collect())
    });
}

/// What changes a text in its place, and what makes one of another value.
fn changed_texts(to: &mut Making) {
    type Text = ImmutableString;
    to.word("trim", |context: NativeCallContext<'_>, text: &mut Text| -> Given<()> {
        *text = made(&context, text.len(), || text.trim().to_owned())?;
        Ok(())
    });
    to.word(
        "replace",
        |context: NativeCallContext<'_>, text: &mut Text, from: Text, with: Text| -> Given<()> {
            let count = text.matches(&*from).count();
            let bytes = text.len().saturating_add(count.saturating_mul(with.len()));
            *text = made(&context, bytes, || text.replace(&*from, &with))?;
            Ok(())
        },
    );
    to.word("split", |context: NativeCallContext<'_>, text: Text, by: Text| -> Given<Array> {
        let count = text.matches(&*by).count() + 1;
        if count > ARRAY_MAX {
            return Err(Refusal::Misuse("a list of more than 2048").into());
        }
        let bytes = text.len() + count * size_of::<ImmutableString>() * 2;
        Run::of(&context)?.state().meter.text(bytes)?;
        Ok(text.split(&*by).map(|part| Dynamic::from(part.to_owned())).collect())
    });
    to.word("to_string", |context: NativeCallContext<'_>, it: Dynamic| -> Given<Text> {
        let run = Run::of(&context)?;
        let mut state = run.state();
        if let Some(text) = it.read_lock::<ImmutableString>() {
            return Ok(text.clone());
        }
        if let Ok(letter) = it.as_char() {
            return Ok(letter.to_string().into());
        }
        let text = value::written(&mut state, &it)?;
        Ok(value::text(&mut state, text)?)
    });
}

/// Texts, and what is put to them.
fn joining(to: &mut Making) {
    type Text = ImmutableString;
    fn plus(context: &NativeCallContext<'_>, a: &str, b: &str) -> Given<ImmutableString> {
        made(context, a.len() + b.len(), || [a, b].concat())
    }
    to.operator("+", |context: NativeCallContext<'_>, a: Text, b: Text| plus(&context, &a, &b));
    to.operator("+", |context: NativeCallContext<'_>, a: Text, b: char| {
        plus(&context, &a, b.encode_utf8(&mut [0; 4]))
    });
    to.operator("+", |context: NativeCallContext<'_>, a: char, b: Text| {
        plus(&context, a.encode_utf8(&mut [0; 4]), &b)
    });
    to.operator("+", |context: NativeCallContext<'_>, a: Text, b: i64| {
        plus(&context, &a, &b.to_string())
    });
    to.operator("+", |context: NativeCallContext<'_>, a: i64, b: Text| {
        plus(&context, &a.to_string(), &b)
    });
    to.operator("+", |context: NativeCallContext<'_>, a: Text, b: f64| {
        plus(&context, &a, &format!("{b:?}"))
    });
    to.operator("+", |context: NativeCallContext<'_>, a: f64, b: Text| {
        plus(&context, &format!("{a:?}"), &b)
    });
    to.operator("+", |context: NativeCallContext<'_>, a: Text, b: Exact| plus(&context, &a, &b.0));
    to.operator("+", |context: NativeCallContext<'_>, a: Exact, b: Text| plus(&context, &a.0, &b));
    to.operator("+=", |context: NativeCallContext<'_>, a: &mut Text, b: Text| -> Given<()> {
        *a = plus(&context, a, &b)?;
        Ok(())
    });
    to.operator("+=", |context: NativeCallContext<'_>, a: &mut Text, b: char| -> Given<()> {
        *a = plus(&context, a, b.encode_utf8(&mut [0; 4]))?;
        Ok(())
    });
    to.operator("-", |_: Text, _: Text| -> Given<()> { Err(Refusal::Misuse(NO_MINUS).into()) });
    to.operator("-", |_: Text, _: char| -> Given<()> { Err(Refusal::Misuse(NO_MINUS).into()) });
}

const NO_MINUS: &str = "a text from which something is subtracted";

fn lists(to: &mut Making) {
    to.word("len", |list: &mut Array| Ok(i64::try_from(list.len()).unwrap_or(i64::MAX)));
    to.word("is_empty", |list: &mut Array| Ok(list.is_empty()));
    to.word(
        "push",
        |context: NativeCallContext<'_>, list: &mut Array, item: Dynamic| -> Given<()> {
            if list.len() >= ARRAY_MAX {
                return Err(Refusal::Misuse("a list of more than 2048").into());
            }
            Run::of(&context)?.state().meter.take(2 * size_of::<Dynamic>())?;
            list.push(item);
            Ok(())
        },
    );
    to.word("pop", |list: &mut Array| Ok(list.pop().unwrap_or_default()));
    to.word(
        "contains",
        |context: NativeCallContext<'_>, list: &mut Array, item: Dynamic| -> Given<bool> {
            let run = Run::of(&context)?;
            let mut state = run.state();
            let wanted = value::written(&mut state, &item)?;
            for it in list.iter() {
                if !it.is::<Json>() && value::written(&mut state, it)? == wanted {
                    return Ok(true);
                }
            }
            Ok(false)
        },
    );
    to.word("join", |context: NativeCallContext<'_>, list: &mut Array, with: ImmutableString| {
        let texts: Option<Vec<_>> = list
            .iter()
            .map(|it| it.read_lock::<ImmutableString>().map(|text| text.clone()))
            .collect();
        let texts = texts.ok_or(Refusal::Misuse("a list that has more than texts"))?;
        let bytes = texts.iter().map(|text| text.len() + with.len()).sum();
        made(&context, bytes, || {
            texts.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(&with)
        })
    });
}
