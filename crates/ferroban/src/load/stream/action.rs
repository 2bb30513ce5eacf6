//! The actions of a jail.

use ferroban_config::{Definition, Files, Invocation, Layers, Memory, Options, Place, Value};

use std::path::Path;
use std::rc::Rc;

use super::super::folder::Folder;
use super::super::word::{Command, Word, is_on, set};
use super::super::{LoadError, NATIVE, OWN, OWN_SMTP, SMTP};
use super::definition::{Standard, check, combined, first_mistake, kind, option, resolved};
use super::typed::Kind;

const STANDARD: &[Standard] = &[
    ("actionstart", Kind::Text),
    ("actionstart_on_demand", Kind::Bool),
    ("actionstop", Kind::Text),
    ("actionflush", Kind::Text),
    ("actionreload", Kind::Text),
    ("actioncheck", Kind::Text),
    ("actionrepair", Kind::Text),
    ("actionrepair_on_unban", Kind::Bool),
    ("actionban", Kind::Text),
    ("actionprolong", Kind::Text),
    ("actionreban", Kind::Text),
    ("actionunban", Kind::Text),
    ("norestored", Kind::Bool),
];

/// Tags that only a ban can fill.
const LATER: &[&str] = &[
    "matches",
    "ipmatches",
    "ipjailmatches",
    "timeout",
    "bantime",
];

/// An action of a jail.
pub(super) enum Action {
    /// One whose commands are in a file.
    File(Box<FileAction>),
    /// One that is a Python program.
    Python(Command),
}

/// An action whose commands are in a file.
pub(super) struct FileAction {
    layers: Rc<Layers>,
    name: String,
    given: Options,
    /// What it says; tags are still in it.
    raw: Vec<(String, Value)>,
    /// Whether it has a `[Definition]`.
    defined: bool,
}

/// The actions that `text` calls for. What is wrong is the jail's mistake.
pub(super) fn read(
    folder: &mut Folder<'_>,
    jail: &str,
    text: &str,
    options: &Options,
) -> Result<Result<Vec<Action>, LoadError>, LoadError> {
    let mut actions = Vec::new();
    for item in Invocation::split(text) {
        let invocation = match Invocation::parse(item) {
            Ok(invocation) => invocation,
            Err(source) => {
                return Ok(Err(LoadError::Invocation {
                    jail: jail.to_owned(),
                    option: "action",
                    text: item.to_owned(),
                    source,
                }));
            }
        };
        if let Some(stem) = invocation.name.strip_suffix(".py") {
            let command = python(folder.base(), jail, stem, &invocation);
            actions.push(Action::Python(command));
            continue;
        }
        let action = FileAction::read(folder, jail, &invocation, options);
        match action.map_err(|source| LoadError::Action {
            text: item.to_owned(),
            source: Box::new(source),
        })? {
            Some(action) => actions.push(Action::File(Box::new(action))),
            None => {
                return Ok(Err(LoadError::NoAction {
                    jail: jail.to_owned(),
                    action: invocation.name,
                }));
            }
        }
    }
    Ok(Ok(actions))
}

impl Action {
    /// The commands that add the action to its jail.
    pub(super) fn commands(
        self,
        folder: &mut Folder<'_>,
        jail: &str,
        options: &Options,
    ) -> Result<Vec<Command>, LoadError> {
        match self {
            Self::Python(command) => Ok(vec![command]),
            Self::File(action) => action.commands(folder, jail, options),
        }
    }
}

impl FileAction {
    fn read(
        folder: &mut Folder<'_>,
        jail: &str,
        invocation: &Invocation,
        options: &Options,
    ) -> Result<Option<Self>, LoadError> {
        let Some(layers) = layers(folder, &invocation.name)? else {
            return Ok(None);
        };
        let (name, given) = named(jail, invocation);
        let defined = check(folder, &layers, STANDARD);
        let definition = Definition::new(&layers, &given, options)
            .map_err(|errors| first_mistake(errors, &layers, STANDARD, [&given, options]))?;
        let wanted = |name: &str| given.get(name).is_none();
        let raw = combined(&definition, STANDARD, wanted)?;
        Ok(Some(Self {
            layers,
            name,
            given,
            raw,
            defined,
        }))
    }

    fn commands(
        self,
        folder: &mut Folder<'_>,
        jail: &str,
        options: &Options,
    ) -> Result<Vec<Command>, LoadError> {
        let definition = Definition::new(&self.layers, &self.given, options);
        let definition = definition.map_err(LoadError::Config)?;
        let mut standard = resolved(&definition, self.raw, LATER)?;
        definition.check(LATER).map_err(option)?;
        let mut pairs = if self.defined {
            Vec::new()
        } else {
            nothing(&self.given, &mut standard)
        };
        for (name, value) in standard {
            let kind = kind(STANDARD, &name).unwrap_or(Kind::Text);
            let word = folder.convert(kind, &name, value.text());
            pairs.push((name, word));
        }
        for (name, value) in definition.properties() {
            if kind(STANDARD, name).is_none() {
                pairs.push((name.to_owned(), value.text().into()));
            }
        }
        let mut commands = vec![set(jail, "addaction", self.name.as_str().into())];
        commands.extend(properties(jail, &self.name, pairs));
        Ok(commands)
    }
}

/// The files of an action. Our own have none, and want none.
fn layers(folder: &mut Folder<'_>, name: &str) -> Result<Option<Rc<Layers>>, LoadError> {
    let text = match name {
        NATIVE => "[Definition]\n".to_owned(),
        SMTP => format!("[Definition]\n[Init]\n{OWN} = {OWN_SMTP}\n"),
        _ => return folder.layers(&format!("action.d/{name}")),
    };
    let path = format!("/{name}.conf");
    let own: Memory = [(path.as_str(), text.as_str())].into_iter().collect();
    let files: &dyn Files = &own;
    let layers = Layers::read(files, Path::new("/"), name).map_err(LoadError::Config)?;
    Ok(Some(Rc::new(layers)))
}

/// What an action is called, and its options with `name` and `actname` among them. A
/// `name` that differs from the jail's makes a different action.
fn named(jail: &str, invocation: &Invocation) -> (String, Options) {
    let place = Place::named(jail);
    let mut given = invocation.options_at(&place);
    let mut called = invocation.name.clone();
    match given.get("name").map(|name| name.text().to_owned()) {
        None => {
            given.insert("name", Value::new(jail, place.clone()));
        }
        Some(name) if name == jail => {}
        Some(name) => match name.strip_prefix(jail) {
            Some(rest) => called.push_str(rest),
            None => called = format!("{called}-{name}"),
        },
    }
    let called = match given.get("actname") {
        Some(name) => name.text().to_owned(),
        None => {
            given.insert("actname", Value::new(called.as_str(), place));
            called
        }
    };
    (called, given)
}

/// Without a `[Definition]` fail2ban sends every standard option as nothing. Those that
/// `[Init]` sets are put in their places.
fn nothing(given: &Options, standard: &mut Vec<(String, Value)>) -> Vec<(String, Word)> {
    let mut pairs = Vec::new();
    for (name, kind) in STANDARD
        .iter()
        .filter(|(name, _)| given.get(name).is_none())
    {
        let at = standard.iter().position(|(known, _)| known == name);
        let word = match at.map(|at| standard.remove(at).1) {
            Some(value) if *kind == Kind::Bool => is_on(value.text()).into(),
            Some(value) => value.text().into(),
            None => Word::None,
        };
        pairs.push(((*name).to_owned(), word));
    }
    pairs
}

fn properties(jail: &str, name: &str, mut pairs: Vec<(String, Word)>) -> Option<Command> {
    let mut command = set(jail, "action", name.into());
    match pairs.len() {
        0 => return None,
        1 => {
            let (property, value) = pairs.remove(0);
            command.extend([property.into(), value]);
        }
        _ => {
            let pair = |(name, value): (String, Word)| Word::List(vec![name.into(), value]);
            command[0] = "multi-set".into();
            command.push(Word::List(pairs.into_iter().map(pair).collect()));
        }
    }
    Some(command)
}

/// The command for an action that is a Python program.
fn python(base: &Path, jail: &str, stem: &str, invocation: &Invocation) -> Command {
    let options = invocation.options_at(&Place::named(jail));
    let pairs: Vec<String> = options
        .iter()
        .filter(|(name, _)| *name != "actname")
        .map(|(name, value)| format!("{}: {}", json(name), json(value.text())))
        .collect();
    let name = options.get("actname").map_or(stem, Value::text);
    let file = base.join("action.d").join(&invocation.name);
    let mut command = set(jail, "addaction", name.into());
    command.push(file.display().to_string().into());
    command.push(format!("{{{}}}", pairs.join(", ")).into());
    command
}

/// A text in JSON with nothing but ASCII, as Python writes it.
fn json(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_called_after_its_file_and_what_is_special_about_its_name() {
        let cases = [
            ("act", "act", "name=a actname=act"),
            ("act[name=a]", "act", "name=a actname=act"),
            ("act[name=a-udp]", "act-udp", "name=a-udp actname=act-udp"),
            (
                "act[name=other, x=1]",
                "act-other",
                "name=other x=1 actname=act-other",
            ),
            ("act[actname=z, name=b]", "z", "actname=z name=b"),
            ("act[name=]", "act-", "name= actname=act-"),
        ];
        for (text, name, options) in cases {
            let (called, given) = named("a", &Invocation::parse(text).unwrap());
            let given: Vec<String> = given
                .iter()
                .map(|(name, value)| format!("{name}={}", value.text()))
                .collect();
            assert_eq!(
                (called.as_str(), given.join(" ").as_str()),
                (name, options),
                "{text}"
            );
        }
    }

    #[test]
    fn options_of_python_actions_are_json_in_ascii() {
        let cases = [
            ("plain", r#""plain""#),
            ("\"\\\n\t", r#""\"\\\n\t""#),
            ("é\u{1f600}\u{7f}", r#""\u00e9\ud83d\ude00\u007f""#),
        ];
        for (text, expected) in cases {
            assert_eq!(json(text), expected);
        }
    }
}
