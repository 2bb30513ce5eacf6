//! What a reload would change about the actions of a jail, as people are told.
//!
//! Whoever may see the plan of a reload need not know the passwords of actions.

use ferroban_engine::OptionChange;

use crate::load::ActionPlan;

/// What is to be told of an action where it differs: all but passwords.
fn shown(action: &ActionPlan) -> String {
    let python = action.python.as_ref().map(|python| {
        let mut options = python.options.clone();
        for (_, value) in options.iter_mut().filter(|(name, _)| is_secret(name)) {
            *value = HIDDEN.into();
        }
        let options = serde_json::Value::Object(options);
        let [secs, nanos, ..] = python.stamp.unwrap_or_default();
        format!(" {} of {secs}.{nanos:09} {options}", python.file)
    });
    let python = python.unwrap_or_default();
    let mut options = action.options.clone();
    for (_, value) in options.iter_mut().filter(|(name, _)| is_secret(name)) {
        HIDDEN.clone_into(value);
    }
    format!("{}{options:?}{python}", action.name)
}

/// What stands for a password.
const HIDDEN: &str = "***";

fn is_secret(option: &str) -> bool {
    option.to_ascii_lowercase().contains("password")
}

/// The change of a jail's actions, if there is one, though it may be one of a password.
pub(super) fn between(old: &[ActionPlan], new: &[ActionPlan]) -> Option<OptionChange> {
    let all = |actions: &[ActionPlan]| {
        let all: Vec<String> = actions.iter().map(shown).collect();
        all.join("\n")
    };
    let (from, mut to) = (all(old), all(new));
    if old != new && from == to {
        to.push_str(", with another password");
    }
    OptionChange::between("action", from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    use crate::load::PythonPlan;

    #[test]
    fn passwords_are_in_no_plan_and_their_change_is() {
        let with = |password: &str| {
            let options = [("dest", "root"), ("password", password)];
            let options = options.map(|(name, text)| (name.to_owned(), text.to_owned()));
            let python = json!({ "password": password, "host": "mail" });
            let python = PythonPlan {
                file: "smtp.py".to_owned(),
                options: python.as_object().unwrap().clone(),
                stamp: None,
            };
            let own = ActionPlan {
                name: "own".to_owned(),
                options: options.into(),
                python: None,
            };
            let other = ActionPlan {
                name: "other".to_owned(),
                python: Some(python),
                ..ActionPlan::default()
            };
            [own, other]
        };
        assert_eq!(between(&with("geheim"), &with("geheim")), None);
        let change = between(&with("geheim"), &with("secret"))
            .unwrap()
            .to_string();
        let hidden = !change.contains("geheim") && !change.contains("secret");
        assert!(
            hidden && change.ends_with("with another password"),
            "{change}"
        );
        assert!(
            change.contains("\"dest\": \"root\"") && change.contains("\"host\":\"mail\""),
            "{change}"
        );
        let change = between(&with("geheim"), &[]).unwrap().to_string();
        assert!(!change.contains("geheim"), "{change}");
    }
}
