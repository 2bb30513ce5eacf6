//! What old configurations are known by: filters that have another name today, and
//! actions that lost their indentation when somebody pasted them.

use std::io;
use std::path::Path;

use ferroban_config::{Files, Layers};

/// Filters that were renamed: what they were called, and what they are called.
const FILTERS: &[(&str, &str)] = &[
    ("courierlogin", "courier-auth"),
    ("couriersmtp", "courier-smtp"),
];

/// What a filter without files of its own is called today, if the folder `base` has that.
pub(crate) fn filter_today(files: &dyn Files, base: &Path, name: &str) -> Option<&'static str> {
    let (_, today) = FILTERS.iter().find(|(old, _)| *old == name)?;
    let there = |name: &str| {
        ["conf", "local"].into_iter().any(|ending| {
            let read = files.read(&base.join(format!("filter.d/{name}.{ending}")), 1);
            !read.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
    };
    (!there(name) && there(today)).then_some(today)
}

/// What is told about the line of a second action that has no blanks before it. The
/// language takes it for an option of its own, up to the first `=`.
pub(crate) fn lost_action(option: &str) -> String {
    let action = option.split('[').next().unwrap_or_default();
    format!(
        "a second action '{action}' seems to have lost its indentation, so it never runs; indent \
         it to continue 'action' above"
    )
}

/// Whether the name of an option is the beginning of such a line.
pub(crate) fn is_lost_action(option: &str) -> bool {
    option.contains('[')
}

/// The lines of a jail that are second actions without their indentation, each with its
/// place and what is told about it.
pub(super) fn lost_actions(layers: &Layers, jail: &str) -> Vec<String> {
    layers
        .names(jail)
        .filter(|name| is_lost_action(name))
        .filter_map(|name| {
            let place = layers.raw(jail, name)?.place().clone();
            Some(format!("{place}: {}", lost_action(name)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ferroban_config::Memory;

    use super::*;

    #[test]
    fn a_renamed_filter_is_found_unless_its_own_files_are_there() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["courier-auth.conf"], Some("courier-auth")),
            (&["courier-auth.local"], Some("courier-auth")),
            (&["courier-auth.conf", "courierlogin.conf"], None),
            (&["courier-auth.conf", "courierlogin.local"], None),
            (&["courier-smtp.conf"], None),
            (&[], None),
        ];
        for (files, expected) in cases {
            let path = |name: &&str| (format!("/c/filter.d/{name}"), String::new());
            let memory: Memory = files.iter().map(path).collect();
            let found = filter_today(&memory, Path::new("/c"), "courierlogin");
            assert_eq!(found, *expected, "{files:?}");
        }
        let memory: Memory = [("/c/filter.d/sshd.conf", "")].into_iter().collect();
        assert_eq!(filter_today(&memory, Path::new("/c"), "nosuch"), None);
    }

    proptest::proptest! {
        /// Any action with options, with its blanks and without them.
        #[test]
        fn a_second_action_is_told_if_and_only_if_its_blanks_are_gone(
            name in "[a-z][a-z-]{0,15}",
            options in "[a-z]{1,8}=[a-zA-Z0-9@.%]{0,12}(?:, [a-z]{1,8}=[a-z ]{0,8}){0,3}",
            blanks in 0_usize..4,
        ) {
            let line = format!("{}{name}[{options}]", " ".repeat(blanks));
            let text = format!("[a]\naction = x\n{line}\n");
            let files: Memory = [("/c/jail.conf", text)].into_iter().collect();
            let layers = Layers::read(&files, Path::new("/c"), "jail").unwrap();
            let told = lost_actions(&layers, "a");
            proptest::prop_assert_eq!(told.len(), usize::from(blanks == 0));
            let named = format!("'{name}'");
            proptest::prop_assert!(told.iter().all(|text| text.contains(&named)));
        }
    }

    #[test]
    fn a_second_action_without_blanks_is_told_with_its_line() {
        let text = "[a]\nenabled = true\naction = x[y=1]\nmail[name=a, dest=b]\nlogpath = /l\n\
                    [b]\naction = x\n         mail[name=a, dest=b]\n";
        let files: Memory = [("/c/jail.conf", text)].into_iter().collect();
        let layers = Layers::read(&files, Path::new("/c"), "jail").unwrap();
        let told = lost_actions(&layers, "a");
        assert_eq!(
            told,
            [
                "/c/jail.conf:4: a second action 'mail' seems to have lost its indentation, so it \
                 never runs; indent it to continue 'action' above"
            ]
        );
        assert_eq!(lost_actions(&layers, "b"), [""; 0]);
    }
}
