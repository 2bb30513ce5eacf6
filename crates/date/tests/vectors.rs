//! What the original was seen to answer, one row a line.
//!
//! The numbers are those of the rows in the specification of dates. Rows 104 to
//! 107 are about a jail's own `logtimezone`, which is not here yet.

#![cfg(test)]

use std::ops::Range;

use ferroban_date::{Detector, Search, Timestamp, Zone, local_text_millis};

/// 2026-06-15 12:00:00 UTC.
const NOON: i64 = 1_781_524_800;

/// What a line says, and what is left of it.
#[derive(Debug, Eq, PartialEq)]
enum Answer<'a> {
    Time(&'a str, &'a str),
    Unusable(&'a str),
    Nothing,
}

use Answer::{Nothing, Time, Unusable};

#[rustfmt::skip]
const ROWS: &[(u16, &str, i64, &str, Answer<'_>)] = &[
    // number, zone, now, line, expected
    (1, "UTC", NOON, "2026-06-15 11:58:01 host app: fail", Time("2026-06-15 11:58:01,000", " host app: fail")),
    (2, "UTC", NOON, "2026-06-15T11:58:01Z host app: fail", Time("2026-06-15 11:58:01,000", " host app: fail")),
    (3, "UTC", NOON, "2026-06-15T11:58:01.123456+02:00 host app: fail", Time("2026-06-15 09:58:01,000", " host app: fail")),
    (4, "UTC", NOON, "2026-06-15 11:58:01,789 host app: fail", Time("2026-06-15 11:58:01,000", " host app: fail")),
    (5, "UTC", NOON, "2026-06-15 11:58:01 +0530 host app: fail", Time("2026-06-15 06:28:01,000", " host app: fail")),
    (6, "UTC", NOON, "2026-06-15 11:58:01 -08 host app: fail", Time("2026-06-15 19:58:01,000", " host app: fail")),
    (7, "UTC", NOON, "2026-06-15 11:58:01 GMT host app: fail", Time("2026-06-15 11:58:01,000", " host app: fail")),
    (8, "UTC", NOON, "2026-06-15 11:58:01 CEST host app: fail", Time("2026-06-15 11:58:01,000", " CEST host app: fail")),
    (9, "UTC", NOON, "2026/06/15 11:58:01 [error] fail", Time("2026-06-15 11:58:01,000", " [error] fail")),
    (10, "UTC", NOON, "2026.06.15 11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (11, "UTC", NOON, "2026-06/15 11:58:01 fail", Nothing),
    (12, "UTC", NOON, "2026-6-5  8:05:09 fail", Time("2026-06-05 08:05:09,000", " fail")),
    (13, "UTC", NOON, "[2026-06-15 11:58:01] fail", Time("2026-06-15 11:58:01,000", "[] fail")),
    (14, "UTC", NOON, "[2026-06-15T11:58:01+00:00] fail", Time("2026-06-15 11:58:01,000", "[] fail")),
    (15, "UTC", NOON, "<<<2026-06-15 11:58:01>>> fail", Time("2026-06-15 11:58:01,000", "<<<>>> fail")),
    (16, "UTC", NOON, "x 2026-06-15 11:58:01 fail", Time("2026-06-15 11:58:01,000", "x  fail")),
    (17, "UTC", NOON, "abc2026-06-15 11:58:01 fail", Nothing),
    (18, "UTC", NOON, "2026-06-15 24:00:00 fail", Nothing),
    (19, "UTC", NOON, "2026-06-15 23:59:60 fail", Unusable(" fail")),
    (20, "UTC", NOON, "2026-06-15 23:59:61 fail", Unusable(" fail")),
    (21, "UTC", NOON, "2026-02-30 10:00:00 fail", Unusable(" fail")),
    (22, "UTC", NOON, "1999-06-15 11:58:01 fail", Nothing),
    (23, "UTC", NOON, "2031-06-15 11:58:01 fail", Nothing),
    (24, "UTC", NOON, "2029-06-15 11:58:01 fail", Time("2029-06-15 11:58:01,000", " fail")),
    (25, "UTC", NOON, "Jun 15 11:58:01 host sshd[1]: fail", Time("2026-06-15 11:58:01,000", " host sshd[1]: fail")),
    (26, "UTC", NOON, "Jun  5 11:58:01 host sshd[1]: fail", Time("2026-06-05 11:58:01,000", " host sshd[1]: fail")),
    (27, "UTC", NOON, "Jun 05 11:58:01 host sshd[1]: fail", Time("2026-06-05 11:58:01,000", " host sshd[1]: fail")),
    (28, "UTC", NOON, "Jun 5 11:58:01 host sshd[1]: fail", Time("2026-06-05 11:58:01,000", " host sshd[1]: fail")),
    (29, "UTC", NOON, "jun 15 11:58:01 host sshd[1]: fail", Time("2026-06-15 11:58:01,000", " host sshd[1]: fail")),
    (30, "UTC", NOON, "JUN 15 11:58:01 host sshd[1]: fail", Time("2026-06-15 11:58:01,000", " host sshd[1]: fail")),
    (31, "UTC", NOON, "Jun 15 13:58:01 host sshd[1]: fail", Time("2026-06-15 13:58:01,000", " host sshd[1]: fail")),
    (32, "UTC", NOON, "Jun 16 11:59:59 host sshd[1]: fail", Time("2026-06-16 11:59:59,000", " host sshd[1]: fail")),
    (33, "UTC", NOON, "Jun 16 12:00:01 host sshd[1]: fail", Time("2025-06-16 12:00:01,000", " host sshd[1]: fail")),
    (34, "UTC", NOON, "Dec 31 23:59:59 host sshd[1]: fail", Time("2025-12-31 23:59:59,000", " host sshd[1]: fail")),
    (35, "UTC", NOON, "Feb 29 10:00:00 host sshd[1]: fail", Unusable(" host sshd[1]: fail")),
    (36, "UTC", NOON, "Mon Jun 15 11:58:01 2026 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (37, "UTC", NOON, "Mon Jun 15 11:58:01.250 2026 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (38, "UTC", NOON, "[Mon Jun 15 11:58:01.123456 2026] [error] fail", Time("2026-06-15 11:58:01,000", "[] [error] fail")),
    (39, "UTC", NOON, "Fri Jun 15 11:58:01 2026 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (40, "UTC", NOON, "Mon Jun 15 2026 11:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (41, "UTC", NOON, "Jun 15 2026  8:58:01.011 host fail", Time("2026-06-15 08:58:01,000", " host fail")),
    (42, "UTC", NOON, "15/06/2026 11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (43, "UTC", NOON, "15/06/26 11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (44, "UTC", NOON, "15-06-2026 11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (45, "UTC", NOON, "15/06/00 11:58:01 fail", Time("2000-06-15 11:58:01,000", " fail")),
    (46, "UTC", NOON, "06/15/2026:11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (47, "UTC", NOON, "06-15-2026 11:58:01.252 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (48, "UTC", NOON, "05-06-2026 11:58:01 fail", Time("2026-06-05 11:58:01,000", " fail")),
    (49, "UTC", NOON, "05-06-2026 11:58:01.252 fail", Time("2026-06-05 11:58:01,000", ".252 fail")),
    (50, "UTC", NOON, "15/Jun/2026:11:58:01 +0200 GET /", Time("2026-06-15 09:58:01,000", " GET /")),
    (51, "UTC", NOON, "192.0.2.7 - - [15/Jun/2026:11:58:01 +0200] \"GET / HTTP/1.1\" 401 1", Time("2026-06-15 09:58:01,000", "192.0.2.7 - - [] \"GET / HTTP/1.1\" 401 1")),
    (52, "UTC", NOON, "15-Jun-2026 11:58:01.252 client fail", Time("2026-06-15 11:58:01,000", " client fail")),
    (53, "UTC", NOON, "15-Jun-2026 11:58:01 +0200 fail", Time("2026-06-15 09:58:01,000", " fail")),
    (54, "UTC", NOON, "15-Jun-202611:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (55, "UTC", NOON, "1781524681 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (56, "UTC", NOON, "1781524681.123 fail", Time("2026-06-15 11:58:01,123", " fail")),
    (57, "UTC", NOON, "1781524681.12 fail", Time("2026-06-15 11:58:01,000", ".12 fail")),
    (58, "UTC", NOON, "[1781524681] fail", Time("2026-06-15 11:58:01,000", "[] fail")),
    (59, "UTC", NOON, "type=USER_LOGIN msg=audit(1781524681.372:1002): fail", Time("2026-06-15 11:58:01,372", "type=USER_LOGIN msg=audit(:1002): fail")),
    (60, "UTC", NOON, "type=USER_LOGIN msg=audit(1781524681.372) fail", Time("2026-06-15 11:58:01,372", "type=USER_LOGIN msg=audit() fail")),
    (61, "UTC", NOON, "at 1781524681 fail", Nothing),
    (62, "UTC", NOON, "1781524681123 fail", Nothing),
    (63, "UTC", NOON, "11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (64, "UTC", NOON, "12:58:01 fail", Time("2026-06-14 12:58:01,000", " fail")),
    (65, "UTC", NOON, "00:00:00 fail", Time("2026-06-15 00:00:00,000", " fail")),
    (66, "UTC", NOON, "at 11:58:01 fail", Nothing),
    (67, "UTC", NOON, "<06/15/26@11:58:01> fail", Time("2026-06-15 11:58:01,000", " fail")),
    (68, "UTC", NOON, "260615 11:58:01 [Warning] fail", Time("2026-06-15 11:58:01,000", " [Warning] fail")),
    (69, "UTC", NOON, "260615  1:58:01 [Warning] fail", Time("2026-06-15 01:58:01,000", " [Warning] fail")),
    (70, "UTC", NOON, "Jun 15, 2026 11:58:01 AM org.apache fail", Time("2026-06-15 11:58:01,000", " org.apache fail")),
    (71, "UTC", NOON, "Jun 15, 2026 12:58:01 AM org.apache fail", Time("2026-06-15 00:58:01,000", " org.apache fail")),
    (72, "UTC", NOON, "Jun 15, 2026 12:00:01 PM org.apache fail", Time("2026-06-15 12:00:01,000", " org.apache fail")),
    (73, "UTC", NOON, "Jun 15, 2026 1:02:03 pm org.apache fail", Time("2026-06-15 13:02:03,000", " org.apache fail")),
    (74, "UTC", NOON, "Jun-15-26 11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (75, "UTC", NOON, "20260615T115801 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (76, "UTC", NOON, "20260615 115801 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (77, "UTC", NOON, "20260615-11:58:01 fail", Time("2026-06-15 11:58:01,000", " fail")),
    (78, "UTC", NOON, "20260615115801 fail", Nothing),
    (79, "UTC", NOON, "20260615T115801Z fail", Time("2026-06-15 11:58:01,000", " fail")),
    (80, "UTC", NOON, "20260615T115801.5 +0200 fail", Time("2026-06-15 09:58:01,000", " fail")),
    (81, "UTC", NOON, "PDT Jun 15 04:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (82, "UTC", NOON, "CEST Mon Jun 15 13:58:01 2026 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (83, "UTC", NOON, "ABC Jun 15 11:58:01 host fail", Unusable(" host fail")),
    (84, "UTC", NOON, "+02:00 Jun 15 13:58:01 2026 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (85, "UTC", NOON, "-0700 Jun 15 04:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (86, "UTC", NOON, "@400000006a2fe90d1234abcd fail", Time("2026-06-15 11:59:09,000", " fail")),
    (87, "UTC", NOON, "msg @400000006a2fe90d1234abcd fail", Time("2026-06-15 11:59:09,000", "msg  fail")),
    (88, "UTC", NOON, "no date here", Nothing),
    (89, "UTC", NOON, "", Nothing),
    (90, "UTC", NOON, "Jun 15 11:58:01", Time("2026-06-15 11:58:01,000", "")),
    (91, "UTC", NOON, "kernel: [12345.678901] 2026-06-15 11:58:01 fail", Time("2026-06-15 11:58:01,000", "kernel: [12345.678901]  fail")),
    (92, "UTC", NOON, "10.2.3.4 2026-06-15 11:58:01.1234567 fail", Time("2026-06-15 11:58:01,000", "10.2.3.4 .1234567 fail")),
    (93, "UTC", NOON, "2026-06-15 11:58 fail", Nothing),
    (94, "UTC", NOON, "2026-06-15 fail", Nothing),
    (95, "UTC", NOON, "Sep 31 10:00:00 host fail", Unusable(" host fail")),
    (96, "Europe/Berlin", NOON, "Jun 15 13:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (97, "Europe/Berlin", NOON, "2026-06-15 13:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (98, "Europe/Berlin", NOON, "Jan 15 13:58:01 host fail", Time("2026-01-15 12:58:01,000", " host fail")),
    (99, "Europe/Berlin", NOON, "2026-03-29 02:30:00 host fail", Time("2026-03-29 01:30:00,000", " host fail")),
    (100, "Europe/Berlin", NOON, "2026-10-25 02:30:00 host fail", Time("2026-10-25 01:30:00,000", " host fail")),
    (101, "America/New_York", NOON, "Jun 15 07:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (102, "America/New_York", NOON, "08:58:01 host fail", Time("2026-06-14 12:58:01,000", " host fail")),
    (103, "America/New_York", NOON, "07:58:01 host fail", Time("2026-06-15 11:58:01,000", " host fail")),
    (108, "UTC", 1_767_225_605, "Jan 1 00:00:10 host fail", Time("2026-01-01 00:00:10,000", " host fail")),
    (109, "UTC", 1_767_225_605, "Dec 31 23:59:59 host fail", Time("2025-12-31 23:59:59,000", " host fail")),
    (110, "UTC", 1_767_223_800, "Jan 1 00:30:00 host fail", Time("2025-01-01 00:30:00,000", " host fail")),
    (111, "UTC", 1_767_225_605, "23:59:58 host fail", Time("2025-12-31 23:59:58,000", " host fail")),
    (112, "UTC", 1_709_208_000, "Feb 29 10:00:00 host fail", Time("2024-02-29 10:00:00,000", " host fail")),
    (113, "UTC", NOON, "foo Jun 15 11:58:01 x", Unusable(" x")),
    (114, "UTC", NOON, "utc Jun 15 11:58:01 x", Unusable(" x")),
    (115, "UTC", NOON, "hosts1 Jun 15 11:58:01 x", Time("2026-06-15 11:58:01,000", "hosts1  x")),
    (116, "UTC", NOON, "EST Jun 15 06:58:01 x", Time("2026-06-15 11:58:01,000", " x")),
    (117, "UTC", NOON, "Z Jun 15 11:58:01 x", Time("2026-06-15 11:58:01,000", " x")),
    (118, "UTC", NOON, "GMT Jun 15 11:58:01 x", Time("2026-06-15 11:58:01,000", " x")),
];

#[test]
fn every_row_gives_the_answer_of_the_original() {
    for (number, zone, now, line, expected) in ROWS {
        let detector = Detector::new(Zone::named(zone).unwrap());
        let answer = detector.search(line, Timestamp::from_secs(*now));
        let (time, rest);
        let answer = match answer {
            Search::Nothing => Nothing,
            Search::Unusable { span } => {
                rest = cut(line, &span);
                Unusable(&rest)
            }
            Search::Found(found) => {
                time = local_text_millis(found.time, &Zone::utc());
                rest = cut(line, &found.span);
                Time(&time, &rest)
            }
        };
        assert_eq!(&answer, expected, "row {number}: {line}");
    }
}

fn cut(line: &str, span: &Range<usize>) -> String {
    let (before, after) = (
        line.get(..span.start).unwrap(),
        line.get(span.end..).unwrap(),
    );
    format!("{before}{after}")
}
