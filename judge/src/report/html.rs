//! The report as one HTML file without any other: no script, no picture, nothing that is loaded, and a
//! policy that says so, should a text ever get where it must not.

use std::fmt::{Display, Formatter, Result};

use super::escape::escaped;
use super::line::{Line, Span};
use super::page::{Block, Page, Section};
use crate::verdict::Verdict;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" \
    content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
    <meta name=\"referrer\" content=\"no-referrer\">\n\
    <meta name=\"color-scheme\" content=\"light dark\">\n";

/// The colours of the reader's own choice, and no width that a small screen has not.
const STYLE: &str = ":root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --quote: #f2f4f7; --pass: #1a7f37; --fail: #cf222e; --open: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1318; --ink: #e6edf3; --soft: #9aa5b1; --line: #313a44; --quote: #1c232b; --pass: #3fb950; --fail: #ff7b72; --open: #d9a531; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
header { border-left: .5rem solid var(--line); padding: .25rem 0 .25rem 1rem; }
header p { margin: .25rem 0; color: var(--soft); overflow-wrap: anywhere; }
h1 { margin: 0; font-size: clamp(1.15rem, 3.2vw, 1.7rem); line-height: 1.35; overflow-wrap: anywhere; }
.pass { border-color: var(--pass); } .pass h1 { color: var(--pass); }
.fail { border-color: var(--fail); } .fail h1 { color: var(--fail); }
.open { border-color: var(--open); } .open h1 { color: var(--open); }
h1 code { color: inherit; }
h2, summary { margin: 1.5rem 0 .5rem; font-size: 1.1rem; font-weight: 600; }
summary { cursor: pointer; }
.item { padding: .4rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.item p { margin: 0; }
.item ul { margin: .25rem 0 0; padding-left: 1.25rem; color: var(--soft); font-size: .925rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; background: var(--quote); border-radius: .25rem; }
code { padding: .05em .3em; unicode-bidi: isolate; white-space: pre-wrap; }
pre { padding: .75rem; overflow-x: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
";

/// Pages as one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Html<'a>(pub(super) &'a [Page]);

impl Display for Html<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let title = self.0.first().map_or("no report".to_owned(), |page| page.headline.to_string());
        write!(out, "{HEAD}<title>{}</title>\n<style>\n{STYLE}</style>\n", escaped(&title))?;
        writeln!(out, "</head>\n<body>")?;
        self.0.iter().try_for_each(|page| self::page(out, page))?;
        writeln!(out, "</body>\n</html>")
    }
}

fn page(out: &mut Formatter<'_>, page: &Page) -> Result {
    let class = match page.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::NotEnoughData => "open",
    };
    writeln!(out, "<main>\n<header class=\"{class}\">")?;
    if let Some(name) = &page.name {
        writeln!(out, "<p>candidate {}</p>", line(&Line::quoting(name)))?;
    }
    writeln!(out, "<h1>{}</h1>\n<p>{}</p>\n</header>", line(&page.headline), line(&page.facts))?;
    page.sections.iter().try_for_each(|section| self::section(out, section))?;
    writeln!(out, "</main>")
}

fn section(out: &mut Formatter<'_>, section: &Section) -> Result {
    let title = escaped(section.title);
    if section.is_detail {
        writeln!(out, "<details>\n<summary>{title}</summary>")?;
    } else {
        writeln!(out, "<section>\n<h2>{title}</h2>")?;
    }
    for block in &section.blocks {
        match block {
            Block::Item(line, below) => item(out, line, below)?,
            Block::Copied(lines) => writeln!(out, "<pre>{}</pre>", escaped(&lines.join("\n")))?,
            Block::Table(rows) => table(out, rows)?,
        }
    }
    writeln!(out, "{}", if section.is_detail { "</details>" } else { "</section>" })
}

fn item(out: &mut Formatter<'_>, line: &Line, below: &[Line]) -> Result {
    writeln!(out, "<div class=\"item\"><p>{}</p>", self::line(line))?;
    if !below.is_empty() {
        writeln!(out, "<ul>")?;
        below.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", self::line(line)))?;
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</div>")
}

fn table(out: &mut Formatter<'_>, rows: &[Vec<String>]) -> Result {
    writeln!(out, "<div class=\"wide\"><table>")?;
    for (at, row) in rows.iter().enumerate() {
        let cell = if at == 0 { "th" } else { "td" };
        let cells = row.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text)));
        writeln!(out, "<tr>{}</tr>", cells.collect::<String>())?;
    }
    writeln!(out, "</table></div>")
}

fn line(line: &Line) -> String {
    let span = |span: &Span| match span {
        Span::Words(words) => escaped(words),
        // What is read from right to left must not turn what stands around it.
        Span::Quote(text) => format!("<code dir=\"ltr\">{}</code>", escaped(text)),
    };
    line.spans().iter().map(span).collect()
}
