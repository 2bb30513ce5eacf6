//! Tests of reading and writing; Python itself is the judge where it is there.

mod vectors;

use proptest::prelude::*;

use super::*;
use crate::wire::oracle::python;
use crate::wire::text::repr;
use vectors::VECTORS;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Loads a pickle per line of input and prints what it is.
const SHOW: &str = r"
import pickle, sys, types
for name, classes in (('fail2ban', []), ('fail2ban.exceptions', ['UnknownJailException'])):
    module = sys.modules[name] = types.ModuleType(name)
    for c in classes:
        setattr(module, c, type(c, (Exception,), {}))
lines = sys.stdin.read().split()
for line in lines:
    print(ascii(repr(pickle.loads(bytes.fromhex(line)))))
";

#[test]
fn captured_messages_are_read() {
    for (message, expected) in VECTORS {
        let value = loads(&bytes(message));
        assert_eq!(
            value.as_ref().map(repr).as_deref(),
            Ok(expected),
            "{message}"
        );
    }
}

#[test]
fn what_we_write_is_read_by_python_as_the_same() {
    let values: Vec<Value> = VECTORS
        .iter()
        .map(|(message, _)| loads(&bytes(message)).unwrap())
        .collect();
    let ours: Vec<String> = values.iter().map(|value| hex(&dumps(value))).collect();
    let Some(shown) = python(SHOW, &ours.join("\n")) else {
        return;
    };
    assert_eq!(shown.lines().count(), VECTORS.len());
    for (shown, (message, expected)) in shown.lines().zip(VECTORS) {
        // The line is a literal of the repr; quoting our text once more gives the same.
        assert_eq!(shown, repr(&expected.into()), "{message}");
    }
}

/// Prints each of 25 shapes in each protocol, and how Python shows it. What has no other
/// form here (frozenset, bytearray, an address that pickles as a call of `str`) is shown
/// as what we make of it.
const SHAPES: &str = r#"
import pickle
class Ip:
    def __init__(self, s): self.s = s
    def __reduce__(self): return (str, (self.s,))
    def __repr__(self): return repr(self.s)
shared = ['shared']
same = {'b': [shared, shared], 'a': (shared,)}
shapes = [
    None, True, False, 0, 255, 256, 65535, 65536, -1, -2**31, 2**31, 2**63, 10**30, -10**60, 2**1900,
    0.0, -0.5, 1e300, 1e16, 1e-5, 123456789.123, float('inf'),
    '', 'plain', "it's", 'both \' and "', 'é ß € \U0001f600', 'a\nb\\u0041\\', '\ud800x\udcff', 'x' * 300, 'y' * 70000,
    b'', b'bytes\x00\xff\'', bytes(range(256)), bytearray(b'array'), bytearray(),
    [], [1], [1, 2, 3], [[], [[]], ()], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4, 5), list(range(2500)),
    {}, {'a': 1}, {1: 'x', (2, 3): None, 'k': {}}, set(), {7}, frozenset({7}), frozenset(),
    ['ping'], ['status', 'sshd'], (0, 'pong'), (0, [('Filter', [('n', 0)])]), ['server-stream', [['set', 'a', 'b', 3], ['add', 'a']]],
    [str(n) for n in range(300)] * 2, same, [Ip('192.0.2.7'), Ip('192.0.2.8')], (1, ValueError('x')), (1, KeyError('k', 2)), (1, Exception()),
]
def norm(v):
    if isinstance(v, frozenset): return set(v)
    if isinstance(v, bytearray): return bytes(v)
    return v
for shape in shapes:
    for protocol in range(6):
        print(pickle.dumps(shape, protocol).hex(), ascii(repr(norm(shape))), sep='\t')
"#;

#[test]
fn all_protocols_are_read_and_come_back() {
    let Some(lines) = python(SHAPES, "") else {
        return;
    };
    assert!(lines.lines().count() >= 25 * 6);
    let mut again = Vec::new();
    let mut expected = Vec::new();
    for line in lines.lines() {
        let (message, shown) = line.split_once('\t').unwrap();
        let value = loads(&bytes(message)).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(ascii(&repr(&value)), shown, "{message}");
        again.push(hex(&dumps(&value)));
        expected.push(shown);
    }
    let shown = python(SHOW, &again.join("\n")).unwrap();
    for ((shown, expected), message) in shown.lines().zip(expected).zip(again) {
        assert_eq!(shown, expected, "{message}");
    }
}

/// Python's `ascii` of a text: quoted, and all but ASCII by number.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for character in repr(&text.into()).chars() {
        match u32::from(character) {
            0..=0x7f => out.push(character),
            code @ 0x80..=0xff => out += &format!("\\x{code:02x}"),
            code @ 0x100..=0xffff => out += &format!("\\u{code:04x}"),
            code => out += &format!("\\U{code:08x}"),
        }
    }
    out
}

#[test]
fn strings_from_go_clients_are_read() {
    // Protocols 0 and 1 as an encoder writes them that only knows Python 2's strings.
    for message in [
        &b"(lp0\nS\"ping\"\np1\na."[..],
        b"(S'ping'\nl.",
        b"]U\x04pinga.",
        b"](T\x04\x00\x00\x00pinge.",
    ] {
        assert_eq!(loads(message), Ok(Value::strings(["ping"])), "{message:?}");
    }
    let others = loads(b"V\\x41\\\\u0041\\\n.");
    assert_eq!(others, Ok("\\x41\\\\u0041\\".into()));
    let escaped = loads(b"S'a\\n\\x41\\'\\\\'\n.");
    assert_eq!(escaped, Ok("a\nA'\\".into()));
}

#[test]
fn errors_have_the_texts_of_python() {
    let rows: [(&[u8], &str); 22] = [
        (b"", "Ran out of input"),
        (b"\x80\x05]", "Ran out of input"),
        (b"garbage", "pickle data was truncated"),
        (b"\x80", "pickle data was truncated"),
        (b"X\xff\0\0\0abc", "pickle data was truncated"),
        (b"\x95\x05\0\0\0\0\0\0\0N.", "pickle data was truncated"),
        (b"I12", "pickle data was truncated"),
        (b"\x80\x07N.", "unsupported pickle protocol: 7"),
        (b".", "unpickling stack underflow"),
        (b"]a.", "unpickling stack underflow"),
        (b"e.", "could not find MARK"),
        (b"(.", "unexpected MARK found"),
        (b"h\0.", "Memo value not found at index 0"),
        (b"g5\n.", "Memo value not found at index 5"),
        (b"\xff.", "invalid load key, '\\xff'."),
        (b"'", "invalid load key, '\\x27'."),
        (b"~", "invalid load key, '~'."),
        (b"}(K\x01u.", "odd number of items for SETITEMS"),
        (b"(K\x01(K\x02e.", "'int' object has no attribute 'append'"),
        (
            b"NNNs.",
            "'NoneType' object does not support item assignment",
        ),
        (b"N(K\x01\x90.", "'NoneType' object has no attribute 'add'"),
        (b"Ix\n.", "could not convert string to int"),
    ];
    for (message, expected) in rows {
        let error = loads(message).unwrap_err();
        assert_eq!(error.to_string(), expected, "{message:?}");
    }
}

#[test]
fn a_call_has_no_effect_and_no_way_back() {
    let rows: [(&[u8], &str); 6] = [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cbuiltins\nexec\n(S'x'\ntR.", "builtins.exec"),
        (b"cbuiltins\neval Error\n(S'x'\ntR.", "builtins.eval Error"),
        (b"cos\nsystem\n.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
    ];
    for (message, name) in rows {
        let value = loads(message).unwrap();
        assert_eq!(value, Value::Opaque(name.into()), "{message:?}");
        let written = dumps(&value);
        let inert = Value::from(format!("<{name} object>"));
        assert_eq!(loads(&written), Ok(inert));
    }
    // An exception clients may not have is read, but written as one they have.
    let regex = b"cfail2ban.server.failregex\nRegexException\n(S'no'\ntR.";
    let regex = loads(regex).unwrap();
    assert_eq!(repr(&regex), "RegexException('no')");
    assert_eq!(
        loads(&dumps(&regex)),
        Ok(Value::exception("Exception", "no"))
    );
    let forged = Value::Exception(Box::new(Exception {
        module: "os".into(),
        class: "system".into(),
        args: vec!["true".into()],
    }));
    let written = dumps(&forged);
    assert_eq!(loads(&written), Ok(Value::exception("Exception", "true")));
}

#[test]
fn a_container_in_itself_is_refused() {
    for message in [
        &b"]q\0h\0a."[..],
        b"}q\0Nh\0s.",
        b"]q\0h\0\x85a.",
        b"]q\0}q\x01Nh\0sa.",
        b"]q\0cbuiltins\nset\nh\0\x85Rq\x010h\0h\x01a.",
    ] {
        assert_eq!(
            loads(message),
            Err(PickleError::ContainsItself),
            "{message:?}"
        );
    }
    // Twice the same, not in itself, is fine.
    let twice = loads(b"(]q\0h\0t.").unwrap();
    assert_eq!(repr(&twice), "([], [])");
}

#[test]
fn a_small_bomb_does_not_go_off() {
    let depth = 1_000_000;
    let nested = ["]".repeat(depth), "a".repeat(depth - 1), ".".into()].concat();
    let limits = Limits::default();
    let limit = limits.depth;
    assert_eq!(
        loads(nested.as_bytes()),
        Err(PickleError::TooDeep { limit })
    );
    let depth = limit;
    let allowed = ["]".repeat(depth), "a".repeat(depth - 1), ".".into()].concat();
    assert!(loads(allowed.as_bytes()).is_ok());
    let refused = ["]".repeat(depth + 1), "a".repeat(depth), ".".into()].concat();
    assert_eq!(
        loads(refused.as_bytes()),
        Err(PickleError::TooDeep { limit })
    );

    // A long name of a module, remembered once and used for many classes.
    let long = "m".repeat(1 << 20);
    let mut named = [
        b"X".as_slice(),
        &(1u32 << 20).to_le_bytes(),
        long.as_bytes(),
    ]
    .concat();
    named.extend(b"q\0X\x01\0\0\0nq\x01");
    named.extend(b"h\0h\x01\x930".repeat(64));
    named.extend(b"N.");
    let limit = Limits::request(named.len()).bytes;
    assert_eq!(loads(&named), Err(PickleError::TooLarge { limit }));

    // Each tuple has the one before twice.
    let mut doubled = b"N".to_vec();
    doubled.extend(b"2\x86".repeat(60));
    doubled.push(b'.');
    let limit = Limits::request(doubled.len()).objects;
    assert!(limit < 70_000, "in proportion to the message");
    assert_eq!(loads(&doubled), Err(PickleError::TooMany { limit }));

    let limit = limits.objects;
    let mut many = b"N".repeat(limit + 1);
    many.push(b'.');
    assert_eq!(loads(&many), Err(PickleError::TooMany { limit }));
    let mut copies = [&b"N"[..], &b"2".repeat(limit)].concat();
    copies.push(b'.');
    assert_eq!(loads(&copies), Err(PickleError::TooMany { limit }));
    let mut marks = b"(".repeat(limit + 1);
    marks.push(b'.');
    assert_eq!(loads(&marks), Err(PickleError::TooMany { limit }));

    // Four times the same tuple of four objects, three more, and the tuple around them.
    let few = |objects| Limits { objects, ..limits };
    let shared = b"(NNN2\x85\x85\x85222t.";
    assert!(loads_within(shared, &few(20)).is_ok());
    assert!(loads_within(shared, &few(19)).is_err());

    // A text of 1 MiB, a hundred times.
    let mut large = b"(X\0\0\x10\0".to_vec();
    large.resize(large.len() + (1 << 20), b'x');
    large.extend(b"2".repeat(99));
    large.extend(b"t.");
    let limit = Limits::request(large.len()).bytes;
    assert_eq!(loads(&large), Err(PickleError::TooLarge { limit }));
}

#[test]
fn the_end_marker_within_a_text_is_not_written_as_such() {
    let text = "a<F2B_END_COMMAND>b \\u0041 é \u{1f600}";
    let value = Value::strings([text, "plain"]);
    let written = dumps(&value);
    let marker = crate::wire::frame::END;
    assert!(!written.windows(marker.len()).any(|part| part == marker));
    assert_eq!(loads(&written).as_ref(), Ok(&value));
    let Some(shown) = python(SHOW, &hex(&written)) else {
        return;
    };
    assert_eq!(shown.trim_end(), ascii(&repr(&value)));
}

/// How many objects there are, and how deep.
fn measure(value: &Value) -> (usize, usize) {
    let inner: Vec<&Value> = match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => items.iter().collect(),
        Value::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
        Value::Exception(exception) => exception.args.iter().collect(),
        _ => return (1, 0),
    };
    let inner: Vec<_> = inner.into_iter().map(measure).collect();
    let objects = inner.iter().map(|(objects, _)| objects).sum::<usize>();
    let depth = inner.iter().map(|(_, depth)| *depth).max();
    (objects + 1, depth.unwrap_or(0) + 1)
}

/// Whatever came out is within limits and can be printed, written and read again.
fn check(message: &[u8]) {
    let limits = Limits {
        depth: 20,
        objects: 500,
        bytes: 2000,
    };
    let Ok(value) = loads_within(message, &limits) else {
        return;
    };
    let (objects, depth) = measure(&value);
    assert!(objects <= limits.objects && depth <= limits.depth);
    assert!(repr(&value).len() < 1_000_000);
    loads(&dumps(&value)).unwrap();
}

fn values() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i128>().prop_map(Value::Int),
        (-70_000..70_000_i128).prop_map(Value::Int),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
            .prop_map(Value::Float),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        any::<String>().prop_map(|text| Value::exception("ValueError", &text)),
    ];
    plain.prop_recursive(5, 60, 6, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            many.clone().prop_map(Value::List),
            many.clone().prop_map(Value::Tuple),
            many.prop_map(Value::Set),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Value::Dict),
        ]
    })
}

/// Opcodes, so that more than the first byte of arbitrary input means something.
const OPCODES: &[u8] = b"NK\x01M\x01\x02]}()latedsub0123pqgh\x00h\x01R.cbuiltins\nset\nS'a'\nVa\n\
    I1\nU\x01a\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92\x95";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read_as_the_same(value in values()) {
        prop_assert_eq!(loads(&dumps(&value)), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(message in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&message);
    }

    #[test]
    fn arbitrary_opcodes_do_no_harm(
        message in prop::collection::vec(prop::sample::select(OPCODES), 0..200),
    ) {
        check(&message);
    }

    #[test]
    fn broken_messages_do_no_harm(
        which in 0..VECTORS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut message = bytes(VECTORS[which].0);
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        if cut {
            message.truncate(end.index(message.len()));
        }
        check(&message);
    }
}
