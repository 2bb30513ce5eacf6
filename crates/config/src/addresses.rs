//! The items of `ignoreip`.

use crate::line::is_space;

/// The items of a list separated by white space or commas.
///
/// ```
/// let items: Vec<_> = ferroban_config::addresses("127.0.0.1/8, ::1\n  example.org,").collect();
/// assert_eq!(items, ["127.0.0.1/8", "::1", "example.org"]);
/// ```
pub fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| c == ',' || is_space(c))
        .filter(|item| !item.is_empty())
}
