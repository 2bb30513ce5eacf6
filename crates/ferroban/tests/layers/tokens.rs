//! Just enough of Rust's grammar to find paths in a source: words and marks without
//! comments and literals, inline modules, and what is a test.

/// A word, a mark, or `""` for any literal. Comments are not there.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (length, kind) = next_token(&chars[at..]);
        let text: String = chars[at..at + length].iter().collect();
        let newlines = text.matches('\n').count();
        match kind {
            Kind::Nothing => {}
            Kind::Literal => tokens.push(Token {
                text: "\"\"".to_owned(),
                line,
            }),
            Kind::Text => tokens.push(Token { text, line }),
        }
        line += newlines;
        at += length;
    }
    tokens
}

enum Kind {
    Nothing,
    Literal,
    Text,
}

/// How long the token is that `rest`, never empty, starts with.
fn next_token(rest: &[char]) -> (usize, Kind) {
    let word = |c: &&char| c.is_alphanumeric() || **c == '_';
    let starts = |text: &str| text.chars().eq(rest.iter().take(text.len()).copied());
    if starts("//") {
        return (
            rest.iter().take_while(|c| **c != '\n').count(),
            Kind::Nothing,
        );
    }
    if starts("/*") {
        return (comment(rest), Kind::Nothing);
    }
    if let Some(length) = string(rest).or_else(|| character(rest)) {
        return (length, Kind::Literal);
    }
    match rest.iter().take_while(word).count() {
        0 if starts("::") => (2, Kind::Text),
        0 if rest[0].is_whitespace() => (1, Kind::Nothing),
        0 => (1, Kind::Text),
        length => (length, Kind::Text),
    }
}

fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let pair = (rest[at], rest.get(at + 1).copied().unwrap_or_default());
        match pair {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

/// `"…"`, `b"…"`, `c"…"`, and the raw ones, `r#"…"#`.
fn string(rest: &[char]) -> Option<usize> {
    let letters = rest.iter().take_while(|c| "bcr".contains(**c)).count();
    let hashes = rest.iter().skip(letters).take_while(|c| **c == '#').count();
    let raw = letters > 0 && rest[letters - 1] == 'r';
    let mut at = letters + hashes + 1;
    if letters > 2 || (hashes > 0 && !raw) || rest.get(at - 1) != Some(&'"') {
        return None;
    }
    while at < rest.len() {
        let ends = rest
            .iter()
            .skip(at + 1)
            .take(hashes)
            .filter(|c| **c == '#')
            .count()
            == hashes;
        match rest[at] {
            '\\' if !raw => at += 1,
            '"' if ends => return Some(at + 1 + hashes),
            _ => {}
        }
        at += 1;
    }
    Some(rest.len())
}

/// `'x'` or `b'x'`, but not the lifetime `'x`.
fn character(rest: &[char]) -> Option<usize> {
    let start = usize::from(rest.first() == Some(&'b')) + 1;
    if rest.get(start - 1) != Some(&'\'') {
        return None;
    }
    if rest.get(start) == Some(&'\\') {
        let end = rest.iter().skip(start + 2).position(|c| *c == '\'')?;
        return Some(start + 2 + end + 1);
    }
    (rest.get(start + 1) == Some(&'\'')).then_some(start + 2)
}

/// Whether `look`, tokens with blanks between them, stands at `index`.
pub(crate) fn looks(tokens: &[Token], index: usize, look: &str) -> bool {
    // `child.stdout()` would be another thing than `stdout()`.
    let is_method = index > 0 && tokens[index - 1].text == ".";
    !is_method
        && look.split(' ').enumerate().all(|(offset, word)| {
            tokens
                .get(index + offset)
                .is_some_and(|token| token.text == word)
        })
}

/// How many modules of the same file each token stands in.
pub(crate) fn inline_depths(tokens: &[Token]) -> Vec<usize> {
    let mut braces = 0;
    let mut modules: Vec<usize> = Vec::new();
    let mut depths = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => {
                braces += 1;
                if index > 1 && tokens[index - 2].text == "mod" {
                    modules.push(braces);
                }
            }
            "}" => {
                if modules.last() == Some(&braces) {
                    modules.pop();
                }
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
        depths.push(modules.len());
    }
    depths
}

/// The rooms that the path at `index` names, if one that leaves its module starts
/// there. `depth` is how many modules that place is below the crate's root.
pub(crate) fn rooms_named(tokens: &[Token], index: usize, depth: usize) -> Vec<String> {
    let inside_a_path = index > 0 && tokens[index - 1].text == "::";
    let ups = match tokens[index].text.as_str() {
        _ if inside_a_path => return Vec::new(),
        "crate" => usize::from(looks(tokens, index, "crate ::")) * depth,
        "super" => (0..)
            .take_while(|up| looks(tokens, index + 2 * up, "super ::"))
            .count(),
        _ => return Vec::new(),
    };
    if ups == 0 || ups < depth {
        return Vec::new();
    }
    let steps = if tokens[index].text == "crate" {
        1
    } else {
        ups
    };
    first_names(tokens, index + 2 * steps)
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names(tokens: &[Token], start: usize) -> Vec<String> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    if text(start) != "{" {
        return vec![text(start).to_owned()];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for index in start..tokens.len() {
        match text(index) {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && name != "," && ["{", ","].contains(&text(index - 1)) => {
                names.push(name.to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Which tokens belong to an item under `#[cfg(test)]`.
pub(crate) fn test_items(tokens: &[Token]) -> Vec<bool> {
    let mut marks = vec![false; tokens.len()];
    let mut index = 0;
    while index < tokens.len() {
        let end = if looks(tokens, index, "# [ cfg ( test ) ]") {
            item_end(tokens, index + 7)
        } else {
            index
        };
        marks[index..end].fill(true);
        index = end.max(index + 1);
    }
    marks
}

/// One past the item at `start`: behind its `;` or its closing brace.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token.text == ";" || token.text == "}") {
            return index + 1;
        }
    }
    tokens.len()
}
