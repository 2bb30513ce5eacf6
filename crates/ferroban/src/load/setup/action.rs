//! The actions of a jail, as clients see them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use ferroban_config::quoted;

use super::super::word::Word;
use super::super::{ActionPlan, PythonPlan, Refusal};
use super::value::{first, seconds, shown};

/// What a command action has before anybody sets anything.
const COMMANDS: [&str; 9] = [
    "actionban",
    "actioncheck",
    "actionflush",
    "actionreban",
    "actionreload",
    "actionrepair",
    "actionstart",
    "actionstop",
    "actionunban",
];

/// Attributes that fail2ban's own class has, which clients can list.
const CONSTANTS: [(&str, &str); 2] = [("ESCAPE_CRE", ""), ("ESCAPE_VN_CRE", "")];

/// What tells a file from what it was before.
fn stamp(file: &str) -> Option<[i64; 4]> {
    let about = fs::metadata(file).ok()?;
    let number = i64::try_from(about.ino()).unwrap_or_default();
    let size = i64::try_from(about.size()).unwrap_or_default();
    Some([about.ctime(), about.ctime_nsec(), number, size])
}

/// One action of a jail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ActionSetup {
    /// What it is called in this jail.
    pub(crate) name: String,
    properties: BTreeMap<String, Word>,
    python: Option<PythonPlan>,
}

impl ActionSetup {
    /// A command action without commands.
    pub(crate) fn new(name: &str) -> Self {
        let mut action = Self {
            name: name.to_owned(),
            properties: BTreeMap::new(),
            python: None,
        };
        action.clear();
        action
    }

    /// A program in Python, with an object in JSON that its class is given.
    pub(crate) fn python(name: &str, file: &Word, json: Option<&Word>) -> Result<Self, Refusal> {
        let file = shown(file);
        let json = json.map(shown).unwrap_or_default();
        let options = match serde_json::from_str(if json.is_empty() { "{}" } else { &json }) {
            Ok(serde_json::Value::Object(options)) => options,
            Ok(_) => {
                let text =
                    format!("{file}: options are an object in JSON, as {{\"port\": \"22\"}}");
                return Err(Refusal::Error("TypeError", text));
            }
            Err(error) => {
                let text = format!("{file}: {error}; options are an object in JSON");
                return Err(Refusal::Error("JSONDecodeError", text));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            properties: BTreeMap::new(),
            python: Some(PythonPlan {
                stamp: stamp(&file),
                file,
                options,
            }),
        })
    }

    /// Whether it is a program in Python: then only it knows its properties.
    pub(crate) fn is_python(&self) -> bool {
        self.python.is_some()
    }

    /// Forgets what was set.
    pub(crate) fn clear(&mut self) {
        let empty = |name: &&str| ((*name).to_owned(), Word::from(""));
        self.properties = COMMANDS.iter().map(empty).collect();
        self.properties.insert("timeout".to_owned(), Word::Int(60));
    }

    /// The names of its properties, sorted as Python sorts.
    pub(crate) fn names(&self) -> Vec<&str> {
        let own = self.properties.keys().map(String::as_str);
        let constants = CONSTANTS.iter().map(|(name, _)| *name);
        let mut names: Vec<&str> = own.chain(constants).chain(["banEpoch"]).collect();
        names.sort_unstable();
        names
    }

    /// A property.
    pub(crate) fn get(&self, name: &str) -> Result<Word, Refusal> {
        if name == "banEpoch" {
            return Ok(Word::Int(0));
        }
        // It is for the mail server alone.
        if name == "password" && self.plan().is_smtp() {
            return Ok(Word::from("***"));
        }
        self.properties.get(name).cloned().ok_or_else(|| {
            let text = format!("'CommandAction' object has no attribute {}", quoted(name));
            Refusal::Error("AttributeError", text)
        })
    }

    /// Sets a property, or makes it. A ban time of its own an action has not: it is
    /// ignored without a word.
    pub(crate) fn set(&mut self, name: &str, values: &[Word]) -> Result<(), Refusal> {
        let value = first(values)?;
        match name {
            "bantime" => {}
            "timeout" => {
                self.properties.insert(name.to_owned(), seconds(value)?);
            }
            _ => {
                self.properties.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    /// What it is to do.
    pub(crate) fn plan(&self) -> ActionPlan {
        let option = |(name, word): (&String, &Word)| (name.clone(), shown(word));
        ActionPlan {
            name: self.name.clone(),
            options: self.properties.iter().map(option).collect(),
            python: self.python.clone(),
        }
    }
}
