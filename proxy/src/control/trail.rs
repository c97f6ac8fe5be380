//! What the audit log is told of requests to the control endpoints: who did what, or was refused and why,
//! and who was shown values of traffic. Of a request its names are recorded and what stands behind those
//! that are known, never a token.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::access::{Bearer, Class, Sight};
use crate::audit::cut;
use crate::headers::Peer;
use crate::steer::Steer;

/// What a query may say, of all endpoints.
const PARAMETERS: [&str; 5] = ["candidate", "route", "against", "identity", "id"];

/// In place of a token's name: it is not known. No name has an apostrophe in it.
const NOBODYS: &str = "nobody's";

/// Beside an answer: why there is no other. The same is told to whoever asked.
#[derive(Clone, Debug)]
pub(super) struct Why(pub(super) String);

/// Beside an answer: what the request said in its body.
#[derive(Clone, Debug)]
pub(super) struct Said(pub(super) Value);

/// Beside an answer: values of traffic are in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShowsValues;

/// Beside an answer of an endpoint that shows values of traffic: in this one there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShowsNone;

/// Beside an answer: who asked was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct LetIn {
    pub(super) class: Class,
    pub(super) sight: Sight,
}

/// Records a request once it is answered, where it is one that is to be recorded.
pub(super) async fn record(
    Shared(steer): Shared<Arc<Steer>>,
    request: Request,
    next: Next,
) -> Response {
    if !steer.audit().is_on() {
        return next.run(request).await;
    }
    let mut asked = Asked::new(&steer, &request);
    let answer = next.run(request).await;
    asked.answered(&answer);
    answer
}

/// A request that is under way; recorded when it is dropped, since a client may leave before the answer.
struct Asked {
    steer: Arc<Steer>,
    about: Map<String, Value>,
    /// Who sent no token that is known.
    is_stranger: bool,
    /// How it is to be recorded.
    as_what: As,
}

enum As {
    Nothing,
    Done,
    /// By a stranger, of whom there may be any number.
    Refused,
    ValuesRead,
}

impl Asked {
    fn new(steer: &Arc<Steer>, request: &Request) -> Self {
        let peer = request.extensions().get::<Peer>();
        let mut about = Map::new();
        let mut put = |name: &str, value: Value| about.insert(name.to_owned(), value);
        let token = token(steer, request.headers());
        let is_stranger = matches!(token.as_str(), None | Some(NOBODYS));
        put("token", token);
        put("address", peer.map_or(Value::Null, |peer| peer.ip().to_string().into()));
        put("method", cut(request.method().as_str()).into());
        put("path", cut(request.uri().path()).into());
        put("parameters", parameters(request.uri()));
        put("status", Value::Null);
        put("why", "the client left before the answer".into());
        // Until it is known better: what changes something may have done so already.
        let as_what = if is_read(request.method()) { As::Nothing } else { As::Done };
        Self { steer: Arc::clone(steer), about, is_stranger, as_what }
    }

    fn answered(&mut self, answer: &Response) {
        let beside = answer.extensions();
        self.about.insert("status".to_owned(), answer.status().as_u16().into());
        match beside.get::<Why>() {
            Some(Why(why)) => self.about.insert("why".to_owned(), cut(why).into()),
            None => self.about.remove("why"),
        };
        if let Some(Said(said)) = beside.get() {
            self.about.insert("parameters".to_owned(), said.clone());
        }
        self.as_what = match (&self.as_what, beside.get::<LetIn>()) {
            (As::Nothing, let_in) => {
                let by_class =
                    let_in.is_some_and(|it| it.class == Class::Values && it.sight == Sight::Values);
                let by_class = by_class && beside.get::<ShowsNone>().is_none();
                let shows = by_class || beside.get::<ShowsValues>().is_some();
                let is_shown = shows && answer.status() == StatusCode::OK;
                if is_shown { As::ValuesRead } else { As::Nothing }
            }
            (_, None) if self.is_stranger => As::Refused,
            // What somebody tried who is known is worth as much as what they did.
            _ => As::Done,
        };
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let about = Value::Object(std::mem::take(&mut self.about));
        let audit = self.steer.audit();
        match self.as_what {
            As::Nothing => {}
            As::Done => audit.record("control", about),
            As::Refused => audit.record_refused("control", about),
            As::ValuesRead => audit.record("values_read", about),
        }
    }
}

fn is_read(method: &Method) -> bool {
    method.is_safe()
}

/// Who asks, for events: the name of the token, or else the address.
pub(super) fn who(steer: &Steer, headers: &HeaderMap, peer: Option<&Peer>) -> String {
    match token(steer, headers) {
        Value::String(name) => name,
        _ => peer.map_or_else(|| "somebody".to_owned(), |peer| peer.ip().to_string()),
    }
}

/// The name of the token that was sent, where it is somebody's.
fn token(steer: &Steer, headers: &HeaderMap) -> Value {
    match steer.access().bearer(headers) {
        Bearer::None => Value::Null,
        Bearer::Nobody => json!(NOBODYS),
        Bearer::Known(known) => known.name.as_str().into(),
    }
}

fn parameters(uri: &Uri) -> Value {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let pairs = pairs.map_or_else(|_| Vec::new(), |pairs| pairs.0);
    let known = pairs.iter().filter(|(name, _)| PARAMETERS.contains(&name.as_str()));
    known.map(|(name, value)| (name.clone(), cut(value).into())).collect::<Map<_, _>>().into()
}
