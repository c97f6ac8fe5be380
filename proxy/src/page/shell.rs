//! What is around every page, and the page that says why there is none.

use askama::Template;

use super::words::{encoded, text};

/// A page that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All routes of a candidate.
    Overview,
    /// One route.
    Route,
    /// Where answers differ.
    Differences,
    /// What happened.
    Timeline,
    /// What holds, and who said so.
    Settings,
}

impl View {
    /// Its name in the navigation.
    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Route => "Route",
            Self::Differences => "Differences",
            Self::Timeline => "Events",
            Self::Settings => "Settings",
        }
    }

    /// Its address, from any other.
    pub fn href(self) -> &'static str {
        match self {
            Self::Overview => "./",
            Self::Route => "route",
            Self::Differences => "differences",
            Self::Timeline => "timeline",
            Self::Settings => "settings",
        }
    }

    /// Whether an address is one of a page, with or without a query.
    pub fn is_of(address: &str) -> bool {
        let page = address.split('?').next().unwrap_or_default();
        let all = [Self::Overview, Self::Route, Self::Differences, Self::Timeline, Self::Settings];
        all.iter().any(|it| it.href() == page)
    }
}

/// What is around every page.
#[derive(Clone, Debug)]
pub struct Shell {
    pub(super) view: View,
    pub(super) title: String,
    /// Changes with style and script, so that a browser takes no old one.
    pub(super) version: String,
    /// What the script listens to.
    pub(super) live: String,
    /// Another one after a restart, as the stream tells it; empty where nobody knows.
    pub(super) run: String,
    /// Whether there are tokens, one of which may be sent.
    pub(super) has_tokens: bool,
    /// Whether something is held back that a token might show.
    pub(super) withheld: Option<&'static str>,
    pub(super) links: Vec<Link>,
    /// One for each candidate, where there are several.
    pub(super) candidates: Vec<Link>,
}

/// A link of the navigation.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
    pub(super) is_current: bool,
}

impl Shell {
    /// Around this view. `withheld`: why values are not shown, where they are not.
    pub fn new(view: View, has_tokens: bool, withheld: Option<&'static str>) -> Self {
        let main = [View::Overview, View::Differences, View::Timeline, View::Settings];
        let link = |it: View| Link {
            href: it.href().to_owned(),
            text: it.title().to_owned(),
            is_current: it == view,
        };
        Self {
            view,
            title: view.title().to_owned(),
            version: version(),
            live: "live".to_owned(),
            run: String::new(),
            has_tokens,
            withheld,
            links: main.map(link).to_vec(),
            candidates: Vec::new(),
        }
    }

    /// With this title in place of the view's own; it may be of traffic.
    #[must_use]
    pub fn titled(self, title: &str) -> Self {
        Self { title: text(title), ..self }
    }

    /// For one of several candidates: links to the same page of the others, and the navigation stays with it.
    #[must_use]
    pub fn of_candidate(mut self, current: &str, all: &[String]) -> Self {
        if all.len() < 2 {
            return self;
        }
        let href = self.view.href();
        self.candidates = all
            .iter()
            .map(|name| Link {
                href: format!("{href}?candidate={}", encoded(name)),
                text: text(name),
                is_current: name == current,
            })
            .collect();
        let of = format!("?candidate={}", encoded(current));
        let with = [View::Overview.href(), View::Differences.href()];
        for link in self.links.iter_mut().filter(|it| with.contains(&it.href.as_str())) {
            link.href.push_str(&of);
        }
        self
    }

    /// Of the process that streams call so.
    #[must_use]
    pub fn of_run(self, run: &str) -> Self {
        Self { run: run.to_owned(), ..self }
    }

    /// Its parts follow what happens, as this query asks.
    #[must_use]
    pub fn following(self, query: &str) -> Self {
        Self { live: format!("live?{query}"), ..self }
    }
}

/// The same for the same style and script.
fn version() -> String {
    let of = |text: &str| xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    format!("{:08x}", (of(super::STYLE) ^ of(super::SCRIPT).rotate_left(1)) >> 32)
}

/// A page that says that there is nothing to see, and why.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub struct Notice {
    /// Around it.
    pub shell: Shell,
    /// In a few words.
    pub title: String,
    /// Why, and what to do.
    pub reason: String,
}

impl Notice {
    /// As HTML. A reason may be about what somebody sent.
    pub fn html(shell: Shell, title: &str, reason: &str) -> String {
        super::shell::html(&Self { shell, title: text(title), reason: text(reason) })
    }
}

/// What a template says.
pub(super) fn html(template: &impl Template) -> String {
    // Writing to a string fails for want of memory alone.
    template.render().unwrap_or_default()
}
