//! Whatever is in the files, reading them neither panics nor takes for ever.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferroban_config::{
        Definition, Errors, Invocation, Layers, Memory, Options, Place, Seconds, Value,
    };
    use proptest::prelude::*;

    /// Reads all there is to read.
    fn exhaust(bytes: &[u8]) {
        let files: Memory = [
            ("/e/j.conf", bytes),
            ("/e/j.local", bytes),
            ("/e/i.conf", bytes),
        ]
        .into_iter()
        .collect();
        let layers = match Layers::read(&files, Path::new("/e"), "j") {
            Ok(layers) => layers,
            Err(errors) => return tell(&errors),
        };
        for section in layers.sections() {
            for option in layers.names(section).chain(layers.names("DEFAULT")) {
                if let Err(error) = layers.option(section, option) {
                    tell(&error.into());
                }
            }
        }
        let given: Options = [("y", Value::new("<x>%(x)s", Place::named("given")))]
            .into_iter()
            .collect();
        match Definition::new(&layers, &given, &given) {
            Err(errors) => tell(&errors),
            Ok(definition) => {
                for option in layers.names("Definition") {
                    if let Err(error) = definition.resolved(option, &["ip"]) {
                        tell(&error.into());
                    }
                }
            }
        }
    }

    /// Every mistake can be shown, in either wording.
    fn tell(errors: &Errors) {
        for error in errors.iter() {
            let (message, place) = (error.to_string(), error.place());
            assert!(place.is_none_or(|place| message.starts_with(&format!("{place}: "))));
            assert!(message.contains("; ") && !error.original().is_empty());
        }
    }

    /// Bytes that look like a configuration more often than chance makes them.
    fn almost() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "\n",
            "\n",
            "\r",
            "[",
            "]",
            "[Definition]\n",
            "[Init]\n",
            "[DEFAULT]\n",
            "[INCLUDES]\nbefore=",
            "i.conf",
            "x=",
            "y:",
            "\n ",
            ";",
            "#",
            "%",
            "%(x)s",
            "%(y)s",
            "%(known/x)s",
            "%(",
            "<x>",
            "<y",
            "<",
            ">",
            "<known/y>",
            "<Init/x>",
            "?",
            "é",
            "\u{feff}",
            "/",
        ];
        let piece = prop_oneof![
            20 => prop::sample::select(pieces.map(|piece| piece.as_bytes().to_vec()).to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            exhaust(&bytes);
        }

        #[test]
        fn almost_a_configuration_can_be_read(bytes in almost()) {
            exhaust(&bytes);
        }

        #[test]
        fn any_text_can_be_an_invocation(text in "(\\PC|[\\[\\],=\"' ]){0,40}") {
            for item in Invocation::split(&text) {
                prop_assert!(!item.is_empty());
            }
            for text in [format!("a[{text}]"), text] {
                if let Err(error) = Invocation::parse(&text) {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }

        #[test]
        fn any_text_can_be_a_time(text in "(\\PC|[0-9a-z+*/() -]){0,40}") {
            if let Err(error) = text.parse::<Seconds>() {
                prop_assert!(!error.to_string().is_empty() && !error.original().is_empty());
            }
        }
    }
}
