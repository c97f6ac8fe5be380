//! Hooks: scripts for what declarations cannot say. `pre(copy)` sees a copy before it leaves and may change or
//! drop it; `post(baseline, candidate)` sees both answers before they are compared and may normalise them or
//! give labels.
//!
//! The language is Rhai with none of its packages: what a script may call is in one list (`words`), so that a
//! name that is not there is refused when the script is loaded, and what makes texts, lists and documents asks
//! for the bytes first, which Rhai's own limits do not bound: they are for single values, and know nothing of
//! the keys of maps, of copies of values, and of what functions have caught.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rhai::{AST, CallFnOptions, Dynamic, Engine, Scope};

mod check;
mod failure;
mod json;
mod making;
mod meter;
mod objects;
mod run;
mod value;
mod words;

pub use check::Flaw;
pub use failure::{Cause, Failure};
pub use meter::{Grant, Limits, Over};

use crate::{Answer, CopyRequest};
use meter::{ARRAY_MAX, MAP_MAX, Meter, TEXT_MAX};
use run::{Message, Run, State};

/// Longest script, in bytes.
pub const SCRIPT_MAX: usize = 64 * 1024;
/// Most levels of functions that call each other.
const CALLS_MAX: usize = 12;
/// Most levels of expressions and blocks in each other.
const DEPTH_MAX: usize = 32;
/// Most variables of a function.
const VARIABLES_MAX: usize = 64;
/// After so many steps a run asks for the time.
const STEPS_BETWEEN: u64 = 32;

/// A script that was found good.
pub struct Hook {
    name: String,
    script: AST,
    labels: Arc<[String]>,
    /// What the script throws that is written out in it.
    thrown: BTreeSet<String>,
    /// Where the functions are that it is asked by.
    lines: BTreeMap<&'static str, usize>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The label of the route.
    pub route: &'a str,
    /// The name of the candidate.
    pub candidate: &'a str,
}

/// What becomes of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes out.
    Send,
    /// It does not; the reason is a text of the script.
    Drop(String),
}

/// What a run said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What becomes of the copy.
    pub verdict: Verdict,
    /// The labels that were given, by their index among those that the hook declares.
    pub labels: Vec<usize>,
}

impl Hook {
    /// Reads a script.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(name: &str, source: &str, labels: &[String]) -> Result<Self, Vec<Flaw>> {
        if source.len() > SCRIPT_MAX {
            let reason = format!("a script has at most {} KiB", SCRIPT_MAX / 1024);
            return Err(vec![Flaw { line: 1, column: 1, reason }]);
        }
        let script = engine().compile(source).map_err(|error| vec![Flaw::of(&error)])?;
        let check::Found { thrown, lines } = check::check(&script, source, labels)?;
        Ok(Self { name: name.to_owned(), script, labels: labels.into(), thrown, lines })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The labels that it may give.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether it has something to say of copies.
    pub fn has_pre(&self) -> bool {
        self.lines.contains_key("pre")
    }

    /// Whether it has something to say of answers.
    pub fn has_post(&self) -> bool {
        self.lines.contains_key("post")
    }

    /// Lets `pre` see a copy. After a failure the copy is not to be used any more.
    ///
    /// # Errors
    /// The script failed, or used all that it may.
    pub fn pre(
        &self,
        copy: &mut CopyRequest,
        about: About<'_>,
        limits: Limits,
    ) -> Result<Said, Failure> {
        let message = Message::Copy(std::mem::replace(copy, CopyRequest::nothing()));
        let (run, engine) = self.start(vec![message], about, limits);
        run.state().may_drop = true;
        self.call(&run, engine, "pre", vec![Dynamic::from(objects::Copy::of(&run))])?;
        let mut state = run.state();
        let verdict = state.dropped.take().map_or(Verdict::Send, Verdict::Drop);
        if let Some(Message::Copy(changed)) = state.messages.pop() {
            *copy = changed;
        }
        Ok(Said { verdict, labels: std::mem::take(&mut state.labels) })
    }

    /// Lets `post` see both answers. After a failure they are not to be used any more.
    ///
    /// # Errors
    /// As above.
    pub fn post(
        &self,
        (baseline, candidate): (&mut Answer, &mut Answer),
        about: About<'_>,
        limits: Limits,
    ) -> Result<Said, Failure> {
        let messages = [&mut *baseline, &mut *candidate]
            .map(|answer| Message::Answer(std::mem::replace(answer, Answer::nothing())));
        let (run, engine) = self.start(messages.into(), about, limits);
        let sides = [0, 1].map(|which| Dynamic::from(objects::Answer::of(&run, which)));
        self.call(&run, engine, "post", sides.into())?;
        let mut state = run.state();
        for side in [candidate, baseline] {
            if let Some(Message::Answer(changed)) = state.messages.pop() {
                *side = changed;
            }
        }
        Ok(Said { verdict: Verdict::Send, labels: std::mem::take(&mut state.labels) })
    }

    fn start(&self, messages: Vec<Message>, about: About<'_>, limits: Limits) -> (Run, Engine) {
        let Limits { steps, bytes, over, grant } = limits;
        let mut state = State::new(Meter::new(bytes, grant), messages, Arc::clone(&self.labels));
        about.route.clone_into(&mut state.route);
        about.candidate.clone_into(&mut state.candidate);
        let run = Run::new(state);
        let mut engine = engine();
        // Of 0 the engine would think that any number is meant.
        engine.set_max_operations(steps.max(1));
        engine.set_default_tag(Dynamic::from(run.clone()));
        engine.on_progress(move |steps| {
            let asks = steps % STEPS_BETWEEN == 1;
            (asks && over()).then(|| Dynamic::from(meter::Refusal::Time))
        });
        (run, engine)
    }

    fn call(
        &self,
        run: &Run,
        engine: Engine,
        function: &str,
        arguments: Vec<Dynamic>,
    ) -> Result<(), Failure> {
        // What panics is the engine or ours, and costs the copy and nothing else.
        let called = catch_unwind(AssertUnwindSafe(|| {
            let options = CallFnOptions::new().eval_ast(false);
            let called = engine.call_fn_with_options::<Dynamic>(
                options,
                &mut Scope::new(),
                &self.script,
                function,
                arguments,
            );
            drop(engine);
            called.map(drop)
        }));
        let called = match called {
            Ok(called) => called,
            Err(_) => return Err(Failure::panic()),
        };
        let mut state = run.state();
        if state.dropped.is_some() {
            return Ok(());
        }
        let failed = match called {
            Ok(()) => state.finish().map_err(failure::at_the_end),
            Err(error) => Err(failure::of(&error, &self.thrown)),
        };
        // The engine does not always say where it was.
        failed.map_err(|it| Failure { line: it.line.or(self.lines.get(function).copied()), ..it })
    }
}

/// An engine that knows the words and the bounds.
fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    words::teach(&mut engine);
    engine
        .set_strict_variables(true)
        .set_allow_anonymous_fn(false)
        // The engine's own operators on texts do not ask for memory.
        .set_fast_operators(false)
        .set_max_expr_depths(DEPTH_MAX, DEPTH_MAX)
        .set_max_call_levels(CALLS_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(256)
        .set_max_string_size(TEXT_MAX)
        .set_max_array_size(ARRAY_MAX)
        .set_max_map_size(MAP_MAX);
    engine
}

#[cfg(test)]
mod tests;
