//! `[[transform]]` and `[[secret]]`: what becomes of copies before they go out. As written here; as it is
//! meant in [`transform::steps`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use compare::path::Path;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use regex::{Regex, RegexBuilder};

use super::env::{Env, Scope};
use super::file::{Node, Table, Value};
use super::names::likely;
use super::redaction::{Keyed, Redaction};
use super::values::{self, Parsed};
use crate::plan::Preparations;
use crate::policy::scope::{self, Scoped};
use crate::policy::{CANDIDATE, Candidate, RoutePolicy};
use transform::parts::json::Select;
use transform::redact::Policy;
use transform::steps::{
    self, Action, Change, JsonChange, JsonWhat, Names, Otherwise, Transform, What,
};
use transform::value::{Secret, Template};

/// Each copy may have to take all of them.
pub(super) const TRANSFORMS_MAX: usize = 200;
pub(super) const SECRETS_MAX: usize = 100;
const SECRET_NAME_MAX: usize = 64;
/// Longest secret.
const SECRET_MAX: u64 = 65_536;
const PATTERN_MAX: usize = 1024;
/// Bytes that a regular expression may take.
const REGEX_BYTES: usize = 1 << 20;
/// What a transform does, one of these.
pub(super) const ACTIONS: [&str; 11] = [
    "path_prefix",
    "path",
    "host",
    "method",
    "mark",
    "query",
    "header",
    "cookie",
    "form",
    "json",
    "body",
];
/// The secrets of the file by their names; `None` for one that could not be read, which is told.
type Secrets = HashMap<String, Option<Secret>>;

/// What actions may speak of.
struct Known<'k> {
    secrets: Secrets,
    keyed: &'k Keyed,
}

impl<'a> Env<'a> {
    /// What becomes of copies.
    pub(super) fn preparations(
        &mut self,
        redaction: &Redaction,
        candidates: &[Candidate],
        routes: &[RoutePolicy],
    ) -> Preparations {
        let keyed = &redaction.keyed;
        let redaction = Arc::clone(&redaction.policy);
        let clear = candidates.iter().filter(|it| !it.redacted).map(|it| Arc::clone(&it.name));
        let clear = clear.collect();
        let redaction_place = self.file.and_then(|file| {
            let node = file.root.get("redact")?;
            Some(file.place(node.key.start).into())
        });
        let Some(file) = self.file else {
            return Preparations { redaction, clear, ..Preparations::default() };
        };
        let known = Known { secrets: self.secrets(), keyed };
        let tables = file.root.tables("transform");
        self.at_most(&tables, TRANSFORMS_MAX, "transforms");
        self.unique(&tables, "transform", "transform");
        let mut transforms = Vec::new();
        for (node, table) in tables.into_iter().take(TRANSFORMS_MAX) {
            let place = file.place(node.key.start);
            let id = super::candidates::name(table).map_or_else(|| place.clone(), str::to_owned);
            let of = Scope::of(table, "transform", &id);
            let name = self.read_optional_in(&of.slot("name"), values::visible_name);
            let scope = self.scope_of(&of, candidates, routes);
            let otherwise = self.read_in(&of.slot("otherwise"), |text| match text {
                "unsent" => Ok(Otherwise::Unsent),
                "as_is" => Ok(Otherwise::AsIs),
                _ => Err("is unknown".to_owned()),
            });
            let action = self.action(&of, node.key.clone(), &known);
            if let (Some(name), Some(action)) = (name, action) {
                let what = Arc::new(Transform { name, action, otherwise });
                transforms.push(Scoped { what, scope, place: place.into() });
            }
        }
        let mut secrets: Vec<Secret> = known.secrets.into_values().flatten().collect();
        // One may be a part of another, which is to be hidden first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.length()));
        let redaction = Arc::new(Policy::clone(&redaction).with_secrets(secrets.clone()));
        let identities = self.identities(candidates, routes);
        let hooks = self.hooks(candidates, routes);
        let secrets = secrets.into();
        Preparations { redaction, redaction_place, clear, transforms, secrets, identities, hooks }
    }

    /// There may not be too many of a kind.
    pub(super) fn at_most(&mut self, tables: &[(&'a Node, &'a Table)], most: usize, what: &str) {
        if let Some((node, _)) = tables.get(most) {
            let told = format!("{} {what}; allowed is {most}", tables.len());
            self.tell(node.key.clone(), &told, None);
        }
    }

    /// Which candidates and routes something is for.
    pub(super) fn scope_of(
        &mut self,
        of: &Scope<'a>,
        candidates: &[Candidate],
        routes: &[RoutePolicy],
    ) -> scope::Scope {
        let candidates = match candidates {
            [] => vec![CANDIDATE.into()],
            candidates => candidates.iter().map(|it| Arc::clone(&it.name)).collect(),
        };
        let are_known = self.candidates_are_known();
        let routes: Vec<_> = routes
            .iter()
            .filter(|route| route.is_labelled())
            .map(|route| Arc::clone(&route.id))
            .collect();
        scope::Scope {
            candidates: self.named(of, "candidates", &candidates, are_known, "is no candidate"),
            routes: self.named(of, "routes", &routes, true, "is no name or label of a route"),
        }
    }

    /// Names that must be known.
    fn named(
        &mut self,
        of: &Scope<'a>,
        list: &str,
        known: &[Arc<str>],
        are_known: bool,
        why: &str,
    ) -> Option<Vec<Arc<str>>> {
        let slot = of.slot(list);
        let node = slot.node?;
        let items = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut found = Vec::new();
        for item in items {
            let Value::Text(text) = &item.value else { continue };
            let names: Vec<&str> =
                if list == "candidates" { values::items(text).collect() } else { vec![text] };
            for name in names {
                if let Some(known) = known.iter().find(|known| ***known == *name) {
                    found.push(Arc::clone(known));
                } else if are_known {
                    let allowed = match known {
                        [] => "none, since no route has a name or a label".to_owned(),
                        known => known.join(", "),
                    };
                    let shown = item.shown();
                    let what = format!("{} = {shown}: {why}; allowed is {allowed}", slot.place);
                    let meant = likely(name, known.iter().map(|known| &**known));
                    self.tell(item.span.clone(), &what, meant);
                }
            }
        }
        let shown: Vec<&str> = found.iter().map(|name| &**name).collect();
        self.note_as(of.id_of(list), node.key.start, serde_json::json!(shown));
        Some(found)
    }

    /// What a transform does: exactly one thing.
    fn action(&mut self, of: &Scope<'a>, at: Range<usize>, known: &Known<'_>) -> Option<Action> {
        let table = of.table?;
        let said: Vec<_> = ACTIONS.into_iter().filter(|word| table.get(word).is_some()).collect();
        let [word] = said[..] else {
            let has = if said.is_empty() {
                "does nothing".to_owned()
            } else {
                format!("does {}", said.join(" and "))
            };
            let is_told =
                said.is_empty() && ACTIONS.iter().any(|word| table.removed.contains(word));
            if !is_told {
                let what = format!("transform: {has}; allowed is one of {}", ACTIONS.join(", "));
                self.tell(at, &what, None);
            }
            return None;
        };
        let inner = of.inner(word);
        match word {
            "path_prefix" => {
                let from = self.read_optional_in(&inner.slot("from"), path);
                let to = self.read_optional_in(&inner.slot("to"), path);
                Some(Action::PathPrefix { from: from?, to: to? })
            }
            "path" => {
                let pattern = self.read_optional_in(&inner.slot("regex"), pattern);
                let to = self.read_optional_in(&inner.slot("to"), |text| match &pattern {
                    Some(pattern) => replacement(text, pattern),
                    None => Ok(text.to_owned()),
                });
                Some(Action::Path { pattern: pattern?, to: to? })
            }
            "host" => self.template(of, "host", known, host).map(Action::Host),
            "method" => self.read_optional_in(&of.slot("method"), method).map(Action::Method),
            "mark" => {
                let mark = self.read_optional_in(&of.slot("mark"), values::mark)??;
                Some(Action::Mark(mark.0, mark.1))
            }
            "json" => self.json(&inner, known).map(Action::Json),
            "body" => {
                let text = self.template(&inner, "text", known, |_| Ok(()));
                let content_type = self.read_optional_in(&inner.slot("type"), content_type);
                Some(Action::Body { text: text?, content_type })
            }
            of_names => {
                let change = self.change(&inner, of_names, known)?;
                Some(match of_names {
                    "query" => Action::Query(change),
                    "header" => Action::Header(change),
                    "cookie" => Action::Cookie(change),
                    _ => Action::Form(change),
                })
            }
        }
    }

    fn template(
        &mut self,
        of: &Scope<'a>,
        name: &str,
        known: &Known<'_>,
        check: fn(&Template) -> Parsed<()>,
    ) -> Option<Template> {
        self.read_optional_in(&of.slot(name), |text| {
            let template = Template::parse(text, &mut |name| match known.secrets.get(name) {
                Some(Some(secret)) => Ok(secret.clone()),
                // What is wrong with it is told where it stands.
                Some(None) => Ok(Secret::new(name, "")),
                None => {
                    let names = known.secrets.keys().map(String::as_str);
                    let meant = likely(name, names).map(|it| format!(", perhaps {it:?}"));
                    Err(format!(
                        "has the secret {name:?}, which no [[secret]] has{}",
                        meant.unwrap_or_default()
                    ))
                }
            })?;
            check(&template).map(|()| template)
        })
    }

    /// Exactly one of these words.
    fn one_of(
        &mut self,
        of: &Scope<'a>,
        what: &str,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let table = of.table?;
        let said: Vec<_> = words.iter().filter(|word| table.get(word).is_some()).collect();
        if let [word] = said[..] {
            return Some(word);
        }
        let is_told = said.is_empty() && words.iter().any(|word| table.removed.contains(word));
        if !is_told {
            let has = if said.is_empty() { "has none" } else { "has several" };
            let told = format!("transform.{what}: {has}; allowed is one of {}", words.join(", "));
            let first = table.members.first().map_or(0..0, |(_, node)| node.key.clone());
            self.tell(first, &told, None);
        }
        None
    }

    fn change(&mut self, of: &Scope<'a>, what: &'static str, known: &Known<'_>) -> Option<Change> {
        let which = self.one_of(of, what, &["name", "prefix"]);
        let how = self.one_of(of, what, &["set", "add", "remove", "rename"]);
        let check = move |text: &str| match what {
            "header" => header(text),
            "cookie" => cookie(text),
            _ => Ok(text.to_owned()),
        };
        let check_prefix = move |text: &str| match what {
            "header" | "cookie" if HeaderName::from_bytes(text.as_bytes()).is_err() => {
                Err(format!("is no beginning of the name of a {what}"))
            }
            _ => Ok(text.to_owned()),
        };
        let check_value = match what {
            "header" => in_header,
            "cookie" => in_cookie,
            _ => |_: &Template| Ok(()),
        };
        let names = match which? {
            "name" => self.read_optional_in(&of.slot("name"), check).map(Names::Exact),
            _ => self.read_optional_in(&of.slot("prefix"), check_prefix).map(Names::Prefix),
        };
        let what_becomes = match how? {
            "set" => self.template(of, "set", known, check_value).map(What::Set),
            "add" => {
                if let Some(node) = of.slot("add").node.filter(|_| which == Some("prefix")) {
                    let place = of.slot("add").place;
                    self.bad_node(
                        node,
                        &place,
                        &node.shown(),
                        "is for many names",
                        "name in place of prefix",
                    );
                }
                self.template(of, "add", known, check_value).map(What::Add)
            }
            "remove" => self.read_optional_in(&of.slot("remove"), only_true).map(|()| What::Remove),
            _ => {
                let check = move |text: &str| match which {
                    Some("prefix") => check_prefix(text),
                    _ => check(text),
                };
                self.read_optional_in(&of.slot("rename"), check).map(What::Rename)
            }
        };
        Some(Change { names: names?, what: what_becomes? })
    }

    fn json(&mut self, of: &Scope<'a>, known: &Known<'_>) -> Option<JsonChange> {
        let path = self.read_optional_in(&of.slot("path"), Path::parse);
        let what =
            match self.one_of(of, "json", &["set", "set_json", "remove", "rename", "redact"])? {
                "set" => self.template(of, "set", known, |_| Ok(())).map(JsonWhat::Set),
                "set_json" => {
                    self.read_optional_in(&of.slot("set_json"), json).map(JsonWhat::SetJson)
                }
                "remove" => {
                    self.read_optional_in(&of.slot("remove"), only_true).map(|()| JsonWhat::Remove)
                }
                "redact" => self
                    .read_optional_in(&of.slot("redact"), |text| known.keyed.way(text))
                    .map(JsonWhat::Redact),
                _ => {
                    let is_member = path.as_ref().is_none_or(|path| path.last_name().is_some());
                    let named = move |text: &str| match is_member {
                        true => Ok(text.to_owned()),
                        false => Err("is for a member, and the path has no name".to_owned()),
                    };
                    self.read_optional_in(&of.slot("rename"), named).map(JsonWhat::Rename)
                }
            };
        let path = path?;
        let parent = path.parent().map(|(path, name)| (Select::Path(path), name));
        Some(JsonChange { select: Select::Path(path), parent, what: what? })
    }

    fn secrets(&mut self) -> Secrets {
        let Some(file) = self.file else { return Secrets::default() };
        let tables = file.root.tables("secret");
        self.at_most(&tables, SECRETS_MAX, "secrets");
        self.unique(&tables, "secret", "secret");
        let mut secrets = Secrets::default();
        for (_, table) in tables.into_iter().take(SECRETS_MAX) {
            let Some(name) = super::candidates::name(table) else { continue };
            let of = Scope::of(table, "secret", name);
            self.read_optional_in(&of.slot("name"), secret_name);
            let secret = match self.one_of_secret(&of) {
                Some("file") => self.secret_of_file(&of),
                Some(_) => self.secret_of_env(&of),
                None => None,
            };
            secrets.insert(name.to_owned(), secret.map(|text| Secret::new(name, &text)));
        }
        secrets
    }

    fn one_of_secret(&mut self, of: &Scope<'a>) -> Option<&'static str> {
        let table = of.table?;
        let said = ["file", "env"].into_iter().filter(|word| table.get(word).is_some());
        let said: Vec<_> = said.collect();
        if let [word] = said[..] {
            return Some(word);
        }
        if said.len() > 1 || table.removed.is_empty() {
            let has = if said.is_empty() { "has none" } else { "has several" };
            let at = table.get("name").map_or(0..0, |node| node.key.clone());
            self.tell(at, &format!("secret: {has}; allowed is one of file and env"), None);
        }
        None
    }

    fn secret_of_file(&mut self, of: &Scope<'a>) -> Option<String> {
        let slot = of.slot("file");
        let given = self.given(&slot);
        self.note(&slot, given.as_ref());
        let given = given?;
        let path = self.file?.path(&given.text);
        let read = super::files::bytes(&path, SECRET_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()))
            .and_then(|text| {
                secret(text.strip_suffix('\n').map_or(&*text, |it| it.trim_end_matches('\r')))
            });
        read.map_err(|why| self.bad(&slot, &given, &why)).ok()
    }

    fn secret_of_env(&mut self, of: &Scope<'a>) -> Option<String> {
        let slot = of.slot("env");
        let get = self.get;
        self.read_optional_in(&slot, |name| {
            let value = get(name).ok_or("is not set")?;
            secret(value.to_str().ok_or("is not UTF-8")?)
        })
    }
}

fn secret(text: &str) -> Parsed<String> {
    match text {
        "" => Err("is empty".to_owned()),
        text if text.contains(char::is_control) => Err("has control characters".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn secret_name(text: &str) -> Parsed<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = text.len() <= SECRET_NAME_MAX && text.bytes().all(plain);
    if fits { Ok(()) } else { Err("is no such name".to_owned()) }
}

fn only_true(text: &str) -> Parsed<()> {
    if text == "true" { Ok(()) } else { Err("changes nothing".to_owned()) }
}

fn path(text: &str) -> Parsed<String> {
    let is_path = text.starts_with('/')
        && !text.contains(['?', '#', '{', '}'])
        && text.parse::<PathAndQuery>().is_ok();
    if is_path { Ok(text.to_owned()) } else { Err("is no path".to_owned()) }
}

fn pattern(text: &str) -> Parsed<Regex> {
    if text.len() > PATTERN_MAX {
        return Err(format!("has {} bytes", text.len()));
    }
    let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
    regex.map_err(|error| {
        let text = error.to_string();
        let last = text.trim_end().lines().last().unwrap_or_default();
        format!("is no regular expression ({})", last.trim_start_matches("error: "))
    })
}

/// The groups that a replacement names must be there: others would silently be nothing.
fn replacement(text: &str, pattern: &Regex) -> Parsed<String> {
    let names: Vec<_> = pattern.capture_names().flatten().collect();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let behind = &rest[at + 1..];
        if let Some(behind) = behind.strip_prefix('$') {
            rest = behind;
            continue;
        }
        let (group, end) = match behind.strip_prefix('{') {
            Some(inside) => {
                let end = inside.find('}').ok_or("has a ${ without its }")?;
                (&inside[..end], end + 2)
            }
            None => {
                let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
                let end = behind.find(|c| !is_name(c)).unwrap_or(behind.len());
                (&behind[..end], end)
            }
        };
        let is_there = match group.parse::<usize>() {
            Ok(number) => number < pattern.captures_len(),
            Err(_) => names.contains(&group),
        };
        if !is_there {
            return Err(format!("has the group {group:?}, which the expression has not"));
        }
        rest = &behind[end..];
    }
    // What a request may put in cannot be known, but where there is a group there is something.
    let to = text.replace("$$", "x").replace(['$', '{', '}'], "x");
    let is_path = format!("/{to}").parse::<PathAndQuery>().is_ok() && !to.contains(['?', '#']);
    let is_whole = pattern.as_str().starts_with('^') && !text.starts_with(['/', '$']);
    if is_path && !is_whole { Ok(text.to_owned()) } else { Err("is no path".to_owned()) }
}

fn host(template: &Template) -> Parsed<()> {
    let text: String = template.plain().collect();
    let whole = if template.is_plain() { text } else { text.replace([':', '[', ']'], "") + "x" };
    if steps::is_host(&whole) { Ok(()) } else { Err("is no host".to_owned()) }
}

fn in_header(template: &Template) -> Parsed<()> {
    let fits = template.plain().all(|text| HeaderValue::from_str(text).is_ok());
    if fits { Ok(()) } else { Err("is no value of a header".to_owned()) }
}

fn in_cookie(template: &Template) -> Parsed<()> {
    let fits = in_header(template).is_ok() && template.plain().all(|text| !text.contains(';'));
    if fits { Ok(()) } else { Err("is no value of a cookie".to_owned()) }
}

fn method(text: &str) -> Parsed<Method> {
    match text.parse() {
        Ok(Method::CONNECT) | Err(_) => Err("is no such method".to_owned()),
        Ok(method) => Ok(method),
    }
}

fn content_type(text: &str) -> Parsed<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| text.contains('/'));
    value.ok_or_else(|| "is no content type".to_owned())
}

fn header(text: &str) -> Parsed<String> {
    let name: HeaderName = text.parse().map_err(|_| "is no header name")?;
    if name == HOST {
        return Err("has a transform of its own, host".to_owned());
    }
    if values::NOT_TO_CHANGE.contains(&name) {
        return Err("belongs to the connection, or to how the body is sent".to_owned());
    }
    Ok(name.as_str().to_owned())
}

fn cookie(text: &str) -> Parsed<String> {
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok();
    if is_token { Ok(text.to_owned()) } else { Err("is no name of a cookie".to_owned()) }
}

fn json(text: &str) -> Parsed<String> {
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(text);
    parsed.map(|_| text.to_owned()).map_err(|error| format!("is no JSON ({error})"))
}

#[cfg(test)]
mod tests;
