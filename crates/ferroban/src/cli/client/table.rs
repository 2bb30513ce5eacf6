//! The numbers of all jails, drawn as a table.

use crate::wire::pickle::Value;
use crate::wire::text::display;

/// The characters to draw with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Charset {
    Ascii,
    Unicode,
}

/// One jail: name, backend, and the four numbers.
struct Row {
    name: String,
    backend: String,
    numbers: [String; 4],
}

/// What `stats` gave, or `None` if it is not that.
pub(super) fn table(reply: &Value, charset: Charset) -> Option<String> {
    let Value::Dict(jails) = reply else {
        return None;
    };
    if jails.is_empty() {
        return Some("No jails found.".into());
    }
    let rows: Vec<Row> = jails.iter().map(row).collect::<Option<_>>()?;
    let text = draw(&rows);
    Some(match charset {
        Charset::Unicode => text,
        Charset::Ascii => text.chars().map(ascii).collect(),
    })
}

fn row((name, status): &(Value, Value)) -> Option<Row> {
    let [backend, failed, banned] = status.elements()? else {
        return None;
    };
    let [current_failed, total_failed] = failed.elements()? else {
        return None;
    };
    let [current_banned, total_banned] = banned.elements()? else {
        return None;
    };
    Some(Row {
        name: display(name),
        backend: display(backend),
        numbers: [current_failed, total_failed, current_banned, total_banned].map(display),
    })
}

fn draw(rows: &[Row]) -> String {
    let width = |least: usize, text: &dyn Fn(&Row) -> &String| {
        let longest = rows.iter().map(|row| text(row).chars().count()).max();
        longest.unwrap_or(0).max(least)
    };
    let name = width(8, &|row| &row.name);
    let backend = width(8, &|row| &row.backend);
    let [cf, tf, cb, tb] = [0, 1, 2, 3].map(|place| width(3, &|row| &row.numbers[place]));
    // Each pair of numbers has a line between and a space at both ends.
    let (failed, banned) = (cf + tf + 3, cb + tb + 3);
    let bar = |length: usize, with: &str| with.repeat(length + 2);
    let rule = |crossing: &str| {
        [name, backend, failed, banned]
            .map(|length| bar(length, "═"))
            .join(crossing)
    };
    let mut lines = vec![
        format!(
            " {:name$} ║ {:backend$} ║ {:failed$} ║ {:banned$}",
            "", "", "Filter", "Actions"
        ),
        format!(
            " {:name$} ║ {:backend$} ╟{}╫{}",
            "Jail",
            "Backend",
            bar(failed, "─"),
            bar(banned, "─")
        ),
        format!(
            " {:name$} ║ {:backend$} ║ {:>cf$} │ {:>tf$} ║ {:>cb$} │ {:>tb$}",
            "", "", "cur", "tot", "cur", "tot"
        ),
        rule("╬"),
    ];
    for row in rows {
        let [a, b, c, d] = &row.numbers;
        lines.push(format!(
            " {:name$} ║ {:backend$} ║ {a:>cf$} │ {b:>tf$} ║ {c:>cb$} │ {d:>tb$}",
            row.name, row.backend
        ));
    }
    lines.push(rule("╩"));
    lines.join("\n")
}

fn ascii(character: char) -> char {
    match character {
        '║' | '╟' | '│' => '|',
        '─' | '═' | '╩' => '-',
        '╬' | '╫' => 'x',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(name: &str, numbers: [i64; 4]) -> (Value, Value) {
        let pair = |a: i64, b: i64| Value::Tuple(vec![a.into(), b.into()]);
        let [a, b, c, d] = numbers;
        let status = vec!["polling".into(), pair(a, b), pair(c, d)];
        (name.into(), Value::List(status))
    }

    #[test]
    fn two_jails_are_drawn_as_fail2ban_does() {
        let reply = Value::Dict(vec![stats("j2", [0, 0, 1, 1]), stats("sshd", [0, 2, 5, 6])]);
        let expected = concat!(
            "          ║          ║ Filter    ║ Actions  \n",
            " Jail     ║ Backend  ╟───────────╫───────────\n",
            "          ║          ║ cur │ tot ║ cur │ tot\n",
            "══════════╬══════════╬═══════════╬═══════════\n",
            " j2       ║ polling  ║   0 │   0 ║   1 │   1\n",
            " sshd     ║ polling  ║   0 │   2 ║   5 │   6\n",
            "══════════╩══════════╩═══════════╩═══════════",
        );
        assert_eq!(table(&reply, Charset::Unicode).as_deref(), Some(expected));
        let ascii = table(&reply, Charset::Ascii).unwrap();
        let lines: Vec<&str> = ascii.lines().collect();
        assert!(lines[1].ends_with("-----------x-----------"), "{ascii}");
        assert_eq!(lines[3], "----------x----------x-----------x-----------");
        assert_eq!(lines[6], "-".repeat(45));
    }

    #[test]
    fn columns_grow_with_what_is_in_them() {
        let reply = Value::Dict(vec![stats("a-long-jail-name", [1234, 5, 6, 123_456])]);
        let text = table(&reply, Charset::Unicode).unwrap();
        assert!(text.contains("║ 1234 │   5 ║   6 │ 123456\n"), "{text}");
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths[3], widths[5], "{text}");
    }

    #[test]
    fn no_jails_and_no_statistics() {
        let none = table(&Value::Dict(Vec::new()), Charset::Ascii);
        assert_eq!(none.as_deref(), Some("No jails found."));
        assert_eq!(table(&Value::None, Charset::Ascii), None);
        let odd = Value::Dict(vec![("j".into(), Value::strings(["a", "b", "c"]))]);
        assert_eq!(table(&odd, Charset::Ascii), None);
    }
}
