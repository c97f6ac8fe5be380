//! What is looked at when a script is loaded, besides its syntax and its variables, which the engine looks at.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, ParseError, Position, Stmt};

use super::objects::{ANSWER, COPY};
use super::words::WORDS;

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// The line, from 1.
    pub line: usize,
    /// The place in the line, from 1.
    pub column: usize,
    /// What.
    pub reason: String,
}

impl Flaw {
    pub(super) fn of(error: &ParseError) -> Self {
        Self::at(error.position(), error.err_type().to_string())
    }

    fn at(position: Position, reason: String) -> Self {
        let (line, column) = (position.line().unwrap_or(1), position.position().unwrap_or(1));
        Self { line, column, reason }
    }
}

/// What is found in a good script.
pub(super) struct Found {
    pub(super) thrown: BTreeSet<String>,
    /// The lines of those functions that the proxy calls.
    pub(super) lines: BTreeMap<&'static str, usize>,
}

/// The functions that the proxy calls, and what they are given.
const HOOKS: [(&str, &[&str]); 2] = [("pre", &["copy"]), ("post", &["baseline", "candidate"])];

struct Check<'s> {
    source: &'s str,
    labels: &'s [String],
    /// The script's own functions, by name and number of parameters.
    own: BTreeSet<(String, usize)>,
    /// Names of parameters that are surely these objects, and what those have.
    objects: BTreeMap<String, &'static [&'static str]>,
    thrown: BTreeSet<String>,
    /// Where something is put at an index that is not written out.
    open_index: Option<Position>,
    has_maps: bool,
    flaws: Vec<Flaw>,
}

/// Looks at a script.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn check(script: &AST, source: &str, labels: &[String]) -> Result<Found, Vec<Flaw>> {
    let own = script.iter_functions().map(|it| (it.name.to_owned(), it.params.len())).collect();
    let mut check = Check {
        source,
        labels,
        own,
        objects: BTreeMap::new(),
        thrown: BTreeSet::new(),
        open_index: None,
        has_maps: false,
        flaws: Vec::new(),
    };
    if let Some(stmt) = script.statements().first() {
        check.flaw(stmt.position(), "outside functions nothing is run".to_owned());
    }
    let lines: BTreeMap<_, _> = HOOKS
        .into_iter()
        .filter(|(name, given)| check.hook(script, name, given))
        .map(|(name, _)| (name, defined(source, name).0))
        .collect();
    if lines.is_empty() && check.flaws.is_empty() {
        check.flaws.push(Flaw { line: 1, column: 1, reason: NEITHER.to_owned() });
    }
    check.forget_ambiguous(script);
    script.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(node) = path.last() {
            check.node(node);
        }
        true
    });
    if let (Some(at), true) = (check.open_index, check.has_maps) {
        check.flaw(at, OPEN_INDEX.to_owned());
    }
    check.flaws.sort();
    check.flaws.dedup();
    if check.flaws.is_empty() {
        Ok(Found { thrown: check.thrown, lines })
    } else {
        Err(check.flaws)
    }
}

const NEITHER: &str = "neither `fn pre(copy)` nor `fn post(baseline, candidate)` is there";
const OPEN_INDEX: &str = "beside `#{…}` or `catch (name)`, write x.set(index, value) where the index is not \
                          written out";
const INTERPOLATED: &str = "write \"…\" + value; texts with `${…}` are not there";

impl Check<'_> {
    fn flaw(&mut self, at: Position, reason: String) {
        self.flaws.push(Flaw::at(at, reason));
    }

    /// Whether a hook is there; that it takes what it is given.
    fn hook(&mut self, script: &AST, name: &str, given: &[&str]) -> bool {
        let found: Vec<_> = script.iter_functions().filter(|it| it.name == name).collect();
        for function in &found {
            if function.params.len() != given.len() {
                let (line, column) = defined(self.source, name);
                let reason =
                    format!("`{name}` takes {}: fn {name}({})", given.len(), given.join(", "));
                self.flaws.push(Flaw { line, column, reason });
            } else {
                let has = if name == "pre" { COPY } else { ANSWER };
                for param in &function.params {
                    self.objects.insert((*param).to_owned(), has);
                }
            }
        }
        !found.is_empty()
    }

    /// Of names that are something else elsewhere nothing is sure.
    fn forget_ambiguous(&mut self, script: &AST) {
        let hooks = HOOKS.map(|(name, _)| name);
        for function in script.iter_functions() {
            for param in &function.params {
                let has = if function.name == "pre" { COPY } else { ANSWER };
                let is_other = !hooks.contains(&function.name)
                    || self.objects.get(*param).is_some_and(|known| *known != has);
                if is_other {
                    self.objects.remove(*param);
                }
            }
        }
        let objects = &mut self.objects;
        script.walk(&mut |path: &[ASTNode<'_>]| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Var(it, ..))) => drop(objects.remove(it.0.as_str())),
                Some(ASTNode::Stmt(Stmt::For(it, _))) => drop(objects.remove(it.0.as_str())),
                _ => {}
            }
            true
        });
    }

    fn node(&mut self, node: &ASTNode<'_>) {
        match node {
            ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at)) => {
                self.call(call, *at, 0);
            }
            ASTNode::Expr(Expr::MethodCall(call, at)) => self.call(call, *at, 1),
            ASTNode::Expr(Expr::InterpolatedString(_, at)) => {
                self.flaw(*at, INTERPOLATED.to_owned());
            }
            ASTNode::Expr(Expr::Map(..)) => self.has_maps = true,
            ASTNode::Expr(Expr::DynamicConstant(value, _)) if value.is_map() => {
                self.has_maps = true
            }
            ASTNode::Expr(Expr::Dot(dot, ..)) => {
                if let Expr::Variable(name, ..) = &dot.lhs {
                    self.part(&name.1, first(&dot.rhs));
                }
            }
            ASTNode::Stmt(Stmt::TryCatch(it, _)) => {
                self.has_maps |= matches!(it.expr, Expr::Variable(..));
            }
            ASTNode::Stmt(Stmt::Assignment(it)) if has_open_index(&it.1.lhs) => {
                self.open_index.get_or_insert(it.1.lhs.position());
            }
            ASTNode::Stmt(Stmt::Return(Some(value), flags, _))
                if flags.contains(ASTFlags::BREAK) =>
            {
                if let Expr::StringConstant(text, _) = &**value {
                    self.thrown.insert(text.to_string());
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, at: Position, before: usize) {
        if call.op_token.is_some() {
            return;
        }
        let name = call.name.as_str();
        if self.own.iter().any(|(own, params)| own == name && *params == call.args.len()) {
            return;
        }
        let Some(counts) = WORDS.known.get(name) else {
            let own = self.own.iter().map(|(own, _)| own.as_str());
            let known: Vec<_> = WORDS.known.keys().copied().chain(own).collect();
            if known.contains(&name) {
                return self.flaw(at, format!("`{name}` has another number of parameters"));
            }
            let meant = meant(name, known.into_iter());
            return self.flaw(at, format!("there is no function `{name}`{meant}"));
        };
        if !counts.contains(&(call.args.len() + before)) {
            return self.flaw(at, format!("`{name}` has another number of parameters"));
        }
        match (name, call.args.first()) {
            ("drop", Some(Expr::StringConstant(..))) => {}
            ("drop", _) => {
                self.flaw(at, "the reason of a drop is a text that is written out".to_owned())
            }
            ("label", Some(Expr::StringConstant(label, _))) if before == 0 => self.label(label, at),
            ("label", _) => self.flaw(at, "a label is a text that is written out".to_owned()),
            _ => {}
        }
    }

    fn label(&mut self, label: &str, at: Position) {
        if !self.labels.iter().any(|it| *it == label) {
            let meant = meant(label, self.labels.iter().map(String::as_str));
            self.flaw(at, format!("`labels` does not declare \"{label}\"{meant}"));
        }
    }

    /// A part of an object that is known.
    fn part(&mut self, object: &str, part: &Expr) {
        let (Some(has), Expr::Property(it, at)) = (self.objects.get(object), part) else { return };
        let name = it.2.as_str();
        if !has.contains(&name) {
            let meant = meant(name, has.iter().copied());
            self.flaw(*at, format!("`{object}` has no `{name}`{meant}"));
        }
    }
}

/// The first link of a chain.
fn first(chain: &Expr) -> &Expr {
    match chain {
        Expr::Dot(it, ..) | Expr::Index(it, ..) => first(&it.lhs),
        other => other,
    }
}

/// Whether what is assigned to has an index that is neither a number nor a text written out.
fn has_open_index(target: &Expr) -> bool {
    match target {
        Expr::Dot(it, ..) => has_open_index(&it.rhs),
        Expr::Index(it, flags, _) => match &it.rhs {
            _ if flags.contains(ASTFlags::BREAK) => is_open(&it.rhs),
            Expr::Dot(rest, ..) | Expr::Index(rest, ..) => {
                is_open(&rest.lhs) || has_open_index(&it.rhs)
            }
            index => is_open(index),
        },
        _ => false,
    }
}

fn is_open(index: &Expr) -> bool {
    !matches!(index, Expr::StringConstant(..) | Expr::IntegerConstant(..))
}

/// Where a function is defined.
fn defined(source: &str, name: &str) -> (usize, usize) {
    for (index, line) in source.lines().enumerate() {
        if let Some((before, after)) = line.split_once("fn ")
            && after.trim_start().starts_with(name)
        {
            return (index + 1, before.chars().count() + 1);
        }
    }
    (1, 1)
}

/// What a name was probably meant to be.
fn meant<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known.map(|it| (strsim::damerau_levenshtein(name, it), it)).min();
    match near {
        Some((distance, it)) if distance <= 1 + name.chars().count() / 4 => {
            format!("; did you mean `{it}`?")
        }
        _ => String::new(),
    }
}
