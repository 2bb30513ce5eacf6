//! Splits a line into words as a shell does, by the rules of Python's `shlex`.

use std::fmt;

/// Why a line cannot be split.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WordsError {
    /// A quote is not closed.
    OpenQuote,
    /// Nothing follows a backslash.
    OpenEscape,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenQuote => "No closing quotation",
            Self::OpenEscape => "No escaped character",
        })
    }
}

impl std::error::Error for WordsError {}

/// The words of a line. Quotes may stand inside a word; `\` escapes one character, in
/// `"…"` only `"` and itself.
pub(crate) fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let escaped = chars.next().ok_or(WordsError::OpenEscape)?;
                word.get_or_insert_default().push(escaped);
            }
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quote.
fn quoted(
    quote: char,
    chars: &mut impl Iterator<Item = char>,
    word: &mut String,
) -> Result<(), WordsError> {
    loop {
        match chars.next().ok_or(WordsError::OpenQuote)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let escaped = chars.next().ok_or(WordsError::OpenEscape)?;
                if !matches!(escaped, '"' | '\\') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_python_does() {
        let cases: [(&str, Result<&[&str], WordsError>); 11] = [
            ("", Ok(&[])),
            (" \t", Ok(&[])),
            ("_COMM=a + _UID=0", Ok(&["_COMM=a", "+", "_UID=0"])),
            ("A='b c' # x", Ok(&["A=b c", "#", "x"])),
            (r#"a\ b "x y"z 'q w'"#, Ok(&["a b", "x yz", "q w"])),
            (r#""a\"b" "a\nb" 'a\'"#, Ok(&["a\"b", "a\\nb", "a\\"])),
            (r#""" x"#, Ok(&["", "x"])),
            ("a\u{a0}b", Ok(&["a\u{a0}b"])),
            ("'", Err(WordsError::OpenQuote)),
            ("a \"b", Err(WordsError::OpenQuote)),
            ("a\\", Err(WordsError::OpenEscape)),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|words| words.iter().map(|w| (*w).to_owned()).collect());
            assert_eq!(split(line), expected, "{line}");
        }
    }
}
