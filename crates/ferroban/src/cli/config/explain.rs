//! `ferroban config explain`: each option of a jail, and what sets it.

use std::path::Path;

use ferroban_config::{Files, Layers, Place, Value, nearest};
use ferroban_engine::options;
use serde_json::json;

use super::Told;
use super::jail::{self, Jail};
use super::problem::{Level, What};
use super::reader::Reader;
use crate::load::is_on;

/// The longest value that places are aligned behind.
const WIDE: usize = 40;

/// What is known of one option.
struct Row {
    name: String,
    text: String,
    /// The line that sets it; none for a default.
    at: Option<Place>,
}

pub(super) fn run(files: &dyn Files, base: &Path, jail: Option<&str>, as_json: bool) -> Told {
    let mut reader = Reader::new(files, base);
    let mut layers = reader.layers("jail");
    let names = wanted(&mut reader, &layers, jail);
    let explained: Vec<(String, Vec<Row>)> = names
        .into_iter()
        .map(|name| {
            let jail = jail::read(&mut reader, &mut layers, &name);
            let rows = rows(&layers, &name, &jail);
            (name, rows)
        })
        .collect();
    let errors: Vec<String> = reader
        .sorted()
        .into_iter()
        .filter(|problem| problem.level() == Level::Error)
        .map(|problem| reader.shown(problem))
        .collect();
    Told {
        good: errors.is_empty(),
        text: if as_json {
            as_value(&explained, &errors)
        } else {
            let sections = explained.iter().map(|(name, rows)| section(name, rows));
            sections.chain(errors).collect::<Vec<_>>().join("\n")
        },
    }
}

/// The jails to explain. One that is not there is told.
fn wanted(reader: &mut Reader<'_>, layers: &Layers, jail: Option<&str>) -> Vec<String> {
    let enabled = |name: &&str| {
        let value = layers.option(name, "enabled").ok().flatten();
        value.is_some_and(|value| is_on(value.text()))
    };
    match jail {
        None => layers
            .sections()
            .filter(enabled)
            .map(str::to_owned)
            .collect(),
        Some(name) if layers.has_section(name) => vec![name.to_owned()],
        Some(name) => {
            let what = What::NoJail {
                name: name.to_owned(),
                nearest: nearest(name, layers.sections()),
            };
            reader.tell(None, what);
            Vec::new()
        }
    }
}

/// The options of the table, then what else the jail sets.
fn rows(layers: &Layers, name: &str, jail: &Jail) -> Vec<Row> {
    let known = options::JAIL.iter().map(|row| {
        // The jail's own is told with the line that sets it, not one it refers to.
        let raw = layers.raw(name, row.name);
        let value = jail.option(row.name).or(raw);
        Row {
            name: row.name.to_owned(),
            text: value.map_or(row.default, Value::text).to_owned(),
            at: raw.or(value).map(|value| value.place().clone()),
        }
    });
    let others = layers.names(name).filter(|option| {
        let is_known = options::jail(option).is_some();
        !is_known
    });
    let others = others.filter_map(|option| {
        let raw = layers.raw(name, option)?;
        let value = layers.option(name, option).ok().flatten();
        Some(Row {
            name: option.to_owned(),
            text: value.as_ref().unwrap_or(raw).text().to_owned(),
            at: Some(raw.place().clone()),
        })
    });
    known.chain(others).collect()
}

/// `[jail]` and its options, values and places below each other.
fn section(name: &str, rows: &[Row]) -> String {
    let length = |text: &str| text.chars().count();
    let widest = rows.iter().map(|row| length(&row.name)).max().unwrap_or(0);
    let values = rows.iter().map(|row| length(first_line(&row.text)));
    let value = values.filter(|length| *length <= WIDE).max().unwrap_or(0);
    let mut out = format!("[{name}]");
    for row in rows {
        let origin = match &row.at {
            Some(at) => format!("({at})"),
            None => "(default)".to_owned(),
        };
        let first = first_line(&row.text);
        out += &format!("\n{:widest$} = {first:value$}    {origin}", row.name);
        let further = row.text.lines().skip(1);
        for line in further.filter(|line| !line.trim().is_empty()) {
            out += &format!("\n{:widest$}   {line}", "");
        }
    }
    out.push('\n');
    out
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn as_value(explained: &[(String, Vec<Row>)], errors: &[String]) -> String {
    let option = |row: &Row| {
        json!({
            "option": row.name,
            "value": row.text,
            "file": row.at.as_ref().map(|at| at.file.display().to_string()),
            "line": row.at.as_ref().map(|at| at.line).filter(|line| *line > 0),
        })
    };
    let jail = |(name, rows): &(String, Vec<Row>)| {
        let options: Vec<_> = rows.iter().map(option).collect();
        json!({ "jail": name, "options": options })
    };
    let jails: Vec<_> = explained.iter().map(jail).collect();
    format!("{:#}", json!({ "jails": jails, "errors": errors }))
}
