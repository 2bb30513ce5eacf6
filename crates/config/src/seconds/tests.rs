use super::*;

#[test]
fn times_are_read_as_in_fail2ban() {
    let cases = [
        ("600", "600"),
        ("1h 30m", "5400"),
        ("1y6mo", "47336400.0"),
        ("1d12h30m", "131400"),
        ("1mo", "2629800.0"),
        ("1M", "60"),
        ("1 h", "3600"),
        ("1.5h", "5400.0"),
        ("1h-30m", "1800"),
        ("1year-6mo", "15778800.0"),
        ("60*5", "300"),
        ("1h30", "3630"),
        ("1m30", "90"),
        ("2 weeks 3 days", "1468800"),
        ("-1", "-1"),
        ("0d 1h 30m", "5400"),
        (" 5m ", "300"),
        ("1_000", "1000"),
        ("1h*2", "7200"),
        ("(1h+2m)*3", "11160"),
        ("1h/2", "1800.0"),
        ("7/2", "3.5"),
        ("+5", "5"),
        ("--5", "5"),
        ("1 2", "3"),
        (".5h", "1800.0"),
        ("5.", "5.0"),
        ("1mm", "60"),
        ("-1h 30m", "-1800"),
        ("2*1h30m", "9000"),
        ("1h\n30m", "5400"),
        ("1weeks1", "604801"),
        ("00", "0"),
        ("1 000", "1"),
        ("-1d12h", "-43200"),
        ("1d*-1", "-86400"),
        ("1d -1", "86399"),
        ("12 h5", "43205"),
        ("(5)", "5"),
        ("1/2h", "1800.0"),
        ("1Day", "86400"),
    ];
    for (text, expected) in cases {
        let seconds = text.parse::<Seconds>().map(|seconds| seconds.to_string());
        assert_eq!(seconds.as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn every_unit_has_its_length() {
    let units: [(&str, &str); 7] = [
        ("s ss se sec second seconds", "2"),
        ("m mm mi min minute minutes", "120"),
        ("h hh ho hou hour hours", "7200"),
        ("d dd da day days", "172800"),
        ("w ww we wee week weeks", "1209600"),
        ("mo mon month months", "5259600.0"),
        ("y yy ye yea year years", "63115200.0"),
    ];
    for (names, expected) in units {
        for name in names
            .split(' ')
            .flat_map(|name| [name.to_owned(), name.to_uppercase()])
        {
            let seconds = format!("2{name}")
                .parse::<Seconds>()
                .map(|seconds| seconds.to_string());
            assert_eq!(seconds.as_deref(), Ok(expected), "{name}");
        }
    }
}

#[test]
fn what_is_no_time_is_told() {
    let unexpected = |c| Err(SecondsError::Unexpected(c));
    let cases = [
        ("", Err(SecondsError::Empty)),
        (" \n", Err(SecondsError::Empty)),
        ("abc", Err(SecondsError::Word("abc".into()))),
        ("5 + abc1", Err(SecondsError::Word("abc1".into()))),
        ("1x", Err(SecondsError::Unit("x".into()))),
        ("1mos", Err(SecondsError::Unit("mos".into()))),
        ("1e3", Err(SecondsError::Unit("e".into()))),
        ("010", Err(SecondsError::LeadingZero)),
        ("1h,2m", unexpected(Some(','))),
        ("1h;", unexpected(Some(';'))),
        ("5)", unexpected(Some(')'))),
        ("(5", unexpected(None)),
        ("5*", unexpected(None)),
        ("2**3", unexpected(Some('*'))),
        ("5//2", unexpected(Some('/'))),
        ("1d(2)", unexpected(Some('('))),
        ("1__0", Err(SecondsError::Underscore)),
        ("1_", Err(SecondsError::Underscore)),
        ("5 x", unexpected(Some('x'))),
        ("a b", unexpected(Some('a'))),
        ("1.2.3", unexpected(Some('.'))),
        (".", unexpected(Some('.'))),
        ("1/0", Err(SecondsError::DivisionByZero)),
        ("99999999999999999999", Err(SecondsError::TooLarge)),
        ("9999999999999*9999999999999", Err(SecondsError::TooLarge)),
        ("١", unexpected(Some('١'))),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Seconds>(), expected, "{text:?}");
    }
}

#[test]
fn the_words_for_a_mistake_are_those_of_fail2ban() {
    let syntax = "invalid syntax (<string>, line 1)";
    let literal = "invalid decimal literal (<string>, line 1)";
    let cases = [
        ("", "invalid syntax (<string>, line 0)"),
        ("bogus", "name 'bogus' is not defined"),
        ("a b", syntax),
        ("5 x", syntax),
        ("+", syntax),
        ("1x", literal),
        ("1hr", literal),
        ("1e3", literal),
        ("1__0", literal),
        ("1/0", "division by zero"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Seconds>().unwrap_err();
        assert_eq!(error.original(), expected, "{text:?}");
    }
    let zeros = "007".parse::<Seconds>().unwrap_err().original();
    assert!(zeros.starts_with("leading zeros in decimal"), "{zeros}");
}

#[test]
fn long_texts_do_not_nest_without_end() {
    let signs = "-".repeat(100_000) + "5";
    assert_eq!(signs.parse(), Ok(Seconds::Whole(5)));
    let side_by_side = "(1)*".repeat(1000) + "5";
    assert_eq!(side_by_side.parse(), Ok(Seconds::Whole(5)));
    let parentheses = "(".repeat(100_000);
    assert_eq!(parentheses.parse::<Seconds>(), Err(SecondsError::TooLarge));
}
