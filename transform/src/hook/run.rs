//! One run of a script: what it sees, and what it has said. Its objects are handles on this, so that what
//! they change is changed at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use rhai::NativeCallContext;

use super::json::{Docs, Place};
use super::meter::{Given, Meter, Refusal};
use crate::parts::{Fault, coding};
use crate::{Answer, CopyRequest};

/// Most decoded bytes of a body, as a part of the run's bytes.
const DECODED_PART: usize = 2;

/// What a script sees.
#[derive(Debug)]
pub(super) enum Message {
    Copy(CopyRequest),
    Answer(Answer),
}

impl Message {
    pub(super) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Copy(copy) => &copy.headers,
            Self::Answer(answer) => &answer.headers,
        }
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Copy(copy) => &mut copy.headers,
            Self::Answer(answer) => &mut answer.headers,
        }
    }

    fn body(&self) -> Option<Bytes> {
        match self {
            Self::Copy(copy) => copy.body.clone(),
            Self::Answer(answer) => Some(answer.body.clone()),
        }
    }

    fn set_body(&mut self, body: Bytes) {
        match self {
            Self::Copy(copy) => copy.set_body(body),
            Self::Answer(answer) => answer.body = body,
        }
    }
}

/// What is known of a body so far.
#[derive(Debug, Default)]
struct Content {
    /// Without its codings.
    plain: Option<Bytes>,
    /// `Some(None)` where it is no JSON.
    json: Option<Option<Place>>,
    /// What the script wrote in its place.
    written: bool,
}

/// All that a run knows.
pub(super) struct State {
    pub(super) meter: Meter,
    pub(super) docs: Docs,
    pub(super) messages: Vec<Message>,
    contents: Vec<Content>,
    pub(super) route: String,
    pub(super) candidate: String,
    /// The labels that the hook declares, and those that it gave.
    pub(super) declared: Arc<[String]>,
    pub(super) labels: Vec<usize>,
    pub(super) dropped: Option<String>,
    pub(super) may_drop: bool,
}

impl State {
    pub(super) fn new(meter: Meter, messages: Vec<Message>, declared: Arc<[String]>) -> Self {
        let contents = messages.iter().map(|_| Content::default()).collect();
        Self {
            meter,
            docs: Docs::default(),
            messages,
            contents,
            route: String::new(),
            candidate: String::new(),
            declared,
            labels: Vec::new(),
            dropped: None,
            may_drop: false,
        }
    }

    fn plain(&mut self, which: usize) -> Result<Option<Bytes>, Refusal> {
        if let Some(plain) = &self.contents[which].plain {
            return Ok(Some(plain.clone()));
        }
        let Some(body) = self.messages[which].body() else { return Ok(None) };
        let headers = self.messages[which].headers();
        let plain = if coding::is_coded(headers) && !body.is_empty() {
            let max_decoded = self.meter.left() / DECODED_PART;
            let mut refused = None;
            let mut grant =
                |bytes| self.meter.take(bytes).map_err(|refusal| refused = Some(refusal)).is_ok();
            let mut limits = compare::Limits { max_decoded, grant: &mut grant };
            let decoded =
                coding::decode(headers, &body, &mut limits).map_err(|fault| match fault {
                    Fault::NoBudget => refused.unwrap_or(Refusal::NoBudget),
                    Fault::TooLarge => Refusal::Memory,
                    _ => Refusal::Misuse("a body that cannot be decoded"),
                })?;
            Bytes::from(decoded.into_owned())
        } else {
            body
        };
        self.contents[which].plain = Some(plain.clone());
        Ok(Some(plain))
    }

    /// The body as JSON; `None` where it is none.
    pub(super) fn json(&mut self, which: usize) -> Result<Option<Place>, Refusal> {
        if let Some(known) = self.contents[which].json {
            return Ok(known);
        }
        let plain = self.plain(which)?.filter(|plain| !plain.is_empty());
        let place = match plain {
            Some(plain) => self.docs.add(plain, &mut self.meter)?,
            None => None,
        };
        self.contents[which].json = Some(place);
        Ok(place)
    }

    /// The body as it is now, without its codings.
    pub(super) fn body(&mut self, which: usize) -> Result<Option<Bytes>, Refusal> {
        match self.contents[which].json {
            Some(Some(place)) if self.docs.is_changed(place) => {
                Ok(Some(Bytes::from(self.docs.text(place, &mut self.meter)?)))
            }
            _ => self.plain(which),
        }
    }

    /// Another body stands in its place.
    pub(super) fn set_body(&mut self, which: usize, body: Bytes) {
        self.contents[which] = Content { plain: Some(body), json: None, written: true };
    }

    /// The body is this document from then on.
    pub(super) fn put_json(&mut self, which: usize, text: String) -> Result<(), Refusal> {
        let plain = Bytes::from(text);
        let place = self.docs.add(plain.clone(), &mut self.meter)?;
        self.contents[which] = Content { plain: Some(plain), json: Some(place), written: true };
        Ok(())
    }

    /// What was changed is a part of the messages now; the codings that a body had it has again.
    pub(super) fn finish(&mut self) -> Result<(), Refusal> {
        for which in 0..self.messages.len() {
            let Content { json, written, .. } = &self.contents[which];
            let changed = matches!(json, Some(Some(place)) if self.docs.is_changed(*place));
            if !changed && !written {
                continue;
            }
            let Some(body) = self.body(which)? else { continue };
            let headers = self.messages[which].headers();
            let body = if coding::is_coded(headers) {
                self.meter.take(body.len())?;
                let fault = |_| Refusal::Misuse("a body that cannot be encoded");
                Bytes::from(coding::encode(headers, &body).map_err(fault)?)
            } else {
                body
            };
            self.messages[which].set_body(body);
        }
        Ok(())
    }
}

/// One run.
#[derive(Clone)]
pub(super) struct Run(Arc<Mutex<State>>);

impl Run {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that a function was called in.
    pub(super) fn of(context: &NativeCallContext<'_>) -> Given<Self> {
        let run = context.tag().and_then(|tag| tag.read_lock::<Self>().map(|run| run.clone()));
        run.ok_or_else(|| Refusal::Misuse("no run").into())
    }
}

/// An array or an object of a document, as scripts know it.
#[derive(Clone, Debug)]
pub(super) struct Json {
    pub(super) run: Run,
    pub(super) place: Place,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Run")
    }
}
