//! Values between scripts and JSON. A number that neither of a script's kinds of numbers holds exactly stays
//! what it is: a value of a kind of its own, which is only changed on purpose.

use compare::number::equal;
use rhai::{Array, Dynamic, ImmutableString, Map};

use super::json::{Place, Scalar};
use super::meter::{Refusal, TEXT_MAX};
use super::run::{Json, State};
use crate::parts::json::quoted;

/// How deeply arrays and maps of a script may be nested that become JSON.
const DEPTH_MAX: usize = 64;
/// Most digits that rounding looks at.
const DIGITS_MAX: usize = 400;

/// A number that is kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exact(pub(super) ImmutableString);

impl Exact {
    /// The nearest number that a script has.
    pub(super) fn about(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

/// What a scalar is to a script.
pub(super) fn of_scalar(scalar: Scalar) -> Dynamic {
    match scalar {
        Scalar::Null => Dynamic::UNIT,
        Scalar::Bool(is_true) => is_true.into(),
        Scalar::Text(text) => text.into(),
        Scalar::Number(text) => number(&text),
    }
}

/// What a number is to a script, by its JSON text.
pub(super) fn number(text: &str) -> Dynamic {
    if let Ok(whole) = text.parse::<i64>()
        && text != "-0"
    {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && equal(shown(number).as_bytes(), text.as_bytes()) => {
            number.into()
        }
        _ => Dynamic::from(Exact(text.into())),
    }
}

/// A number as JSON has it: the shortest text that means just this number.
fn shown(number: f64) -> String {
    format!("{number:?}")
}

/// The JSON text of a script's value; bytes are taken from the run's.
pub(super) fn written(state: &mut State, value: &Dynamic) -> Result<String, Refusal> {
    let mut out = String::new();
    write(state, value, 0, &mut out)?;
    Ok(out)
}

fn write(
    state: &mut State,
    value: &Dynamic,
    depth: usize,
    out: &mut String,
) -> Result<(), Refusal> {
    if depth > DEPTH_MAX {
        return Err(Refusal::Misuse("a value that is nested too deeply"));
    }
    let before = out.len();
    if value.is_unit() {
        out.push_str("null");
    } else if let Ok(is_true) = value.as_bool() {
        out.push_str(if is_true { "true" } else { "false" });
    } else if let Ok(whole) = value.as_int() {
        out.push_str(&whole.to_string());
    } else if let Ok(number) = value.as_float() {
        if !number.is_finite() {
            return Err(Refusal::Misuse("a number that JSON has not"));
        }
        out.push_str(&shown(number));
    } else if let Some(text) = value.read_lock::<ImmutableString>() {
        state.meter.text(text.len())?;
        out.push_str(&quoted(&text));
    } else if let Ok(letter) = value.as_char() {
        out.push_str(&quoted(letter.encode_utf8(&mut [0; 4])));
    } else if let Some(exact) = value.read_lock::<Exact>() {
        out.push_str(&exact.0);
    } else if let Some(json) = value.read_lock::<Json>() {
        let text = state.docs.text(json.place, &mut state.meter)?;
        out.push_str(&String::from_utf8_lossy(&text));
    } else if let Some(list) = value.read_lock::<Array>() {
        list_of(state, &list, depth, out)?;
    } else if let Some(map) = value.read_lock::<Map>() {
        map_of(state, &map, depth, out)?;
    } else {
        return Err(Refusal::Misuse("a value that JSON has not"));
    }
    state.meter.take(out.len().saturating_sub(before))
}

fn list_of(state: &mut State, list: &Array, depth: usize, out: &mut String) -> Result<(), Refusal> {
    out.push('[');
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(state, item, depth + 1, out)?;
    }
    out.push(']');
    Ok(())
}

fn map_of(state: &mut State, map: &Map, depth: usize, out: &mut String) -> Result<(), Refusal> {
    out.push('{');
    for (index, (key, item)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&quoted(key));
        out.push(':');
        write(state, item, depth + 1, out)?;
    }
    out.push('}');
    Ok(())
}

/// Whether a value is what a scalar says already, so that its spelling may stay.
pub(super) fn is_same(scalar: &Scalar, value: &Dynamic) -> bool {
    match scalar {
        Scalar::Null => value.is_unit(),
        Scalar::Bool(is_true) => value.as_bool() == Ok(*is_true),
        Scalar::Text(text) => value.read_lock::<ImmutableString>().is_some_and(|it| **it == **text),
        Scalar::Number(text) => text_of_number(value)
            .is_some_and(|it| it == *text || equal(it.as_bytes(), text.as_bytes())),
    }
}

/// Whether a value is what stands at a place already. That is so where a script changed something in a value,
/// which the engine then hands back to where it was taken from.
pub(super) fn is_there(state: &mut State, at: Place, value: &Dynamic) -> bool {
    if let Some(json) = value.read_lock::<Json>() {
        return state.docs.now(at) == state.docs.now(json.place);
    }
    let State { docs, meter, .. } = state;
    matches!(docs.scalar(at, meter), Ok(Some(scalar)) if is_same(&scalar, value))
}

/// The body of a message is this from then on.
pub(super) fn set_json(state: &mut State, which: usize, value: &Dynamic) -> Result<(), Refusal> {
    let is_same = match state.json(which)? {
        Some(own) => is_there(state, own, value),
        None => value.is_unit(),
    };
    if is_same {
        return Ok(());
    }
    let text = written(state, value)?;
    state.put_json(which, text)
}

/// The text of a number of any kind.
pub(super) fn text_of_number(value: &Dynamic) -> Option<String> {
    if let Ok(whole) = value.as_int() {
        return Some(whole.to_string());
    }
    if let Ok(number) = value.as_float() {
        return number.is_finite().then(|| shown(number));
    }
    value.read_lock::<Exact>().map(|exact| exact.0.to_string())
}

/// A number with so many digits behind the point, by its decimal digits: halves go away from zero.
pub(super) fn round(value: &Dynamic, digits: i64) -> Result<Dynamic, Refusal> {
    let digits = usize::try_from(digits).ok().filter(|digits| *digits <= 18);
    let digits = digits.ok_or(Refusal::Misuse("digits to round to are 0 to 18"))?;
    let text = text_of_number(value).ok_or(Refusal::Misuse("only numbers can be rounded"))?;
    if value.is_int() {
        return Ok(value.clone());
    }
    let rounded = rounded(&text, digits).ok_or(Refusal::Misuse("a number too long to round"))?;
    // A fraction that happens to be whole is a fraction still.
    match number(&rounded) {
        whole if whole.is_int() && value.is_float() => {
            Ok(whole.as_int().map_or(whole, |it| (it as f64).into()))
        }
        other => Ok(other),
    }
}

/// The decimal of a JSON number, rounded; `None` where it has too many digits.
fn rounded(text: &str, digits: usize) -> Option<String> {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i64>().ok()?;
    let all: Vec<u8> = whole.bytes().chain(part.bytes()).map(|digit| digit - b'0').collect();
    // So many digits are before the point.
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let most = i64::try_from(DIGITS_MAX).ok()?;
    if all.len() > DIGITS_MAX || point.abs() > most {
        return None;
    }
    let kept = point + i64::try_from(digits).ok()?;
    let digit = |at: i64| usize::try_from(at).ok().and_then(|at| all.get(at)).copied().unwrap_or(0);
    let first = point.min(0);
    let mut result: Vec<u8> = (first..kept.max(first)).map(digit).collect();
    let mut carry = digit(kept) >= 5 && kept >= first;
    for place in result.iter_mut().rev() {
        if !carry {
            break;
        }
        *place += 1;
        carry = *place == 10;
        if carry {
            *place = 0;
        }
    }
    if carry {
        result.insert(0, 1);
    }
    let split = result.len().saturating_sub(digits);
    let text =
        |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
    let whole = text(&result[..split]);
    let whole = whole.trim_start_matches('0');
    let missing = digits.saturating_sub(result.len());
    let part = format!("{}{}", "0".repeat(missing), text(&result[split..]));
    let part = part.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && part.is_empty() { "" } else { sign };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// A text within the bound of texts.
pub(super) fn text(state: &mut State, text: String) -> Result<ImmutableString, Refusal> {
    debug_assert!(text.len() <= 4 * TEXT_MAX, "who makes a text asks before");
    state.meter.text(text.len())?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_by_the_decimal_digits() {
        for (text, digits, expected) in [
            ("2.675", 2, "2.68"),
            ("1.005", 2, "1.01"),
            ("-1.005", 2, "-1.01"),
            ("0.004", 2, "0"),
            ("-0.004", 2, "0"),
            ("0.005", 2, "0.01"),
            ("9.999", 2, "10"),
            ("99.5", 0, "100"),
            ("0.5", 0, "1"),
            ("0.49", 0, "0"),
            ("1e2", 2, "100"),
            ("1.25e-1", 2, "0.13"),
            ("12345678901234567890.129", 2, "12345678901234567890.13"),
            ("5e-3", 2, "0.01"),
            ("5e-10", 2, "0"),
            ("10.50", 2, "10.5"),
        ] {
            assert_eq!(rounded(text, digits).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(rounded("1e1000000", 2), None);
    }

    #[test]
    fn a_number_is_of_a_kind_that_holds_it_or_of_its_own() {
        assert!(number("17").is_int() && number("-9223372036854775808").is_int());
        assert!(number("0.1").is_float() && number("1.10").is_float() && number("1e3").is_float());
        for exact in ["9223372036854775808", "0.1000000000000000000001", "1e400", "-0"] {
            let is_exact = number(exact).is::<Exact>();
            // Zero is zero, whatever its sign.
            assert_eq!(is_exact, exact != "-0", "{exact}");
        }
    }
}
