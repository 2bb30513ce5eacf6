//! The status of the daemon and its jails, drawn as a tree.

use super::beautify::Unprintable;
use crate::wire::pickle::Value;
use crate::wire::text::display;

/// `status`, or `status --all` if jails follow the rows.
pub(super) fn server(reply: &Value) -> Result<String, Unprintable> {
    let mut lines = Drawing::new("Status".into());
    let Some(rows) = reply.elements() else {
        return Err(lines.broken());
    };
    let last = rows.len().saturating_sub(1);
    for (place, row) in rows.iter().enumerate() {
        let branch = branch(place == last);
        match row {
            Value::Dict(jails) => {
                lines.push(format!("{branch} Status for the jails:"));
                for (place, (name, status)) in jails.iter().enumerate() {
                    let is_last = place + 1 == jails.len();
                    let name = display(name);
                    lines.push(format!("   {} Jail: {name}", self::branch(is_last)));
                    let indent = if is_last { "      " } else { "   |  " };
                    lines.sections(indent, status)?;
                }
            }
            row => {
                let Some([label, value]) = row.elements() else {
                    return Err(lines.broken());
                };
                let (label, value) = (display(label), display(value));
                lines.push(format!("{branch} {label}:\t{value}"));
            }
        }
    }
    Ok(lines.done())
}

/// `status <jail>`.
pub(super) fn jail(name: &str, reply: &Value) -> Result<String, Unprintable> {
    let mut lines = Drawing::new(format!("Status for the jail: {name}"));
    lines.sections("", reply)?;
    Ok(lines.done())
}

fn branch(is_last: bool) -> &'static str {
    if is_last { "`-" } else { "|-" }
}

/// Lines drawn so far.
struct Drawing {
    lines: Vec<String>,
}

impl Drawing {
    fn new(first: String) -> Self {
        Self { lines: vec![first] }
    }

    fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    fn done(self) -> String {
        self.lines.join("\n")
    }

    /// Gives up, with what was drawn.
    fn broken(&mut self) -> Unprintable {
        let lines = std::mem::take(&mut self.lines);
        Unprintable(Value::List(lines.into_iter().map(Value::from).collect()))
    }

    /// The parts of a jail's status, such as Filter and Actions.
    fn sections(&mut self, indent: &str, status: &Value) -> Result<(), Unprintable> {
        let Some(sections) = status.elements() else {
            return Err(self.broken());
        };
        for (place, section) in sections.iter().enumerate() {
            let is_last = place + 1 == sections.len();
            if let Some([label, rows]) = section.elements() {
                self.push(format!("{indent}{} {}", branch(is_last), display(label)));
                let indent = format!("{indent}{}", if is_last { "   " } else { "|  " });
                self.rows(&indent, rows)?;
                continue;
            }
            // A text in this place is what `status <jail> stats` gives. Fail2ban takes it
            // for a pair and fails after its first letter, which is then printed.
            if let Some(letter) = section.as_str().and_then(|text| text.chars().next()) {
                self.push(format!("{indent}{} {letter}", branch(is_last)));
            }
            return Err(self.broken());
        }
        Ok(())
    }

    fn rows(&mut self, indent: &str, rows: &Value) -> Result<(), Unprintable> {
        let Some(rows) = rows.elements() else {
            return Err(self.broken());
        };
        for (place, row) in rows.iter().enumerate() {
            let Some([label, value]) = row.elements() else {
                return Err(self.broken());
            };
            let value = match value {
                Value::List(items) => items.iter().map(display).collect::<Vec<_>>().join(" "),
                value => display(value),
            };
            let branch = branch(place + 1 == rows.len());
            self.push(format!("{indent}{branch} {}:\t{value}", display(label)));
        }
        Ok(())
    }
}
