//! Links to debuggex.com, where a regex can be looked at on a line.

/// The link for a regex, without tags, and a line.
pub(super) fn link(regex: &str, line: &str, multi_line: bool) -> String {
    let flags = if multi_line { "&flags=m" } else { "" };
    format!(
        "https://www.debuggex.com/?re={}&str={}&flavor=python{flags}",
        encoded(regex),
        encoded(line)
    )
}

/// A text as it stands in a query: blanks become `+`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_encoded_as_python_does() {
        let link = link("^a (?P<x>é)$", "a ~_.-*+/\\\"%&", false);
        assert_eq!(
            link,
            "https://www.debuggex.com/?re=%5Ea+%28%3FP%3Cx%3E%C3%A9%29%24\
             &str=a+~_.-%2A%2B%2F%5C%22%25%26&flavor=python"
        );
        assert!(super::link("x", "x", true).ends_with("&flavor=python&flags=m"));
    }
}
