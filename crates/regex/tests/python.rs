//! The same searches by CPython and by us: same matches, same groups, same complaints.

#[cfg(test)]
mod answer;
#[cfg(test)]
mod grammar;

#[cfg(test)]
mod tests {
    use crate::answer::{GIVEN_UP, answer};
    use crate::grammar::Grammar;
    use ferroban_regex::{Flags, Regex};
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// A question to both: a pattern and texts to search.
    struct Case {
        flags: &'static str,
        pattern: String,
        texts: Vec<String>,
    }

    /// What Python said: its version, and one line for each case. None if there is no Python new enough.
    fn ask_python(cases: &[Case]) -> Option<(String, Vec<String>)> {
        let mut questions = String::new();
        for case in cases {
            write!(questions, "{} {}", case.flags, hex(&case.pattern)).unwrap();
            for text in &case.texts {
                write!(questions, " {}", hex(text)).unwrap();
            }
            questions.push('\n');
        }
        let answers = run_oracle(questions)?;
        let mut lines = answers.lines().map(str::to_owned);
        let version = lines.next().filter(|version| {
            let minor = version
                .strip_prefix("3.")
                .and_then(|minor| minor.parse().ok());
            minor.is_some_and(|minor: u32| minor >= 11)
        })?;
        let answers: Vec<String> = lines.collect();
        assert_eq!(answers.len(), cases.len(), "the oracle answered every case");
        Some((version, answers))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the oracle of this test is another program"
    )]
    fn run_oracle(questions: String) -> Option<String> {
        let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py");
        let mut python = Command::new("python3")
            .arg(oracle)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = python.stdin.take().unwrap();
        let writer = std::thread::scope(|scope| {
            let writer = scope.spawn(move || input.write_all(questions.as_bytes()));
            let output = python.wait_with_output().unwrap();
            writer.join().unwrap().unwrap();
            output
        });
        Some(String::from_utf8(writer.stdout).unwrap())
    }

    fn hex(text: &str) -> String {
        text.bytes().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    fn unhex(hex: &str) -> String {
        let digits: Vec<char> = hex.chars().collect();
        let bytes = digits.chunks(2).map(|pair| {
            let pair: String = pair.iter().collect();
            u8::from_str_radix(&pair, 16).unwrap()
        });
        String::from_utf8(bytes.collect()).unwrap()
    }

    fn flags(letters: &str) -> Flags {
        Flags {
            multi_line: letters.contains('m'),
            ignore_case: letters.contains('i'),
            dot_all: letters.contains('s'),
            verbose: letters.contains('x'),
            ascii: letters.contains('a'),
        }
    }

    /// Asks both and returns what they disagree about, and how many searches they agreed on.
    fn compare(cases: &[Case]) -> (Vec<String>, usize) {
        let Some((version, answers)) = ask_python(cases) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "this test needs python3, 3.11 or newer"
            );
            std::io::stderr()
                .write_all(b"skipped: no python3, 3.11 or newer\n")
                .unwrap();
            return (Vec::new(), usize::MAX);
        };
        let mut differences = Vec::new();
        let mut agreed = 0;
        for (case, theirs) in cases.iter().zip(answers) {
            let Case {
                flags: letters,
                pattern,
                texts,
            } = case;
            match Regex::new(pattern, flags(letters)) {
                Err(error) => {
                    // The wording changes from version to version; ours is that of 3.11.
                    let known = theirs.strip_prefix("E ").map(unhex);
                    let same = known.as_ref().is_some_and(|known| {
                        version != "3.11"
                            || *known == error.to_string()
                            || known.starts_with("the rep")
                    });
                    if same {
                        agreed += 1;
                    } else {
                        differences
                            .push(format!("{pattern:?} {letters}: {error}; Python {known:?}"));
                    }
                }
                Ok(_) if theirs.starts_with("E ") => {
                    let theirs = theirs.strip_prefix("E ").map(unhex);
                    differences.push(format!(
                        "{pattern:?} {letters}: accepted; Python {theirs:?}"
                    ));
                }
                Ok(regex) => {
                    for (text, theirs) in texts.iter().zip(theirs.split(' ')) {
                        let ours = answer(&regex, text);
                        if ours == theirs {
                            agreed += 1;
                        } else if theirs != GIVEN_UP && ours != GIVEN_UP {
                            differences.push(format!(
                                "{pattern:?} {letters} on {text:?}: {ours}; Python {theirs}"
                            ));
                        }
                    }
                }
            }
        }
        (differences, agreed)
    }

    fn assert_same(cases: &[Case], at_least: usize) {
        let (differences, agreed) = compare(cases);
        let count = differences.len();
        assert!(
            count == 0,
            "{count} differences:\n{}",
            differences
                .get(..count.min(60))
                .unwrap_or(&differences)
                .join("\n")
        );
        println!("{agreed} searches agree");
        assert!(agreed >= at_least, "only {agreed} searches were compared");
    }

    /// So many searches, eight for each pattern.
    fn random_cases(seed: u64, searches: usize) -> Vec<Case> {
        let mut grammar = Grammar::new(seed);
        (0..searches / 8)
            .map(|_| {
                let flags = ["-", "-", "-", "-", "i", "m", "s", "im", "ia", "x", "a"];
                let (flags, pattern) = (grammar.random.pick(&flags), grammar.pattern());
                Case {
                    // That these two clash Python says only after the rest of the pattern.
                    flags: if pattern.starts_with("(?u)") {
                        "-"
                    } else {
                        flags
                    },
                    pattern,
                    texts: (0..8).map(|_| grammar.text()).collect(),
                }
            })
            .collect()
    }

    // Two tests, for two processors.
    #[test]
    fn random_patterns_match_as_in_cpython() {
        assert_same(&random_cases(0x5eed_f00d_cafe_0001, 300_000), 250_000);
    }

    #[test]
    fn more_random_patterns_match_as_in_cpython() {
        assert_same(&random_cases(0x5eed_f00d_cafe_0002, 300_000), 250_000);
    }

    #[test]
    fn broken_patterns_are_refused_as_in_cpython() {
        let mut grammar = Grammar::new(0x0bad_0bad_0bad_0001);
        let pieces = [
            "(", ")", "[", "]", "*", "+", "?", "{", "}", "\\", "|", "^", "$", "(?", "(?P<",
            "(?P=g1)", "(?i)", "(?<", "<", ">", "-", "{2,1}", "(?(1)", "\\1", "\\x4", ":", "(?#",
            "=", "!", "(?-i:", ",", "x",
        ];
        let cases: Vec<Case> = (0..6000)
            .map(|_| {
                let mut pattern: Vec<char> = grammar.pattern().chars().collect();
                for _ in 0..=grammar.random.below(2) {
                    let place = grammar.random.below(pattern.len() + 1);
                    let end = (place + grammar.random.below(2)).min(pattern.len());
                    pattern.splice(place..end, grammar.random.pick(&pieces).chars());
                }
                Case {
                    flags: grammar.random.pick(&["-", "i", "m", "x"]),
                    pattern: pattern.into_iter().collect(),
                    texts: vec![grammar.text(), grammar.text()],
                }
            })
            .collect();
        assert_same(&cases, 6000);
    }

    /// What a filter makes of an address or a host name.
    const HOST: &str = r"(?:\[?(?:(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))\]?|(?P<dns>[\w\-.^_]*\w))";

    #[test]
    fn patterns_like_those_of_filters_match_as_in_cpython() {
        let patterns = [
            r"^(?:\[\])?\s*(?:<[^.]+\.[^.]+>\s+)?(?:\S+\s+)?(?:kernel:\s?\[ *\d+\.\d+\]:?\s+)?(?:@vserver_\S+\s+)?(?:(?:\[\d+\])?:\s+[\[\(]?sshd(?:\(\S+\))?[\]\)]?:?|[\[\(]?sshd(?:\(\S+\))?[\]\)]?:?(?:\[\d+\])?:?)?\s+(?P<content>.+)$",
            r"^Failed \b(?!publickey)\S+ for (?P<cond_inv>invalid user )?(?P<user>(?:\S+)|(?(cond_inv)(?:(?! from ).)*?|[^:]+)) from HOST(?: port \d+)?(?: on \S+(?: port \d+)?)?(?: ssh\d*)?\s*$",
            r"^Accepted \w+ for (?P<user>\S+) from HOST(?:\s|$)",
            r"authentication failure; .*\blogname=\S*\s+.*\brhost=HOST(?:\s+user=(?P<user>\S*))?\s*$",
            r#"^HOST -.*"(?:GET|POST|HEAD) (?P<path>/[^" ]*(?:\.php|\.asp|/cgi-bin/)\S*) HTTP/[\d.]+" (?:40[134]|500)\b"#,
            r"(?i)^\S+: reject(?:ed)?: (?:RCPT|VRFY) from [^[]*\[HOST\](?::\d+)?: [45]\d{2}[ :][45]\.\d\.\d+ (?=\S).*;",
            r"(?:(?P<q>['\x22])(?P<name>.*?)(?P=q)|(?P<bare>\w+)) from HOST$",
            r"^\s*\[(?:[^\]]+|\]\s*\[)*\] (?:error|\[client HOST(?::\d{1,5})?\]).*$",
            r"(?m)^(?P<start>.*) start$\n(?P<skip>(?:(?:.*\n)*?))^(?P=start) fail from HOST$",
            r"^(?:(?P<neg>not )|)(?:ok|bad) (?(neg)\d+|\w+) ?(?:user|usr)?[^ ]{,3} HOST",
            r"(?:^|\s)(?:ip|rhost|addr)=['\x22]?(?P<fid>\S+?)['\x22]?(?:,|;|\s|$)",
            r"^(?!.*\bignored\b)(?:.*?: )?(?>warning|error)++: .* \(HOST\)",
        ];
        let texts = [
            " host sshd[123]: Failed password for invalid user a from b from 192.0.2.7 port 22 ssh2\n",
            "Failed password for invalid user a from b from 192.0.2.7 port 22 ssh2\n",
            "Failed none for root from 2001:db8::1 port 22 ssh2",
            "Failed publickey for root from ::1",
            "Failed password for Ünï from ٣.٢.١.٠\n",
            "Accepted publickey for root from example.com port 5",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=h-1.example user=é",
            "192.0.2.1 - - [x] \"GET /a/b.php?x=1 HTTP/1.1\" 404 12",
            "::ffff:192.0.2.1 - u \"POST /cgi-bin/x HTTP/1.0\" 500",
            "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <a@b>: Relay; from=<c>",
            "noqueue: REJECTED: vrfy from x[2001:db8::]:25: 450 4.1.1 x;",
            "login 'a \"b' from 192.0.2.9",
            "login \"a 'b\" from host\n",
            "name from fe80::1\n",
            "[a] [error] [client 192.0.2.1:80] File does not exist",
            "[x][y]] error",
            "a start\nnoise\nmore\na fail from 192.0.2.3\nb",
            "a start\nb fail from 192.0.2.3",
            "not bad 12 user 192.0.2.1",
            "bad twelve usr[1] 192.0.2.1",
            "ok x 192.0.2.1",
            "x rhost='192.0.2.1', user=b",
            "ip=2001:db8::7;",
            "addr=\"a b\"",
            "x: warning: denied (192.0.2.1)",
            "x: error: ignored (192.0.2.1)",
            "warningerror: z (h)",
            "",
            "\n",
            " ",
            "\u{a0}host sshd: x\u{85}",
            " kernel: [ 12.5]: [sshd(x)]: y",
        ];
        let cases: Vec<Case> = patterns
            .iter()
            .flat_map(|pattern| ["-", "i", "m", "a"].map(|flags| (flags, pattern)))
            .map(|(flags, pattern)| Case {
                flags,
                pattern: pattern.replace("HOST", HOST),
                texts: texts.map(str::to_owned).to_vec(),
            })
            .collect();
        assert_same(&cases, cases.len() * texts.len() * 9 / 10);
    }
}
