//! What holds, who said so, and what came of reading it anew.

use askama::Template;
use serde_json::Value;

use super::shell::{Shell, html};
use super::words::{NONE, lines, spoken, text};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// With this in the place or the value.
    pub text: String,
    /// Whether what nobody said is listed, too.
    pub defaults: bool,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Page<'a> {
    shell: &'a Shell,
    asked: &'a Asked,
    revision: String,
    since: String,
    refused: Option<(String, String)>,
    needs_restart: Vec<String>,
    unused: &'a [String],
    sections: Vec<Section>,
}

struct Section {
    name: String,
    rows: Vec<Row>,
}

struct Row {
    place: String,
    value: String,
    origin: String,
    class: &'static str,
    running: Option<String>,
}

/// The whole page, of what `/control/config` shows. `unused`: rules that never applied, in words.
pub fn page(shell: &Shell, config: &Value, unused: &[String], asked: &Asked) -> String {
    let said = |name: &str| text(config[name].as_str().unwrap_or_default());
    let refused = &config["refused"];
    let restart = config["needsRestart"].as_array().into_iter().flatten();
    html(&Page {
        shell,
        asked,
        revision: said("revision"),
        since: config["since"].as_str().map(spoken).unwrap_or_default(),
        refused: refused.is_object().then(|| {
            let at = refused["time"].as_str().map(spoken).unwrap_or_default();
            (at, lines(refused["reason"].as_str().unwrap_or_default()))
        }),
        needs_restart: restart.filter_map(Value::as_str).map(text).collect(),
        unused,
        sections: sections(config, asked),
    })
}

fn sections(config: &Value, asked: &Asked) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let wanted = asked.text.to_lowercase();
    for setting in config["settings"].as_array().into_iter().flatten() {
        let row = row(setting);
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let is_default = setting["origin"]["from"] == "default";
        if (is_default && !asked.defaults) || !(has(&row.place) || has(&row.value)) {
            continue;
        }
        let name = row.place.split('.').next().unwrap_or_default().to_owned();
        match sections.iter_mut().find(|it| it.name == name) {
            Some(section) => section.rows.push(row),
            None => sections.push(Section { name, rows: vec![row] }),
        }
    }
    sections
}

fn row(setting: &Value) -> Row {
    let (origin, class) = origin(&setting["origin"]);
    let running = setting.get("running").map(valued);
    Row {
        place: text(setting["place"].as_str().unwrap_or_default()),
        value: valued(&setting["value"]),
        origin,
        class,
        running,
    }
}

fn valued(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(it) => text(it),
        other => text(&other.to_string()),
    }
}

/// Who said so, and how it looks.
fn origin(origin: &Value) -> (String, &'static str) {
    let said = |name: &str| origin[name].as_str().map(text);
    match origin["from"].as_str() {
        Some("file") => (said("place").unwrap_or_default(), "file"),
        Some("environment") => {
            let over = said("over").map(|it| format!(", over {it}")).unwrap_or_default();
            (format!("{}{over}", said("name").unwrap_or_default()), "env")
        }
        Some("override") => {
            let until = origin["until"].as_str().map(|it| format!(" until {}", spoken(it)));
            (format!("by hand{}", until.unwrap_or_default()), "hand")
        }
        _ => ("default".to_owned(), "plain"),
    }
}
