//! Why a run failed, in words that may be logged: of what was in the traffic nothing is told, only kinds of
//! values, and names that stand in the script.

use std::collections::BTreeSet;
use std::fmt;

use rhai::{Dynamic, EvalAltResult, ImmutableString, Position};

use super::meter::Refusal;

/// What a run failed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The script made a mistake, or gave up.
    Script,
    /// It took more steps than it may.
    Steps,
    /// It took longer than it may.
    Time,
    /// It took more memory than it may.
    Memory,
    /// There was no memory for it.
    NoBudget,
    /// The engine or a function of it failed.
    Panic,
}

/// Why a run failed, and where in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of what.
    pub cause: Cause,
    /// The line, from 1; `None` where it was behind the script's end.
    pub line: Option<usize>,
    /// The place in the line, from 1.
    pub column: Option<usize>,
    /// For people.
    pub reason: String,
}

impl Failure {
    pub(super) fn panic() -> Self {
        Self::new(Cause::Panic, Position::NONE, "a fault of the proxy")
    }

    fn new(cause: Cause, at: Position, reason: impl Into<String>) -> Self {
        Self { cause, line: at.line(), column: at.position(), reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => {
                write!(f, "line {line}, column {column}: {}", self.reason)
            }
            (Some(line), None) => write!(f, "line {line}: {}", self.reason),
            _ => f.write_str(&self.reason),
        }
    }
}

/// What the engine says, as a failure.
pub(super) fn of(error: &EvalAltResult, thrown: &BTreeSet<String>) -> Failure {
    use EvalAltResult as E;
    let at = error.position();
    let (cause, reason) = match error {
        E::ErrorInFunctionCall(_, _, inner, at) => {
            let failure = of(inner, thrown);
            let outer = failure.line.is_none();
            return if outer { Failure::new(failure.cause, *at, failure.reason) } else { failure };
        }
        E::ErrorTooManyOperations(_) => (Cause::Steps, "more steps than a run may take".to_owned()),
        E::ErrorDataTooLarge(what, _) => {
            (Cause::Memory, format!("more than a value may have: {what}"))
        }
        E::ErrorTooManyVariables(_) => (Cause::Memory, "too many variables".to_owned()),
        E::ErrorStackOverflow(_) => {
            (Cause::Memory, "functions in each other, too deeply".to_owned())
        }
        E::ErrorTerminated(value, _) | E::ErrorRuntime(value, _) => said(value, thrown),
        E::ErrorFunctionNotFound(what, _) => {
            (Cause::Script, format!("nothing fits this call: {what}"))
        }
        E::ErrorMismatchDataType(wanted, got, _) | E::ErrorMismatchOutputType(wanted, got, _) => {
            (Cause::Script, format!("{got} where {wanted} is wanted"))
        }
        E::ErrorDotExpr(what, _) => (Cause::Script, what.clone()),
        E::ErrorIndexingType(what, _) => (Cause::Script, format!("no index like this: {what}")),
        E::ErrorVariableNotFound(name, _) => (Cause::Script, format!("no variable {name}")),
        E::ErrorNonPureMethodCallOnConstant(name, _) | E::ErrorAssignmentToConstant(name, _) => {
            (Cause::Script, format!("a constant that would change: {name}"))
        }
        other => (Cause::Script, kind(other).to_owned()),
    };
    Failure::new(cause, at, reason)
}

/// For errors whose text may have values in it.
fn kind(error: &EvalAltResult) -> &'static str {
    use EvalAltResult as E;
    match error {
        E::ErrorArithmetic(..) => {
            "a calculation without a result: an overflow, or a division by zero"
        }
        E::ErrorArrayBounds(..) | E::ErrorStringBounds(..) => "an index beyond the end",
        E::ErrorBitFieldBounds(..) => "an index into a number",
        E::ErrorPropertyNotFound(..) | E::ErrorIndexNotFound(..) => "nothing of this name",
        E::ErrorFor(_) => "`for` goes through lists, ranges and JSON",
        _ => "the script failed",
    }
}

fn said(value: &Dynamic, thrown: &BTreeSet<String>) -> (Cause, String) {
    if let Some(refusal) = value.read_lock::<Refusal>() {
        let (cause, reason) = refused(*refusal);
        return (cause, reason.to_owned());
    }
    let text = value.read_lock::<ImmutableString>().map(|text| text.to_string());
    // What is not written out in the script may be of the traffic.
    match text.filter(|text| thrown.contains(text)) {
        Some(text) => (Cause::Script, format!("it threw: {text}")),
        None => (Cause::Script, "it threw an error".to_owned()),
    }
}

fn refused(refusal: Refusal) -> (Cause, &'static str) {
    match refusal {
        Refusal::Misuse(reason) => (Cause::Script, reason),
        Refusal::Memory => (Cause::Memory, "more memory than a run may take"),
        Refusal::NoBudget => (Cause::NoBudget, "no memory is left for hooks"),
        Refusal::Time => (Cause::Time, "more time than a run may take"),
        Refusal::Dropped => (Cause::Script, "dropped"),
    }
}

/// What was refused when the script had ended.
pub(super) fn at_the_end(refusal: Refusal) -> Failure {
    let (cause, reason) = refused(refusal);
    Failure::new(cause, Position::NONE, reason)
}
