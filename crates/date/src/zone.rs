//! Where the clock on the wall hangs: zones, and times as people there read them.
//!
//! The rules come from the system's own time zone database. What a stamp's fields
//! mean besides their zone is left to [`fields`](crate::fields).

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::{Error, Timestamp};

/// A time zone with its daylight saving rules.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this machine: `TZ`, else `/etc/localtime`, else UTC.
    ///
    /// It is looked up now and stays as it is, whatever happens to the machine.
    #[must_use]
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// Universal time, without daylight saving.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of that name in the system's database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// [`Error::UnknownZone`] if it has none, or there is no database.
    pub fn named(name: &str) -> Result<Self, Error> {
        let unknown = |source| Error::UnknownZone {
            name: name.to_owned(),
            source,
        };
        TimeZone::get(name).map(Self).map_err(unknown)
    }

    /// A zone by its rule, as `TZ` takes it: `CET-01CEST-02,M3.5.0,M10.5.0`.
    ///
    /// # Errors
    /// [`Error::BadZoneRule`] if the text is no such rule.
    pub fn posix(rule: &str) -> Result<Self, Error> {
        let bad = |source| Error::BadZoneRule {
            rule: rule.to_owned(),
            source,
        };
        TimeZone::posix(rule).map(Self).map_err(bad)
    }

    /// How many seconds the clock there is ahead of UTC at that instant.
    pub(crate) fn ahead(&self, time: Timestamp) -> i64 {
        i64::from(self.0.to_offset(to_jiff(time)).seconds())
    }

    /// How many seconds the clock there is ahead of UTC when it shows `civil`, if it
    /// does that once.
    pub(crate) fn ahead_on(&self, civil: DateTime) -> Option<i64> {
        match self.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                at(civil, offset).map(|_| offset.seconds().into())
            }
            AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => None,
        }
    }

    /// The instant at which the clock there shows `civil`.
    ///
    /// An hour that spring skips is moved forward. Of an hour that autumn repeats,
    /// the later instant is taken, unless only the earlier one has already been:
    /// a log does not tell the future. (The C library's answer depends on what it
    /// was asked before.)
    pub(crate) fn instant(&self, civil: DateTime, now: Timestamp) -> Option<Timestamp> {
        match self.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(civil, offset),
            AmbiguousOffset::Gap { before, .. } => at(civil, before),
            AmbiguousOffset::Fold { before, after } => {
                let (earlier, later) = (at(civil, before)?, at(civil, after)?);
                let only_the_earlier_was = earlier <= now && now < later;
                Some(if only_the_earlier_was { earlier } else { later })
            }
        }
    }
}

fn at(civil: DateTime, offset: Offset) -> Option<Timestamp> {
    let time = offset.to_timestamp(civil).ok()?;
    Some(Timestamp::from_secs(time.as_second()))
}

/// The nearest instant that the calendar can say: it ends with the year 9999.
pub(crate) fn to_jiff(time: Timestamp) -> jiff::Timestamp {
    let end = if time < Timestamp::default() {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(end)
}

/// `YYYY-MM-DD HH:MM:SS`, as the line about a failure ends: `Found 192.0.2.7 - …`.
#[must_use]
pub fn local_text(time: Timestamp, zone: &Zone) -> String {
    let t = zone.0.to_datetime(to_jiff(time));
    let mut text = String::with_capacity("2026-11-23 02:21:22,320".len());
    // Every line of a log has one, and formatting it costs more than all else about it.
    let year = t.year();
    if year < 0 {
        text.push_str(&format!("{year:04}"));
    } else {
        push_two(&mut text, year / 100);
        push_two(&mut text, year % 100);
    }
    let rest = [t.month(), t.day(), t.hour(), t.minute(), t.second()];
    for (before, number) in ['-', '-', ' ', ':', ':'].into_iter().zip(rest) {
        text.push(before);
        push_two(&mut text, number.into());
    }
    text
}

/// Two digits, of a number that has no more.
fn push_two(text: &mut String, number: i16) {
    for digit in [number / 10 % 10, number % 10] {
        let digit = u8::try_from(digit.unsigned_abs()).unwrap_or_default();
        text.push(char::from(b'0' + digit));
    }
}

/// `YYYY-MM-DD HH:MM:SS,mmm`, as each line of our own log begins.
#[must_use]
pub fn local_text_millis(time: Timestamp, zone: &Zone) -> String {
    let mut text = local_text(time, zone);
    let millis = i16::try_from(time.subsec_micros() / 1000).unwrap_or_default();
    text.push(',');
    text.push(char::from(
        b'0' + u8::try_from(millis / 100 % 10).unwrap_or_default(),
    ));
    push_two(&mut text, millis % 100);
    text
}

/// `YYYY-MM-DDTHH:MM:SS.mmm+HH:MM`, as machines read it (RFC 3339).
#[must_use]
pub fn rfc3339_millis(time: Timestamp, zone: &Zone) -> String {
    let (local, millis) = (local_text(time, zone), time.subsec_micros() / 1000);
    let ahead = zone.ahead(time);
    let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let local = local.replace(' ', "T");
    format!("{local}.{millis:03}{sign}{hours:02}:{minutes:02}")
}

/// How many seconds a zone abbreviation is ahead of UTC, if it is a known one.
///
/// Such a name has one fixed offset: `PDT` in January is still UTC-7.
pub(crate) fn abbreviation(name: &str) -> Option<i64> {
    let (minutes, _) = ABBREVIATIONS
        .iter()
        .find(|(_, names)| names.split(' ').any(|n| n == name))?;
    Some(i64::from(*minutes) * 60)
}

/// Minutes ahead of UTC, and who is.
const ABBREVIATIONS: &[(i16, &str)] = &[
    (-720, "Y"),
    (-660, "X NUT SST"),
    (-600, "W CKT HAST HST TAHT TKT"),
    (-570, "MART MIT"),
    (-540, "V AKST GAMT GIT HADT HNY"),
    (-480, "U AKDT CIST HAY HNP PST PT"),
    (-420, "T HAP HNR MST PDT"),
    (-360, "S CST EAST GALT HAR HNC MDT"),
    (-300, "R CDT COT EASST ECT EST ET HAC HNE PET"),
    (-270, "HLV VET"),
    (-240, "Q AST BOT CLT COST EDT FKT GYT HAE HNA PYT"),
    (-210, "HNT NST NT"),
    (
        -180,
        "P ADT ART BRT CLST FKST GFT HAA PMST PYST SRT UYT WGT",
    ),
    (-150, "HAT NDT"),
    (-120, "O BRST FNT PMDT UYST WGST"),
    (-60, "N AZOT CVT EGT"),
    (0, "Z EGST GMT UTC WET WT"),
    (60, "A CET DFT WAT WEDT WEST"),
    (120, "B CAT CEDT CEST EET SAST WAST"),
    (180, "C EAT EEDT EEST IDT MSK"),
    (210, "IRST"),
    (240, "D AMT AZT GET GST KUYT MSD MUT RET SAMT SCT"),
    (270, "AFT IRDT"),
    (
        300,
        "E AMST AQTT AZST HMT MAWT MVT PKT TFT TJT TMT UZT YEKT",
    ),
    (330, "SLT"),
    (345, "NPT"),
    (360, "F ALMT BIOT BTT IOT KGT NOVT OMST YEKST"),
    (390, "CCT MMT"),
    (420, "G CXT DAVT HOVT ICT KRAT NOVST OMSST THA WIB"),
    (
        480,
        "H ACT AWST BDT BNT CAST HKT IRKT KRAST MYT PHT SGT ULAT WITA WST",
    ),
    (540, "I AWDT IRKST JST KST PWT TLT WDT WIT YAKT"),
    (570, "ACST"),
    (600, "K AEST ChST PGT VLAT YAKST YAPT"),
    (630, "ACDT LHST"),
    (660, "L AEDT LHDT MAGT NCT PONT SBT VLAST VUT"),
    (690, "NFT"),
    (
        720,
        "M ANAST ANAT FJT GILT MAGST MHT NZST PETST PETT TVT WFT",
    ),
    (780, "FJST NZDT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn civil(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn the_repeated_hour_is_the_latest_that_has_been() {
        let zone = Zone::posix(BERLIN).unwrap();
        let stamp = civil("2026-10-25T02:30:00");
        let (earlier, later) = (1_792_888_200, 1_792_891_800);
        let cases = [
            // now, expected
            (earlier - 1, later), // neither has been; the original says the later
            (earlier, earlier),
            (later - 1, earlier),
            (later, later),
            (later + 86_400, later),
        ];
        for (now, expected) in cases {
            let got = zone.instant(stamp, Timestamp::from_secs(now));
            assert_eq!(got, Some(Timestamp::from_secs(expected)), "now = {now}");
        }
    }

    #[test]
    fn the_skipped_hour_moves_forward() {
        let zone = Zone::posix(BERLIN).unwrap();
        let got = zone.instant(civil("2026-03-29T02:30:00"), Timestamp::default());
        assert_eq!(local_text(got.unwrap(), &zone), "2026-03-29 03:30:00");
    }

    #[test]
    fn times_are_written_with_two_digits_each_and_years_with_four() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (951_868_799, "2000-02-29 23:59:59"),
            (253_402_207_200 - 1, "9999-12-30 21:59:59"),
            (-62_135_596_800, "0001-01-01 00:00:00"),
            (-62_198_755_200, "-001-01-01 00:00:00"),
        ];
        for (secs, expected) in cases {
            let text = local_text(Timestamp::from_secs(secs), &Zone::utc());
            assert_eq!(text, expected, "{secs}");
        }
    }

    #[test]
    fn a_rule_and_a_name_give_the_same_zone() {
        let (rule, name) = (
            Zone::posix(BERLIN).unwrap(),
            Zone::named("Europe/Berlin").unwrap(),
        );
        for secs in (1_600_000_000..1_800_000_000).step_by(3_607) {
            let time = Timestamp::from_secs(secs);
            assert_eq!(rule.ahead(time), name.ahead(time), "{secs}");
        }
    }

    #[test]
    fn texts_are_local_and_truncate() {
        let zone = Zone::posix(BERLIN).unwrap();
        let time = Timestamp::from_micros(1_781_524_681_999_999);
        assert_eq!(local_text(time, &zone), "2026-06-15 13:58:01");
        assert_eq!(local_text_millis(time, &zone), "2026-06-15 13:58:01,999");
        assert_eq!(
            local_text_millis(time, &Zone::utc()),
            "2026-06-15 11:58:01,999"
        );
        let before = Timestamp::from_micros(-1);
        assert_eq!(
            local_text_millis(before, &Zone::utc()),
            "1969-12-31 23:59:59,999"
        );
    }

    #[test]
    fn times_for_machines_say_how_far_ahead_the_zone_is() {
        let time = Timestamp::from_micros(1_781_524_681_999_999);
        let cases = [
            (BERLIN, "2026-06-15T13:58:01.999+02:00"),
            ("XXX3:30", "2026-06-15T08:28:01.999-03:30"),
            ("UTC0", "2026-06-15T11:58:01.999+00:00"),
        ];
        for (rule, expected) in cases {
            let zone = Zone::posix(rule).unwrap();
            assert_eq!(rfc3339_millis(time, &zone), expected, "{rule}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_have_a_text() {
        assert_eq!(
            local_text(Timestamp::MAX, &Zone::utc()).get(..4),
            Some("9999")
        );
        assert!(local_text(Timestamp::from_micros(i64::MIN), &Zone::utc()).starts_with('-'));
    }

    #[test]
    fn errors_say_what_to_do() {
        let texts = [
            Zone::named("Europe/Atlantis").unwrap_err().to_string(),
            Zone::posix("CET+").unwrap_err().to_string(),
        ];
        assert_eq!(
            texts,
            [
                "zone 'Europe/Atlantis': not in the time zone database; give a name like 'Europe/Berlin', or install tzdata",
                "zone 'CET+': not a POSIX rule; give one like 'CET-01CEST-02,M3.5.0,M10.5.0'",
            ]
        );
    }

    #[test]
    fn abbreviations_are_exact_and_fixed() {
        let cases = [
            ("PDT", Some(-7 * 3600)),
            ("CEST", Some(2 * 3600)),
            ("NPT", Some(5 * 3600 + 45 * 60)),
            ("NZDT", Some(13 * 3600)),
            ("Y", Some(-12 * 3600)),
            ("utc", None),
            ("ABC", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(abbreviation(name), expected, "{name}");
        }
    }

    #[test]
    fn no_abbreviation_has_two_offsets() {
        let mut names: Vec<&str> = ABBREVIATIONS
            .iter()
            .flat_map(|row| row.1.split(' '))
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
