//! In which form a report is wanted.

use super::html::Html;
use super::junit::Junit;
use super::markdown::Markdown;
use super::page::{Page, Shown};
use super::plain::short;
use super::text::Text;

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// All of it, for programs.
    Json,
    /// For a terminal or a log.
    Text,
    /// For a comment.
    Markdown,
    /// As results of tests.
    Junit,
    /// For a browser.
    Html,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Json, Self::Text, Self::Markdown, Self::Junit, Self::Html];

    /// The word by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Junit => "junit",
            Self::Html => "html",
        }
    }

    /// The format of this name, or which there are.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|it| it.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{name:?}: allowed is one of {names}")
        })
    }

    /// Its media type, as a `Content-Type` says it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Junit => "application/xml; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// Reports in this form; `None` for JSON, which is the summary itself.
    pub fn render(self, shown: &[Shown<'_>]) -> Option<String> {
        let pages = || -> Vec<_> { shown.iter().map(|shown| Page::of(*shown)).collect() };
        Some(match self {
            Self::Json => return None,
            Self::Text => pages().iter().map(named).collect(),
            Self::Markdown => {
                let all: Vec<_> = pages().iter().map(|it| Markdown(it).to_string()).collect();
                all.join("\n")
            }
            Self::Junit => Junit(shown).to_string(),
            Self::Html => Html(&pages()).to_string(),
        })
    }
}

/// As text, under the candidate's name where there are several.
fn named(page: &Page) -> String {
    match &page.name {
        Some(name) => format!("=== candidate {} ===\n\n{}\n", short(name), Text(page)),
        None => Text(page).to_string(),
    }
}

#[cfg(test)]
mod tests;
