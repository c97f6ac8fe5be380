//! Transforms: what a copy becomes, step by step, so that it fits a candidate that lives elsewhere.

use std::sync::Arc;

use compare::Limits;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method};
use regex::Regex;

mod body;
mod head;
mod target;

use crate::CopyRequest;
use crate::parts::Fault;
use crate::parts::json::Select;
use crate::redact::Way;
use crate::value::{About, Template};
use body::Plain;

/// One step, as the settings have it.
#[derive(Clone, Debug)]
pub struct Transform {
    /// What it is called in messages.
    pub name: Arc<str>,
    /// What it does.
    pub action: Action,
    /// What becomes of a copy whose body is not what the action expects.
    pub otherwise: Otherwise,
}

/// What becomes of a copy whose body is not what a step expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// It is not sent: what the step should have taken out would leak.
    #[default]
    Unsent,
    /// The step is left out.
    AsIs,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A path that is `from`, or below it, begins with `to` instead.
    PathPrefix {
        /// Begins with a slash, and does not end with one unless it is one.
        from: String,
        /// The same.
        to: String,
    },
    /// What of the path fits is replaced; `to` may have `$1` and `${name}` of it.
    Path {
        /// What is looked for.
        pattern: Regex,
        /// What stands in its place.
        to: String,
    },
    /// What `Host` says.
    Host(Template),
    /// The method.
    Method(Method),
    /// The header line that marks the copy.
    Mark(HeaderName, HeaderValue),
    /// Parameters of the query.
    Query(Change),
    /// Headers.
    Header(Change),
    /// Cookies.
    Cookie(Change),
    /// Fields of a form, URL-encoded or multipart.
    Form(Change),
    /// Values of a JSON body.
    Json(JsonChange),
    /// The whole body.
    Body {
        /// What it is.
        text: Template,
        /// What `Content-Type` says of it; as before where it is not said.
        content_type: Option<HeaderValue>,
    },
}

/// What is changed of things that have names.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub names: Names,
    /// How.
    pub what: What,
}

/// Names that are meant; of headers without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// This one.
    Exact(String),
    /// All that begin with this.
    Prefix(String),
}

/// What becomes of what has a name.
#[derive(Clone, Debug)]
pub enum What {
    /// It has this value; where there is none of an exact name it is put in.
    Set(Template),
    /// Another one of an exact name is put in.
    Add(Template),
    /// It is taken out.
    Remove,
    /// It has this name; of a prefix, this instead of the prefix.
    Rename(String),
}

/// What is changed of JSON values.
#[derive(Clone, Debug)]
pub struct JsonChange {
    /// Which.
    pub select: Select,
    /// Where a member is set that may not be there: what it would be in, and its name.
    pub parent: Option<(Select, String)>,
    /// How.
    pub what: JsonWhat,
}

/// What becomes of a JSON value.
#[derive(Clone, Debug)]
pub enum JsonWhat {
    /// It is this text.
    Set(Template),
    /// It is this JSON.
    SetJson(String),
    /// It is taken out.
    Remove,
    /// Its member has this name.
    Rename(String),
    /// It is hidden in this way; of a container what is in it.
    Redact(Way),
}

/// A step that could not be taken, so that the copy must not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The name of the step.
    pub step: Arc<str>,
    /// Why not.
    pub fault: Fault,
}

/// What one step did, for those who want to see it.
pub type Watch<'w> = &'w mut dyn FnMut(&Transform, &CopyRequest, Result<(), Fault>);

impl Names {
    /// Whether a name is meant.
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }

    /// The same without regard to the case of ASCII letters.
    fn takes_any_case(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(name),
            Self::Prefix(prefix) => name
                .get(..prefix.len())
                .is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix)),
        }
    }

    /// What is called `name` is called from then on.
    fn renamed(&self, name: &str, to: &str) -> String {
        match self {
            Self::Exact(_) => to.to_owned(),
            Self::Prefix(prefix) => format!("{to}{}", &name[prefix.len()..]),
        }
    }
}

/// Takes all steps, in their order. `watch` is told of the copy behind each.
///
/// # Errors
/// The step that could not be taken; the copy is then in between.
pub fn apply<'t>(
    steps: impl Iterator<Item = &'t Transform>,
    copy: &mut CopyRequest,
    about: &About<'_>,
    limits: &mut Limits<'_>,
    watch: Option<Watch<'_>>,
) -> Result<(), Failed> {
    let mut plain = Plain::default();
    let mut watch = watch;
    for step in steps {
        // Of a step that is left out nothing may be done.
        let before =
            (step.otherwise == Otherwise::AsIs).then(|| (CopyRequest::clone(copy), plain.clone()));
        let done = take(step, copy, &mut plain, about, limits);
        if let (Err(_), Some(before)) = (done, before) {
            (*copy, plain) = before;
        }
        if let Some(watch) = &mut watch {
            // What is shown is the copy as it would go out.
            let mut shown = copy.clone();
            // To be let go of at once: a copy pays for what goes out.
            let mut grant = |_| true;
            let mut free = Limits { max_decoded: limits.max_decoded, grant: &mut grant };
            plain.write(&mut shown, &mut free).ok();
            watch(step, &shown, done);
        }
        match done {
            Err(fault) if step.otherwise == Otherwise::Unsent => {
                return Err(Failed { step: Arc::clone(&step.name), fault });
            }
            Ok(()) | Err(_) => {}
        }
    }
    plain.write(copy, limits).map_err(|fault| Failed { step: "content coding".into(), fault })
}

/// Whether a text may be what `Host` says (RFC 9110 section 7.2): a host, and perhaps a port.
pub fn is_host(text: &str) -> bool {
    let is_plain = !text.is_empty() && !text.contains(['@', '/', '?', '#']);
    let port = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    is_plain
        && text.parse::<Authority>().is_ok_and(|it| !it.host().is_empty())
        && port.is_none_or(|(_, port)| port.is_empty() || port.parse::<u16>().is_ok())
}

fn take(
    step: &Transform,
    copy: &mut CopyRequest,
    plain: &mut Plain,
    about: &About<'_>,
    limits: &mut Limits<'_>,
) -> Result<(), Fault> {
    match &step.action {
        Action::PathPrefix { from, to } => target::prefix(copy, from, to),
        Action::Path { pattern, to } => target::path(copy, pattern, to)?,
        Action::Host(host) => {
            let host = host.fill(copy, about);
            if !is_host(&host) {
                return Err(Fault::Value);
            }
            copy.host = Some(HeaderValue::try_from(host).map_err(|_| Fault::Value)?);
        }
        Action::Method(method) => copy.method = method.clone(),
        Action::Mark(name, value) => {
            copy.headers.insert(name, value.clone());
        }
        Action::Query(change) => target::query(copy, change, about),
        Action::Header(change) => head::headers(copy, change, about)?,
        Action::Cookie(change) => head::cookies(copy, change, about)?,
        Action::Form(change) => plain.form(copy, change, about, limits)?,
        Action::Json(change) => plain.json(copy, change, about, limits)?,
        Action::Body { text, content_type } => {
            plain.replace(copy, text.fill(copy, about), content_type.as_ref(), limits)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
