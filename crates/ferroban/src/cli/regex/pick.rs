//! `-o`: of each failure, only what was asked for.
//!
//! The format is a word (`id`, `row`, a group's name), or a text with tags as in actions.
//! A tag is filled once: what a log line says is never read as a format.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use ferroban_engine::{Capture, FailId, Match, Name};

use super::python;

/// What is printed of a failure.
#[derive(Debug)]
pub(super) enum Pick {
    Id,
    Ip,
    Msg,
    Row,
    Field(String),
    Template(String),
}

/// A failure to print, or a line that is none.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The id, and as Python would write it down.
    pub(super) id: String,
    pub(super) id_repr: String,
    /// When it was; none if nobody knows.
    pub(super) time: Option<String>,
    /// The same, or now.
    pub(super) counted: String,
    pub(super) fields: &'a [(Name, Option<Capture>)],
    pub(super) matches: &'a [Match],
}

/// A tag of a jail that is at work. There is none.
#[derive(Debug)]
pub(super) struct NeedsJail(pub(super) String);

impl Pick {
    pub(super) fn new(format: &str) -> Self {
        match format {
            "id" | "fid" => Self::Id,
            "ip" => Self::Ip,
            "msg" => Self::Msg,
            "row" => Self::Row,
            text if text.contains('<') => Self::Template(text.to_owned()),
            name => Self::Field(name.to_owned()),
        }
    }

    /// What is printed, without the last line end; nothing for a failure without lines.
    pub(super) fn text(&self, row: &Row<'_>) -> Result<Option<String>, NeedsJail> {
        Ok(Some(match self {
            Self::Id => row.id.clone(),
            Self::Ip => row.address().into_owned(),
            Self::Msg => {
                let lines: Vec<String> = row.matches.iter().map(Match::joined).collect();
                return Ok((!lines.is_empty()).then(|| lines.join("\n")));
            }
            Self::Row => row.tuple(),
            Self::Field(name) => row.field(name),
            Self::Template(template) => row.filled(template)?,
        }))
    }
}

impl Row<'_> {
    fn get(&self, name: &str) -> Option<&Capture> {
        let found = self.fields.iter().find(|(known, _)| **known == *name);
        found.and_then(|(_, value)| value.as_ref())
    }

    fn has(&self, name: &str) -> Option<&str> {
        let text = self.get(name).and_then(Capture::text);
        text.filter(|text| !text.is_empty())
    }

    /// The address, where something else is the id.
    fn beside(&self) -> Option<&str> {
        self.has("ip").or_else(|| {
            let address = self.has("ip4").or_else(|| self.has("ip6"))?;
            let other = self.get("fid").is_some() && address != self.id;
            (other && self.has("cidr").is_none()).then_some(address)
        })
    }

    fn address(&self) -> Cow<'_, str> {
        self.beside().unwrap_or(&self.id).into()
    }

    /// `[id, time, {group: value}],` with tabs.
    fn tuple(&self) -> String {
        let time = self.time.as_deref().unwrap_or("None");
        let pairs = self.fields.iter();
        let mut pairs: Vec<(&str, String)> = pairs
            .map(|(name, value)| (&**name, python::repr(value.as_ref())))
            .collect();
        if let Some(address) = self.beside().filter(|_| self.get("ip").is_none()) {
            pairs.push(("ip", ferroban_config::quoted(address)));
        }
        format!("[{},\t{time},\t{}],", self.id_repr, python::dict(pairs))
    }

    fn field(&self, name: &str) -> String {
        match name {
            "matches" => python::matches(self.matches),
            name => python::display(self.get(name)),
        }
    }

    fn filled(&self, template: &str) -> Result<String, NeedsJail> {
        if !template.contains("<msg>") || self.matches.len() < 2 {
            return self.fill(template, || self.lines());
        }
        let mut texts = Vec::new();
        for line in self.matches {
            texts.push(self.fill(template, || line.joined())?);
        }
        Ok(texts.join("\n"))
    }

    fn lines(&self) -> String {
        let lines: Vec<String> = self.matches.iter().map(Match::joined).collect();
        lines.join("\n")
    }

    /// Fills each tag of a text once; `<msg>` is what `msg` says.
    fn fill(&self, template: &str, msg: impl Fn() -> String) -> Result<String, NeedsJail> {
        let mut out = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some((before, tag, after)) = next_tag(rest) {
            out.push_str(before);
            let value = if tag == "msg" {
                Some(msg())
            } else {
                self.value(tag)?
            };
            match value {
                Some(value) => out.push_str(&value),
                None => out.extend(["<", tag, ">"]),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What a tag stands for; nothing for one that is none.
    fn value(&self, tag: &str) -> Result<Option<String>, NeedsJail> {
        let id = FailId::parse(&self.address());
        Ok(Some(match tag {
            "ip" => self.address().into_owned(),
            "fid" => self.id.clone(),
            "family" => family(&id).to_owned(),
            "ip-rev" => reversed(&id),
            "ip-host" => self.host(),
            "time" => self.counted.clone(),
            "matches" => self.lines(),
            "failures" | "bancount" | "restored" => "0".to_owned(),
            "F-*" => self.data(),
            "raw-ticket" => format!(
                "BanTicket: ip={} time={} bantime=None bancount=0 #attempts=0 matches={}",
                self.id,
                self.counted,
                python::matches(self.matches)
            ),
            "bantime" | "ipmatches" | "ipjailmatches" | "ipfailures" | "ipjailfailures" => {
                return Err(NeedsJail(tag.to_owned()));
            }
            "jail.banned" | "jail.banned_total" | "jail.found" | "jail.found_total" => {
                return Err(NeedsJail(tag.to_owned()));
            }
            tag => match tag.strip_prefix("F-") {
                Some(name) if is_group(name) => self.group(&name.to_lowercase()),
                _ => return Ok(None),
            },
        }))
    }

    /// `<F-NAME>`: empty where the group took no part.
    fn group(&self, name: &str) -> String {
        // As these tags are called in a regex.
        let name = match name {
            "id" => "fid",
            "port" => "fport",
            name => name,
        };
        match (name, self.get(name)) {
            ("matches", _) => python::matches(self.matches),
            ("failures", _) => "0".to_owned(),
            ("ip", None) => self.beside().unwrap_or_default().to_owned(),
            (_, None) => String::new(),
            (_, value) => python::display(value),
        }
    }

    /// The name that led to the address. No name is looked for here.
    fn host(&self) -> String {
        self.has("dns")
            .filter(|name| *name != self.id)
            .unwrap_or("None")
            .to_owned()
    }

    fn data(&self) -> String {
        let mut pairs = vec![
            ("matches", python::matches(self.matches)),
            ("failures", "0".to_owned()),
        ];
        let fields = self.fields.iter();
        let fields = fields.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        pairs.extend(fields.map(|(name, value)| (&**name, value.repr())));
        if let Some(address) = self.beside().filter(|_| self.get("ip").is_none()) {
            pairs.push(("ip", ferroban_config::quoted(address)));
        }
        python::dict(pairs)
    }
}

fn is_group(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(letter)
}

/// The text before the next tag, the tag, and what follows.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    for (start, _) in text.match_indices('<') {
        let inner = text.get(start + 1..)?;
        let end = inner.find(['<', '>', ' '])?;
        let tag = inner.get(..end)?;
        if !tag.is_empty() && inner.get(end..)?.starts_with('>') {
            return Some((text.get(..start)?, tag, inner.get(end + 1..)?));
        }
    }
    None
}

fn address(id: &FailId) -> Option<IpAddr> {
    match id {
        FailId::Address(address) => Some(*address),
        FailId::Network(network) => Some(network.address()),
        FailId::Text(_) => None,
    }
}

fn family(id: &FailId) -> &'static str {
    match address(id) {
        Some(IpAddr::V4(_)) => "inet4",
        Some(IpAddr::V6(_)) => "inet6",
        None => "None",
    }
}

/// `1.2.0.192.` or the nibbles of an IPv6 address, as DNS wants them.
fn reversed(id: &FailId) -> String {
    match address(id) {
        None => String::new(),
        Some(IpAddr::V4(_)) => {
            let mut out = String::new();
            for part in id.to_string().rsplit('.') {
                // Writing to a string cannot fail.
                write!(out, "{part}.").ok();
            }
            out
        }
        Some(IpAddr::V6(address)) => {
            let digits = format!("{:032x}", address.to_bits());
            digits
                .chars()
                .rev()
                .flat_map(|digit| [digit, '.'])
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: &str) -> String {
        let field = |name: &str, value: &str| (Name::from(name), Some(Capture::from(value)));
        let fields = [
            field("user", "<ip>"),
            field("ip4", "192.0.2.7"),
            (Name::IP6, None),
            field("fport", "22"),
        ];
        let matches = [Match::new("", "D", " one <fid>"), Match::new("", "", "two")];
        let row = Row {
            id: "192.0.2.7".to_owned(),
            id_repr: "'192.0.2.7'".to_owned(),
            time: None,
            counted: "17.5".to_owned(),
            fields: &fields,
            matches: &matches,
        };
        match Pick::new(format).text(&row) {
            Ok(text) => text.unwrap_or_default(),
            Err(NeedsJail(tag)) => format!("needs a jail: {tag}"),
        }
    }

    #[test]
    fn each_format_prints_its_part() {
        let rows = [
            ("id", "192.0.2.7"),
            ("ip", "192.0.2.7"),
            ("msg", "D one <fid>\ntwo"),
            (
                "row",
                "['192.0.2.7',\tNone,\t{'user': '<ip>', 'ip4': '192.0.2.7', 'ip6': None, 'fport': '22'}],",
            ),
            ("user", "<ip>"),
            ("ip6", "None"),
            ("time", "None"),
            ("USER", "None"),
            ("matches", "[('', 'D', ' one <fid>'), ('', '', 'two')]"),
            ("<", "<"),
            ("<id> <nope> <ip>", "<id> <nope> 192.0.2.7"),
            ("<F-USER>|<F-NOPE>|<F-IP6>", "<ip>||"),
            ("<F-PORT>|<F-ID>|<F-id>", "22||<F-id>"),
            ("<time> <failures>", "17.5 0"),
            ("<ip-rev> <family> <ip-host>", "7.2.0.192. inet4 None"),
            ("<matches>!", "D one <fid>\ntwo!"),
            ("<msg>!", "D one <fid>!\ntwo!"),
            ("x <bantime>", "needs a jail: bantime"),
            ("<jail.found>", "needs a jail: jail.found"),
            ("<jail.name>", "<jail.name>"),
            ("a < b <ip>", "a < b 192.0.2.7"),
        ];
        for (format, expected) in rows {
            assert_eq!(text(format), expected, "{format}");
        }
    }
}
