//! What a real browser asked and was answered, as HAR 1.2: made of the events of its network, as its own export does.

use std::sync::{Arc, Mutex, PoisonError};

use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::network::{
    EnableParams, EventLoadingFinished, EventRequestWillBeSent, EventResponseReceived,
    GetResponseBodyParams, RequestId,
};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{Result, eventually};

/// Listens to the network of a tab.
#[derive(Debug)]
pub struct NetworkLog {
    page: Page,
    events: Events,
    listeners: Vec<JoinHandle<()>>,
}

/// Each with its kind, in the order in which they came.
type Events = Arc<Mutex<Vec<(Kind, Value)>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
    Finished,
}

impl NetworkLog {
    /// From now on.
    ///
    /// # Errors
    /// When the browser does not tell.
    pub async fn of(page: &Page) -> Result<Self> {
        page.execute(EnableParams::default()).await?;
        let events = Events::default();
        let requests = page.event_listener::<EventRequestWillBeSent>().await?;
        let responses = page.event_listener::<EventResponseReceived>().await?;
        let finished = page.event_listener::<EventLoadingFinished>().await?;
        let listeners = vec![
            keep(Kind::Request, requests, &events),
            keep(Kind::Response, responses, &events),
            keep(Kind::Finished, finished, &events),
        ];
        Ok(Self { page: page.clone(), events, listeners })
    }

    fn all(&self, kind: Kind) -> Vec<Value> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|(its, _)| *its == kind).map(|(_, event)| event.clone()).collect()
    }

    fn of_request(&self, kind: Kind, id: &Value) -> Option<Value> {
        self.all(kind).into_iter().find(|event| event["requestId"] == *id)
    }

    /// The document, once so many requests to URLs that begin so are over.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn har(&self, begin: &str, count: usize) -> Result<Value> {
        let ours = || {
            let requests = self.all(Kind::Request).into_iter();
            let ours = requests
                .filter(|it| it["request"]["url"].as_str().is_some_and(|it| it.starts_with(begin)));
            ours.map(|it| it["requestId"].clone()).collect::<Vec<_>>()
        };
        eventually!({
            let over = ours().into_iter();
            over.filter(|id| self.of_request(Kind::Finished, id).is_some()).count() >= count
        });
        let ids = ours();
        let mut entries = Vec::new();
        for id in ids {
            entries.push(self.entry(&id).await?);
        }
        let creator = json!({"name": "WebInspector", "version": "537.36"});
        Ok(json!({"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}))
    }

    async fn entry(&self, id: &Value) -> Result<Value> {
        let sent = self.of_request(Kind::Request, id).ok_or("no request")?;
        let came = self.of_request(Kind::Response, id).ok_or("no response")?;
        let over = self.of_request(Kind::Finished, id).ok_or("not over")?;
        let name = RequestId::new(id.as_str().ok_or("no id")?);
        let body = self.page.execute(GetResponseBodyParams::new(name)).await?.result;
        let wall = sent["wallTime"].as_f64().ok_or("no time")?;
        let date = format!("new Date({}).toISOString()", wall * 1000.0);
        let started = self.page.evaluate_expression(date).await?.into_value::<String>()?;
        let at = |event: &Value| event["timestamp"].as_f64().unwrap_or_default();
        let (request, response) = (&sent["request"], &came["response"]);
        let mut entry = json!({
            "startedDateTime": started,
            "time": (at(&over) - at(&sent)) * 1000.0,
            "_resourceType": "fetch",
            "request": {
                "method": request["method"], "url": request["url"], "httpVersion": "HTTP/1.1",
                "headers": lines(&request["headers"]),
                "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0,
            },
            "response": {
                "status": response["status"], "statusText": response["statusText"],
                "httpVersion": response["protocol"], "headers": lines(&response["headers"]),
                "cookies": [], "redirectURL": "", "headersSize": -1, "bodySize": -1,
                "content": {
                    "size": body.body.len(), "mimeType": response["mimeType"], "text": body.body,
                },
            },
            "cache": {},
            "timings": {"send": 0, "wait": (at(&came) - at(&sent)) * 1000.0, "receive": 0},
        });
        if body.base64_encoded {
            entry["response"]["content"]["encoding"] = "base64".into();
        }
        if let Some(text) = request["postDataEntries"][0]["bytes"].as_str() {
            use base64::Engine;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
            let text = String::from_utf8(bytes)?;
            let kind = request["headers"]["content-type"].clone();
            entry["request"]["bodySize"] = text.len().into();
            entry["request"]["postData"] = json!({"mimeType": kind, "text": text});
        }
        Ok(entry)
    }
}

impl Drop for NetworkLog {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

fn keep<T: Serialize + Send + Sync + 'static>(
    kind: Kind,
    mut stream: impl futures_util::Stream<Item = Arc<T>> + Unpin + Send + 'static,
    events: &Events,
) -> JoinHandle<()> {
    let events = Arc::clone(events);
    tokio::spawn(async move {
        while let Some(event) = stream.next().await {
            let event = serde_json::to_value(&*event).unwrap_or_default();
            events.lock().unwrap_or_else(PoisonError::into_inner).push((kind, event));
        }
    })
}

fn lines(headers: &Value) -> Vec<Value> {
    let all = headers.as_object().into_iter().flatten();
    all.map(|(name, value)| json!({"name": name, "value": value})).collect()
}
