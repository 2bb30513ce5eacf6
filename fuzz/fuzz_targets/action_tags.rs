//! Any command, any options and any ticket: the tags are filled or it is an error, and
//! nothing of the ticket means something to the shell.
#![no_main]

use std::collections::BTreeMap;

use ferroban::doors::{Filled, fill};

const SPECIAL: &str = "\\#&;`|*?~<>^()[]{}$'\"\n\r";

type Pairs = BTreeMap<String, String>;

libfuzzer_sys::fuzz_target!(|input: (String, Pairs, Pairs)| {
    let (command, options, ticket) = input;
    let Ok(filled) = fill(&command, &options, &ticket) else {
        return;
    };
    let Filled {
        trusted,
        script,
        args,
    } = &filled;
    let body = match args.as_slice() {
        [] => script,
        _ => {
            script
                .split_once('\n')
                .expect("variables have a line of their own")
                .1
        }
    };
    for special in SPECIAL.chars() {
        let count = |text: &str| text.matches(special).count();
        let variables = if special == '$' {
            body.matches("$f2bV_").count()
        } else {
            0
        };
        assert!(
            count(body) <= count(trusted) + variables,
            "{special:?}: {filled:?}"
        );
    }
    assert!(args.iter().all(|arg| !arg.contains('\0')), "{filled:?}");
});
