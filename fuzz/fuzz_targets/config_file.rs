//! Any bytes as `jail.conf`: read it and put every option together.
#![no_main]

use ferroban_config::{Layers, Memory};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let files: Memory = [("/f/jail.conf", bytes)].into_iter().collect();
    let (layers, _mistakes) = Layers::read_partly(&files, "/f".as_ref(), "jail");
    for section in layers.sections() {
        for name in layers.names(section) {
            let _ = layers.option(section, name);
        }
    }
});
