//! Changes lines, the same way in every run.
//!
//! The changes are those that an attacker or an odd daemon could make: to addresses,
//! user names, dates, and to what lies between them.

/// Numbers that look random and are the same in every run (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number less than `end`, or 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let end = u64::try_from(end).unwrap().max(1);
        usize::try_from(mixed % end).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A part of something that long, mostly a short one.
    fn part(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let most = self.pick(&[8, 40, len]);
        let end = start + self.below(most + 1);
        start..end.min(len)
    }
}

/// Who else it could have been.
const HOSTS: [&str; 20] = [
    "2001:db8::7",
    "2001:DB8:0:0:1::",
    "2001:db8::",
    "2001:db8:1:2:3:4:5:6",
    "2001:db8:1:2:3:4:5:6:7",
    "2001:db8::192.0.2.1",
    "::1",
    "::",
    "::ffff:192.0.2.77",
    "::FFFF:192.0.2.77",
    "::ffff:c000:201",
    "[2001:db8::1]",
    "[192.0.2.9]",
    "fe80::1%eth0",
    "999.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "192.0.2.1:22",
    "host_x.example.org",
    "١٢.٢.٣.٤",
];

/// What else a word could have been.
const WORDS: [&str; 16] = [
    "from 1.2.3.4",
    "root from 192.0.2.66 port 22 ssh2",
    "user=x rhost=192.0.2.66",
    "",
    "<192.0.2.66>",
    "[192.0.2.66]",
    "192.0.2.66: authentication failed",
    "' \"",
    "user",
    "unknown",
    "müller",
    "日本",
    "a b",
    "-",
    "(none)",
    "invalid user invalid user",
];

/// What else may stand in a line. Some of it is not UTF-8.
const PIECES: [&[u8]; 23] = [
    b" ",
    b"  ",
    b"\t",
    b"\r",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1b[0m",
    b"\xff",
    b"\xe2\x82",
    b"\xf0\x9f\x98\x80",
    "é".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{feff}".as_bytes(),
    "ſK".as_bytes(),
    "²".as_bytes(),
    b":",
    b"[",
    b"\\n",
    b"2005-08-14 11:59:58",
];

/// What else may stand at the end.
const ENDS: [&[u8]; 8] = [
    b" ",
    b"   ",
    b"\t",
    b"\r",
    b" \r\r",
    b"\x0b",
    b"\xc2\xa0",
    b".",
];

/// The line with one to three changes.
pub(super) fn line(line: &[u8], random: &mut Random) -> Vec<u8> {
    let mut line = line.to_vec();
    for _ in 0..random.pick(&[1, 1, 1, 2, 3]) {
        change(&mut line, random);
    }
    line
}

fn change(line: &mut Vec<u8>, random: &mut Random) {
    match random.below(12) {
        0 => digit(line, random),
        1 | 2 => {
            let hosts = runs(line, |byte| {
                byte.is_ascii_hexdigit() || b".:".contains(&byte)
            });
            let is_host = |host: &&[usize; 2]| {
                let marks = line[host[0]..host[1]].iter();
                marks.filter(|byte| b".:".contains(byte)).count() >= 3
            };
            let hosts: Vec<[usize; 2]> = hosts.iter().filter(is_host).copied().collect();
            replace(line, &hosts, random.pick(&HOSTS).as_bytes(), random);
        }
        3 | 4 => {
            let words = runs(line, |byte| !b" '\"=[]()<>,;:".contains(&byte));
            replace(line, &words, random.pick(&WORDS).as_bytes(), random);
        }
        5 => line.truncate(random.below(line.len() + 1)),
        6 => {
            let part = random.part(line.len());
            line.drain(part);
        }
        7 => {
            let part = line[random.part(line.len())].to_vec();
            insert(line, &part, random);
        }
        8 | 9 => insert(line, random.pick(&PIECES), random),
        10 => line.extend_from_slice(random.pick(&ENDS)),
        _ => repeat(line, random),
    }
}

fn digit(line: &mut [u8], random: &mut Random) {
    let digits: Vec<usize> = (0..line.len())
        .filter(|at| line[*at].is_ascii_digit())
        .collect();
    if !digits.is_empty() {
        line[random.pick(&digits)] = random.pick(b"0123456789");
    }
}

/// Where bytes like that stand together.
fn runs(line: &[u8], like: impl Fn(u8) -> bool) -> Vec<[usize; 2]> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for at in (0..line.len()).filter(|at| like(line[*at])) {
        match runs.last_mut() {
            Some([_, end]) if *end == at => *end += 1,
            _ => runs.push([at, at + 1]),
        }
    }
    runs
}

fn replace(line: &mut Vec<u8>, runs: &[[usize; 2]], by: &[u8], random: &mut Random) {
    if !runs.is_empty() {
        let [start, end] = random.pick(runs);
        line.splice(start..end, by.iter().copied());
    }
}

fn insert(line: &mut Vec<u8>, piece: &[u8], random: &mut Random) {
    let at = random.below(line.len() + 1);
    line.splice(at..at, piece.iter().copied());
}

/// Says a word a few times more.
fn repeat(line: &mut Vec<u8>, random: &mut Random) {
    let words = runs(line, |byte| byte != b' ');
    if !words.is_empty() {
        let [start, end] = random.pick(&words);
        let word = [b" ", &line[start..end]].concat();
        let again = word.repeat(random.pick(&[1, 2, 7]));
        line.splice(end..end, again);
    }
}

/// Dates of about now, which is 12:00:00: what is taken as it stands, and what is not.
const STAMPS: [&str; 7] = [
    "Aug 14 11:58:59",
    "Aug 14 11:59:00",
    "Aug 14 11:59:30",
    "Aug 14 11:59:59",
    "Aug 14 12:00:00",
    "Aug 14 12:01:00",
    "Aug 14 12:01:01",
];

/// The lines of several records, mixed, each record's own in their order. A few are changed;
/// mostly all have one of two process numbers, so that their sessions become one, and half
/// of the mixtures are of about now, if syslog has written them.
pub(super) fn mixture(records: Vec<Vec<Vec<u8>>>, random: &mut Random) -> Vec<Vec<u8>> {
    let mut rests: Vec<_> = records.into_iter().map(Vec::into_iter).collect();
    let numbers: &[&str] = random.pick(&[&["1", "2"], &["1"], &[]]);
    let now = random.below(2) == 0;
    let mut mixed = Vec::new();
    while !rests.is_empty() {
        let at = random.below(rests.len());
        let Some(mut next) = rests[at].next() else {
            rests.swap_remove(at);
            continue;
        };
        if !numbers.is_empty() {
            renumber(&mut next, random.pick(numbers));
        }
        if now && is_stamped(&next) {
            next.splice(..15, random.pick(&STAMPS).bytes());
        }
        if random.below(8) == 0 {
            next = line(&next, random);
        }
        mixed.push(next);
    }
    mixed
}

/// Whether it begins like `Aug 14 12:00:00`.
fn is_stamped(line: &[u8]) -> bool {
    let like = b"Aaa 00 00:00:00";
    line.len() > like.len()
        && line.iter().zip(like).all(|(byte, like)| match like {
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'0' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        })
}

/// Gives the process that has written a line another number.
fn renumber(line: &mut Vec<u8>, number: &str) {
    let digits = runs(line, |byte| byte.is_ascii_digit());
    let own = digits.iter().find(|[start, end]| {
        *start > 0 && line[start - 1] == b'[' && line.get(*end) == Some(&b']')
    });
    if let Some([start, end]) = own {
        line.splice(*start..*end, number.bytes());
    }
}
