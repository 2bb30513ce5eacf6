//! What the original was seen to answer, one row a line.
//!
//! The numbers are those of the rows in the specification of dates. Of row 100, in
//! the hour that autumn repeats, the original gives the later instant, as we do for
//! an hour that lies ahead.

#![cfg(test)]

use std::ops::Range;

use ferroban_date::{Detector, LogZone, Search, Timestamp, Unusable, Zone, local_text};

/// 2026-06-15 12:00:00 UTC.
const NOON: i64 = 1_781_524_800;

/// What a line says, and what is left of it.
#[derive(Debug, Eq, PartialEq)]
enum Answer<'a> {
    /// A time in UTC, its microseconds, and the rest of the line.
    Time(&'a str, i64, &'a str),
    NotATime(&'a str),
    Incomplete(&'a str),
    UnknownZone(&'a str, &'a str),
    Empty,
    Nothing,
}

use Answer::{Empty, Incomplete, NotATime, Nothing, Time, UnknownZone};

/// The zone of the machine, that of the log, and when it is read.
type Place = (&'static str, Option<&'static str>, i64);

#[rustfmt::skip]
const DEFAULT: &[(u16, Place, &str, &str, Answer<'_>)] = &[
    // number, place, line, template, expected
    (1, ("UTC", None, NOON), "2026-06-15 11:58:01 host app: fail", "A01", Time("2026-06-15 11:58:01", 0, " host app: fail")),
    (2, ("UTC", None, NOON), "2026-06-15T11:58:01Z host app: fail", "A01", Time("2026-06-15 11:58:01", 0, " host app: fail")),
    (3, ("UTC", None, NOON), "2026-06-15T11:58:01.123456+02:00 host app: fail", "A01", Time("2026-06-15 09:58:01", 0, " host app: fail")),
    (4, ("UTC", None, NOON), "2026-06-15 11:58:01,789 host app: fail", "A01", Time("2026-06-15 11:58:01", 0, " host app: fail")),
    (5, ("UTC", None, NOON), "2026-06-15 11:58:01 +0530 host app: fail", "A01", Time("2026-06-15 06:28:01", 0, " host app: fail")),
    (6, ("UTC", None, NOON), "2026-06-15 11:58:01 -08 host app: fail", "A01", Time("2026-06-15 19:58:01", 0, " host app: fail")),
    (7, ("UTC", None, NOON), "2026-06-15 11:58:01 GMT host app: fail", "A01", Time("2026-06-15 11:58:01", 0, " host app: fail")),
    (8, ("UTC", None, NOON), "2026-06-15 11:58:01 CEST host app: fail", "A01", Time("2026-06-15 11:58:01", 0, " CEST host app: fail")),
    (9, ("UTC", None, NOON), "2026/06/15 11:58:01 [error] fail", "A01", Time("2026-06-15 11:58:01", 0, " [error] fail")),
    (10, ("UTC", None, NOON), "2026.06.15 11:58:01 fail", "A01", Time("2026-06-15 11:58:01", 0, " fail")),
    (11, ("UTC", None, NOON), "2026-06/15 11:58:01 fail", "", Nothing),
    (12, ("UTC", None, NOON), "2026-6-5  8:05:09 fail", "A01", Time("2026-06-05 08:05:09", 0, " fail")),
    (13, ("UTC", None, NOON), "[2026-06-15 11:58:01] fail", "A01", Time("2026-06-15 11:58:01", 0, "[] fail")),
    (14, ("UTC", None, NOON), "[2026-06-15T11:58:01+00:00] fail", "A01", Time("2026-06-15 11:58:01", 0, "[] fail")),
    (15, ("UTC", None, NOON), "<<<2026-06-15 11:58:01>>> fail", "D01", Time("2026-06-15 11:58:01", 0, "<<<>>> fail")),
    (16, ("UTC", None, NOON), "x 2026-06-15 11:58:01 fail", "D01", Time("2026-06-15 11:58:01", 0, "x  fail")),
    (17, ("UTC", None, NOON), "abc2026-06-15 11:58:01 fail", "", Nothing),
    (18, ("UTC", None, NOON), "2026-06-15 24:00:00 fail", "", Nothing),
    (19, ("UTC", None, NOON), "2026-06-15 23:59:60 fail", "A01", NotATime(" fail")),
    (20, ("UTC", None, NOON), "2026-06-15 23:59:61 fail", "A01", NotATime(" fail")),
    (21, ("UTC", None, NOON), "2026-02-30 10:00:00 fail", "A01", NotATime(" fail")),
    (22, ("UTC", None, NOON), "1999-06-15 11:58:01 fail", "", Nothing),
    (23, ("UTC", None, NOON), "2031-06-15 11:58:01 fail", "", Nothing),
    (24, ("UTC", None, NOON), "2029-06-15 11:58:01 fail", "A01", Time("2029-06-15 11:58:01", 0, " fail")),
    (25, ("UTC", None, NOON), "Jun 15 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-15 11:58:01", 0, " host sshd[1]: fail")),
    (26, ("UTC", None, NOON), "Jun  5 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-05 11:58:01", 0, " host sshd[1]: fail")),
    (27, ("UTC", None, NOON), "Jun 05 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-05 11:58:01", 0, " host sshd[1]: fail")),
    (28, ("UTC", None, NOON), "Jun 5 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-05 11:58:01", 0, " host sshd[1]: fail")),
    (29, ("UTC", None, NOON), "jun 15 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-15 11:58:01", 0, " host sshd[1]: fail")),
    (30, ("UTC", None, NOON), "JUN 15 11:58:01 host sshd[1]: fail", "A02", Time("2026-06-15 11:58:01", 0, " host sshd[1]: fail")),
    (31, ("UTC", None, NOON), "Jun 15 13:58:01 host sshd[1]: fail", "A02", Time("2026-06-15 13:58:01", 0, " host sshd[1]: fail")),
    (32, ("UTC", None, NOON), "Jun 16 11:59:59 host sshd[1]: fail", "A02", Time("2026-06-16 11:59:59", 0, " host sshd[1]: fail")),
    (33, ("UTC", None, NOON), "Jun 16 12:00:01 host sshd[1]: fail", "A02", Time("2025-06-16 12:00:01", 0, " host sshd[1]: fail")),
    (34, ("UTC", None, NOON), "Dec 31 23:59:59 host sshd[1]: fail", "A02", Time("2025-12-31 23:59:59", 0, " host sshd[1]: fail")),
    (35, ("UTC", None, NOON), "Feb 29 10:00:00 host sshd[1]: fail", "A02", NotATime(" host sshd[1]: fail")),
    (36, ("UTC", None, NOON), "Mon Jun 15 11:58:01 2026 host fail", "A02", Time("2026-06-15 11:58:01", 0, " host fail")),
    (37, ("UTC", None, NOON), "Mon Jun 15 11:58:01.250 2026 host fail", "A02", Time("2026-06-15 11:58:01", 0, " host fail")),
    (38, ("UTC", None, NOON), "[Mon Jun 15 11:58:01.123456 2026] [error] fail", "A02", Time("2026-06-15 11:58:01", 0, "[] [error] fail")),
    (39, ("UTC", None, NOON), "Fri Jun 15 11:58:01 2026 host fail", "A02", Time("2026-06-15 11:58:01", 0, " host fail")),
    (40, ("UTC", None, NOON), "Mon Jun 15 2026 11:58:01 host fail", "A03", Time("2026-06-15 11:58:01", 0, " host fail")),
    (41, ("UTC", None, NOON), "Jun 15 2026  8:58:01.011 host fail", "A03", Time("2026-06-15 08:58:01", 0, " host fail")),
    (42, ("UTC", None, NOON), "15/06/2026 11:58:01 fail", "A04", Time("2026-06-15 11:58:01", 0, " fail")),
    (43, ("UTC", None, NOON), "15/06/26 11:58:01 fail", "A04", Time("2026-06-15 11:58:01", 0, " fail")),
    (44, ("UTC", None, NOON), "15-06-2026 11:58:01 fail", "A04", Time("2026-06-15 11:58:01", 0, " fail")),
    (45, ("UTC", None, NOON), "15/06/00 11:58:01 fail", "A04", Time("2000-06-15 11:58:01", 0, " fail")),
    (46, ("UTC", None, NOON), "06/15/2026:11:58:01 fail", "A06", Time("2026-06-15 11:58:01", 0, " fail")),
    (47, ("UTC", None, NOON), "06-15-2026 11:58:01.252 fail", "A07", Time("2026-06-15 11:58:01", 0, " fail")),
    (48, ("UTC", None, NOON), "05-06-2026 11:58:01 fail", "A04", Time("2026-06-05 11:58:01", 0, " fail")),
    (49, ("UTC", None, NOON), "05-06-2026 11:58:01.252 fail", "A04", Time("2026-06-05 11:58:01", 0, ".252 fail")),
    (50, ("UTC", None, NOON), "15/Jun/2026:11:58:01 +0200 GET /", "A05", Time("2026-06-15 09:58:01", 0, " GET /")),
    (51, ("UTC", None, NOON), r#"192.0.2.7 - - [15/Jun/2026:11:58:01 +0200] "GET / HTTP/1.1" 401 1"#, "D05", Time("2026-06-15 09:58:01", 0, r#"192.0.2.7 - - [] "GET / HTTP/1.1" 401 1"#)),
    (52, ("UTC", None, NOON), "15-Jun-2026 11:58:01.252 client fail", "A05", Time("2026-06-15 11:58:01", 0, " client fail")),
    (53, ("UTC", None, NOON), "15-Jun-2026 11:58:01 +0200 fail", "A05", Time("2026-06-15 09:58:01", 0, " fail")),
    (54, ("UTC", None, NOON), "15-Jun-202611:58:01 fail", "A05", Time("2026-06-15 11:58:01", 0, " fail")),
    (55, ("UTC", None, NOON), "1781524681 fail", "A08", Time("2026-06-15 11:58:01", 0, " fail")),
    (56, ("UTC", None, NOON), "1781524681.123 fail", "A08", Time("2026-06-15 11:58:01", 123_000, " fail")),
    (57, ("UTC", None, NOON), "1781524681.12 fail", "A08", Time("2026-06-15 11:58:01", 0, ".12 fail")),
    (58, ("UTC", None, NOON), "[1781524681] fail", "A08", Time("2026-06-15 11:58:01", 0, "[] fail")),
    (59, ("UTC", None, NOON), "type=USER_LOGIN msg=audit(1781524681.372:1002): fail", "D08", Time("2026-06-15 11:58:01", 372_000, "type=USER_LOGIN msg=audit(:1002): fail")),
    (60, ("UTC", None, NOON), "type=USER_LOGIN msg=audit(1781524681.372) fail", "D08", Time("2026-06-15 11:58:01", 372_000, "type=USER_LOGIN msg=audit() fail")),
    (61, ("UTC", None, NOON), "at 1781524681 fail", "", Nothing),
    (62, ("UTC", None, NOON), "1781524681123 fail", "", Nothing),
    (63, ("UTC", None, NOON), "11:58:01 fail", "D09", Time("2026-06-15 11:58:01", 0, " fail")),
    (64, ("UTC", None, NOON), "12:58:01 fail", "D09", Time("2026-06-14 12:58:01", 0, " fail")),
    (65, ("UTC", None, NOON), "00:00:00 fail", "D09", Time("2026-06-15 00:00:00", 0, " fail")),
    (66, ("UTC", None, NOON), "at 11:58:01 fail", "", Nothing),
    (67, ("UTC", None, NOON), "<06/15/26@11:58:01> fail", "D10", Time("2026-06-15 11:58:01", 0, " fail")),
    (68, ("UTC", None, NOON), "260615 11:58:01 [Warning] fail", "A11", Time("2026-06-15 11:58:01", 0, " [Warning] fail")),
    (69, ("UTC", None, NOON), "260615  1:58:01 [Warning] fail", "A11", Time("2026-06-15 01:58:01", 0, " [Warning] fail")),
    (70, ("UTC", None, NOON), "Jun 15, 2026 11:58:01 AM org.apache fail", "A12", Time("2026-06-15 11:58:01", 0, " org.apache fail")),
    (71, ("UTC", None, NOON), "Jun 15, 2026 12:58:01 AM org.apache fail", "A12", Time("2026-06-15 00:58:01", 0, " org.apache fail")),
    (72, ("UTC", None, NOON), "Jun 15, 2026 12:00:01 PM org.apache fail", "A12", Time("2026-06-15 12:00:01", 0, " org.apache fail")),
    (73, ("UTC", None, NOON), "Jun 15, 2026 1:02:03 pm org.apache fail", "A12", Time("2026-06-15 13:02:03", 0, " org.apache fail")),
    (74, ("UTC", None, NOON), "Jun-15-26 11:58:01 fail", "D13", Time("2026-06-15 11:58:01", 0, " fail")),
    (75, ("UTC", None, NOON), "20260615T115801 fail", "A14", Time("2026-06-15 11:58:01", 0, " fail")),
    (76, ("UTC", None, NOON), "20260615 115801 fail", "A14", Time("2026-06-15 11:58:01", 0, " fail")),
    (77, ("UTC", None, NOON), "20260615-11:58:01 fail", "A14", Time("2026-06-15 11:58:01", 0, " fail")),
    (78, ("UTC", None, NOON), "20260615115801 fail", "", Nothing),
    (79, ("UTC", None, NOON), "20260615T115801Z fail", "A14", Time("2026-06-15 11:58:01", 0, " fail")),
    (80, ("UTC", None, NOON), "20260615T115801.5 +0200 fail", "A14", Time("2026-06-15 09:58:01", 0, " fail")),
    (81, ("UTC", None, NOON), "PDT Jun 15 04:58:01 host fail", "A15", Time("2026-06-15 11:58:01", 0, " host fail")),
    (82, ("UTC", None, NOON), "CEST Mon Jun 15 13:58:01 2026 host fail", "A15", Time("2026-06-15 11:58:01", 0, " host fail")),
    (83, ("UTC", None, NOON), "ABC Jun 15 11:58:01 host fail", "A15", UnknownZone("ABC", " host fail")),
    (84, ("UTC", None, NOON), "+02:00 Jun 15 13:58:01 2026 host fail", "A16", Time("2026-06-15 11:58:01", 0, " host fail")),
    (85, ("UTC", None, NOON), "-0700 Jun 15 04:58:01 host fail", "A16", Time("2026-06-15 11:58:01", 0, " host fail")),
    (86, ("UTC", None, NOON), "@400000006a2fe90d1234abcd fail", "A17", Time("2026-06-15 11:59:09", 0, " fail")),
    (87, ("UTC", None, NOON), "msg @400000006a2fe90d1234abcd fail", "D17", Time("2026-06-15 11:59:09", 0, "msg  fail")),
    (88, ("UTC", None, NOON), "no date here", "", Nothing),
    (89, ("UTC", None, NOON), "", "", Nothing),
    (90, ("UTC", None, NOON), "Jun 15 11:58:01", "A02", Time("2026-06-15 11:58:01", 0, "")),
    (91, ("UTC", None, NOON), "kernel: [12345.678901] 2026-06-15 11:58:01 fail", "D01", Time("2026-06-15 11:58:01", 0, "kernel: [12345.678901]  fail")),
    (92, ("UTC", None, NOON), "10.2.3.4 2026-06-15 11:58:01.1234567 fail", "D01", Time("2026-06-15 11:58:01", 0, "10.2.3.4 .1234567 fail")),
    (93, ("UTC", None, NOON), "2026-06-15 11:58 fail", "", Nothing),
    (94, ("UTC", None, NOON), "2026-06-15 fail", "", Nothing),
    (95, ("UTC", None, NOON), "Sep 31 10:00:00 host fail", "A02", NotATime(" host fail")),
    (96, ("Europe/Berlin", None, NOON), "Jun 15 13:58:01 host fail", "A02", Time("2026-06-15 11:58:01", 0, " host fail")),
    (97, ("Europe/Berlin", None, NOON), "2026-06-15 13:58:01 host fail", "A01", Time("2026-06-15 11:58:01", 0, " host fail")),
    (98, ("Europe/Berlin", None, NOON), "Jan 15 13:58:01 host fail", "A02", Time("2026-01-15 12:58:01", 0, " host fail")),
    (99, ("Europe/Berlin", None, NOON), "2026-03-29 02:30:00 host fail", "A01", Time("2026-03-29 01:30:00", 0, " host fail")),
    (100, ("Europe/Berlin", None, NOON), "2026-10-25 02:30:00 host fail", "A01", Time("2026-10-25 01:30:00", 0, " host fail")),
    (101, ("America/New_York", None, NOON), "Jun 15 07:58:01 host fail", "A02", Time("2026-06-15 11:58:01", 0, " host fail")),
    (102, ("America/New_York", None, NOON), "08:58:01 host fail", "D09", Time("2026-06-14 12:58:01", 0, " host fail")),
    (103, ("America/New_York", None, NOON), "07:58:01 host fail", "D09", Time("2026-06-15 11:58:01", 0, " host fail")),
    (104, ("UTC", Some("UTC+0200"), NOON), "Jun 15 11:58:01 host fail", "A02", Time("2026-06-15 09:58:01", 0, " host fail")),
    (105, ("UTC", Some("CET"), NOON), "Jun 15 11:58:01 host fail", "A02", Time("2026-06-15 10:58:01", 0, " host fail")),
    (106, ("America/New_York", Some("GMT-0100"), NOON), "Jun 15 11:58:01 host fail", "A02", Time("2026-06-15 12:58:01", 0, " host fail")),
    (107, ("UTC", Some("UTC+0200"), NOON), "2026-06-15T11:58:01Z host fail", "A01", Time("2026-06-15 11:58:01", 0, " host fail")),
    (108, ("UTC", None, 1_767_225_605), "Jan 1 00:00:10 host fail", "A02", Time("2026-01-01 00:00:10", 0, " host fail")),
    (109, ("UTC", None, 1_767_225_605), "Dec 31 23:59:59 host fail", "A02", Time("2025-12-31 23:59:59", 0, " host fail")),
    (110, ("UTC", None, 1_767_223_800), "Jan 1 00:30:00 host fail", "A02", Time("2025-01-01 00:30:00", 0, " host fail")),
    (111, ("UTC", None, 1_767_225_605), "23:59:58 host fail", "D09", Time("2025-12-31 23:59:58", 0, " host fail")),
    (112, ("UTC", None, 1_709_208_000), "Feb 29 10:00:00 host fail", "A02", Time("2024-02-29 10:00:00", 0, " host fail")),
    (113, ("UTC", None, NOON), "foo Jun 15 11:58:01 x", "A15", NotATime(" x")),
    (114, ("UTC", None, NOON), "utc Jun 15 11:58:01 x", "A15", NotATime(" x")),
    (115, ("UTC", None, NOON), "hosts1 Jun 15 11:58:01 x", "D02", Time("2026-06-15 11:58:01", 0, "hosts1  x")),
    (116, ("UTC", None, NOON), "EST Jun 15 06:58:01 x", "A15", Time("2026-06-15 11:58:01", 0, " x")),
    (117, ("UTC", None, NOON), "Z Jun 15 11:58:01 x", "A15", Time("2026-06-15 11:58:01", 0, " x")),
    (118, ("UTC", None, NOON), "GMT Jun 15 11:58:01 x", "A15", Time("2026-06-15 11:58:01", 0, " x")),
];

#[rustfmt::skip]
const CUSTOM: &[(u16, &[&str], &str, Answer<'_>)] = &[
    // number, patterns, line, expected
    (201, &["%Y-%m-%d %H:%M:%S"], "2026-06-15 11:58:01 fail", Time("2026-06-15 11:58:01", 0, " fail")),
    (202, &["%Y-%m-%d %H:%M:%S"], "x2026-06-15 11:58:01 fail", Nothing),
    (203, &["**%Y-%m-%d %H:%M:%S"], "x2026-06-15 11:58:01 fail", Time("2026-06-15 11:58:01", 0, "x fail")),
    (204, &["**%Y-%m-%d %H:%M:%S"], "x2026-06-15 11:58:012 fail", Nothing),
    (205, &["**%Y-%m-%d %H:%M:%S**"], "x2026-06-15 11:58:012 fail", Time("2026-06-15 11:58:01", 0, "x2 fail")),
    (206, &["{UNB}%Y-%m-%d %H:%M:%S"], "x2026-06-15 11:58:012 fail", Time("2026-06-15 11:58:01", 0, "x2 fail")),
    (207, &["^%Y-%m-%d %H:%M:%S"], "2026-06-15 11:58:01 fail", Time("2026-06-15 11:58:01", 0, " fail")),
    (208, &["^%Y-%m-%d %H:%M:%S"], "[2026-06-15 11:58:01] fail", Nothing),
    (209, &["{^LN-BEG}%Y-%m-%d %H:%M:%S"], "[2026-06-15 11:58:01] fail", Time("2026-06-15 11:58:01", 0, "[] fail")),
    (210, &["{^LN-BEG}%Y-%m-%d %H:%M:%S"], "[[[2026-06-15 11:58:01] fail", Nothing),
    (211, &[r"^\[%Y-%m-%d %H:%M:%S\]"], "[2026-06-15 11:58:01] fail", Time("2026-06-15 11:58:01", 0, " fail")),
    (212, &[r"^\[(%Y-%m-%d %H:%M:%S)\]"], "[2026-06-15 11:58:01] fail", Time("2026-06-15 11:58:01", 0, "[] fail")),
    (213, &["ts=%Y-%m-%dT%H:%M:%S%z"], "level=warn ts=2026-06-15T11:58:01Z msg=x", Time("2026-06-15 11:58:01", 0, "level=warn  msg=x")),
    (214, &["ts=({DATE})"], "level=warn ts=2026-06-15T11:58:01Z msg=x", Time("2026-06-15 11:58:01", 0, "level=warn ts= msg=x")),
    (215, &["ts={DATE}"], "level=warn ts=2026-06-15T11:58:01Z msg=x", Time("2026-06-15 11:58:01", 0, "level=warn  msg=x")),
    (216, &["{^LN-BEG}"], "2026-06-15T11:58:01Z msg=x", Time("2026-06-15 11:58:01", 0, " msg=x")),
    (217, &["{^LN-BEG}"], "x 2026-06-15T11:58:01Z msg=x", Nothing),
    (218, &["{DEFAULT}"], "x 2026-06-15T11:58:01Z msg=x", Time("2026-06-15 11:58:01", 0, "x  msg=x")),
    (219, &["%y%m%d/%H%M%S", "{DEFAULT}"], "foo=260615/115801 x", Time("2026-06-15 11:58:01", 0, "foo= x")),
    (220, &["%y%m%d/%H%M%S", "{DEFAULT}"], "2026-06-15 11:58:01 x", Nothing),
    (221, &["{NONE}"], "2026-06-15 11:58:01 x", Empty),
    (222, &["{NONE}"], "nothing at all", Empty),
    (223, &["EPOCH"], "1781524681 x", Time("2026-06-15 11:58:01", 0, " x")),
    (224, &["Epoch"], "1781524681 x", Time("2026-06-15 11:58:01", 0, " x")),
    (225, &["EPOCH"], "at 1781524681 x", Nothing),
    (226, &["{EPOCH}"], "at [1781524681] x", Time("2026-06-15 11:58:01", 0, "at [] x")),
    (227, &["ts={EPOCH}"], "id=5 ts=1781524681.372 x", Time("2026-06-15 11:58:01", 372_000, "id=5  x")),
    (228, &[r"\bts=({EPOCH})"], "id=5 ts=1781524681.372 x", Time("2026-06-15 11:58:01", 372_000, "id=5 ts= x")),
    (229, &[r"\b(ts={EPOCH})"], "id=5 ts=1781524681.372 x", Time("2026-06-15 11:58:01", 372_000, "id=5  x")),
    (230, &["LEPOCH"], "1781524681372 x", Time("2026-06-15 11:58:01", 372_000, " x")),
    (231, &["LEPOCH"], "1781524681372123 x", Time("2026-06-15 11:58:01", 372_123, " x")),
    (232, &["LEPOCH"], "1781524681372.123 x", Time("2026-06-15 11:58:01", 372_123, " x")),
    (233, &[r#""ts":{LEPOCH}"#], r#"{"ts":1781524681372,"m":"x"}"#, Time("2026-06-15 11:58:01", 372_000, r#"{,"m":"x"}"#)),
    (234, &["LEPOCH"], "1781524681 x", Time("2026-06-15 11:58:01", 0, " x")),
    (235, &["TAI64N"], "@400000006a2fe90d1234abcd x", Time("2026-06-15 11:59:09", 0, " x")),
    (236, &["^TAI64N"], "x @400000006a2fe90d1234abcd x", Nothing),
    (237, &["ISO8601"], "2026-06-15 11:58:01 x", Nothing),
    (238, &["%m-%d %H:%M:%S"], "06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (239, &["%m-%d %H:%M:%S"], "06-17 11:58:01 x", Time("2025-06-17 11:58:01", 0, " x")),
    (240, &["%d %H:%M:%S"], "15 11:58:01 x", Incomplete(" x")),
    (241, &["%Y-%j %H:%M:%S"], "2026-166 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (242, &["%Y %W %w %H:%M:%S"], "2026 24 1 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (243, &["%B %d %Y %H:%M:%S"], "June 15 2026 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (244, &["%d %B %Y %H:%M:%S"], "15 june 2026 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (245, &["%Y-%m-%d %H:%M:%S %Z"], "2026-06-15 11:58:01 CEST x", Time("2026-06-15 09:58:01", 0, " x")),
    (246, &["%Y-%m-%d %H:%M:%S %Exz"], "2026-06-15 11:58:01 UTC+0200 x", Time("2026-06-15 09:58:01", 0, " x")),
    (247, &["%Y-%m-%d %H:%M:%S %Exz"], "2026-06-15 11:58:01 CET+01 x", Time("2026-06-15 09:58:01", 0, " x")),
    (248, &["%Y-%m-%d %H:%M:%S %ExZ"], "2026-06-15 11:58:01 B x", Time("2026-06-15 09:58:01", 0, " x")),
    (249, &["%Y-%m-%d %H:%M:%S %z"], "2026-06-15 11:58:01 +12:45 x", Time("2026-06-14 23:13:01", 0, " x")),
    (250, &["%Y-%m-%d %H:%M:%S %z"], "2026-06-15 11:58:01 -0330 x", Time("2026-06-15 15:28:01", 0, " x")),
    (251, &["%Y-%m-%d %H:%M:%S %z"], "2026-06-15 11:58:01 -23 x", Nothing),
    (252, &["%Y-%m-%d %H:%M:%S %Z"], "2026-06-15 11:58:01 NST x", Time("2026-06-15 15:28:01", 0, " x")),
    (253, &["%I:%M %p %m/%d/%Y"], "11:58 PM 06/15/2026 x", Time("2026-06-15 23:58:00", 0, " x")),
    (254, &["%I:%M %m/%d/%Y"], "11:58 06/15/2026 x", Time("2026-06-15 11:58:00", 0, " x")),
    (255, &["%Y-%m-%d"], "2026-06-15 x", Time("2026-06-15 00:00:00", 0, " x")),
    (256, &["%c"], "Mon Jun 15 11:58:01 2026 x", Time("2026-06-15 11:58:01", 0, " x")),
    (257, &["%x %X"], "06/15/26 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (258, &["100%% %Y-%m-%d %H:%M:%S"], "100% 2026-06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (259, &["%d/%m/%y %k:%M:%S"], "5/6/26 1:2:3 x", Time("2026-06-05 01:02:03", 0, " x")),
    (260, &["%Y-%m-%d %k:%M:%S"], "2026-06-15 25:58:01 x", NotATime(" x")),
    (261, &[r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d) (?P<H>\d+):(?P<M>\d+):(?P<S>\d+)"], "2026-06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (262, &["B %Y-%m-%d %H:%M:%S"], "A 2026-06-15 11:58:01 B 2026-06-14 10:00:00", Time("2026-06-14 10:00:00", 0, "A 2026-06-15 11:58:01 ")),
    (263, &[r"^<\d+>\d+\s+{DATE}"], "<13>1 2026-06-15T11:58:01.003Z host app 12 - - msg", Time("2026-06-15 11:58:01", 0, " host app 12 - - msg")),
    (264, &["^%Y-%m-%d %H:%M:%S$"], "2026-06-15 11:58:01", Time("2026-06-15 11:58:01", 0, "")),
    (265, &["^%Y-%m-%d %H:%M:%S$"], "2026-06-15 11:58:01 tail", Nothing),
    (266, &["%Y-%m-%d (am|pm) %H:%M:%S"], "2026-06-15 am 11:58:01 x", Time("2026-06-15 11:58:01", 0, "-06-15 am 11:58:01 x")),
    (267, &["%Y-%m-%d (?:am|pm) %H:%M:%S"], "2026-06-15 am 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (268, &["(?:a) (%Y-%m-%d) am %H:%M:%S"], "a 2026-06-15 am 11:58:01 x", Time("2026-06-15 11:58:01", 0, "a  am 11:58:01 x")),
    (269, &["(ts) {EPOCH} (am)"], "ts 1781524681 am x", Time("2026-06-15 11:58:01", 0, " 1781524681 am x")),
    (270, &["%ExY-%Exm-%Exd %ExH:%ExM:%ExS"], "2026-06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (271, &["%ExY-%Exm-%Exd %ExH:%ExM:%ExS"], "2026-6-15 1:58:01 x", Nothing),
    (272, &["%Y-%m-%d %k:%M:%S"], "2026-06-15  1:58:01 x", Time("2026-06-15 01:58:01", 0, " x")),
    (273, &["%Y-%m-%d %l:%M:%S %p"], "2026-06-15  1:58:01 PM x", Time("2026-06-15 13:58:01", 0, " x")),
    (274, &["%Y-%m-%d %l:%M:%S %p"], "2026-06-15 19:58:01 PM x", NotATime(" x")),
    (275, &["%a %b %d %H:%M:%S %Y"], "MON JUN 15 11:58:01 2026 x", Time("2026-06-15 11:58:01", 0, " x")),
    (276, &["%Y-%m-%dT%H:%M:%S%z"], "2026-06-15t11:58:01z x", Nothing),
    (277, &["%Y-%m-%dT%H:%M:%S%z %p"], "2026-06-15T11:58:01z x", Nothing),
    (278, &["%d %b %Y %H:%M:%S %z"], "15 jun 2026 11:58:01 gmt x", NotATime(" x")),
    (279, &["%d %b %Y %H:%M:%S %Z"], "15 jun 2026 11:58:01 cest x", NotATime(" x")),
    (280, &["%d %b %y %H:%M:%S"], "15 jun 99 11:58:01 x", Time("2099-06-15 11:58:01", 0, " x")),
    (281, &["{EPOCH}"], "1781524681.3 x", Time("2026-06-15 11:58:01", 0, ".3 x")),
    (282, &["{EPOCH}"], "1781524681,3 x", Time("2026-06-15 11:58:01", 0, ",3 x")),
    (283, &["{EPOCH}"], "x1781524681 x", Nothing),
    (284, &["**{EPOCH}"], "x1781524681 x", Time("2026-06-15 11:58:01", 0, "x x")),
    (285, &["(?i)%Y-%m-%d %H:%M:%S"], "2026-06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (286, &["^{DATE}"], "1781524681 x", Time("2026-06-15 11:58:01", 0, " x")),
    (287, &["ts={DATE}"], "ts=1781524681 x", Nothing),
    (288, &["^{DATE}"], "@400000006a2fe90d1234abcd x", Time("2026-06-15 11:59:09", 0, " x")),
    (289, &["ts={DATE}"], "ts=@400000006a2fe90d1234abcd x", Nothing),
    (290, &["ts={DATE}"], "ts=11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (291, &[r"^[^\[]*\[({DATE})"], "[15/Jun/2026:11:58:01 +0200] x", Time("2026-06-15 09:58:01", 0, "[] x")),
    (292, &[r"^[^\[]*\[({DATE})"], "1.2.3.4 - - [15/Jun/2026:11:58:01 +0200] x", Time("2026-06-15 09:58:01", 0, "1.2.3.4 - - [] x")),
    (293, &[r"^[^\[]*(\[{DATE}\s*\])"], "1.2.3.4 - - [15/Jun/2026:11:58:01 +0200 ] x", Time("2026-06-15 09:58:01", 0, "1.2.3.4 - -  x")),
    (294, &["ts={date}"], "ts=2026-06-15 11:58:01 x", Time("2026-06-15 11:58:01", 0, " x")),
    (295, &["{^LN-BEG}Epoch"], "1781524681 x", Time("2026-06-15 11:58:01", 0, " x")),
    (296, &["{^LN-BEG}Epoch"], "<1781524681> x", Time("2026-06-15 11:58:01", 0, "<> x")),
    (297, &["{^LN-BEG}TAI64N"], "@400000006a2fe90d1234abcd x", Time("2026-06-15 11:59:09", 0, " x")),
];

/// The templates in the order in which a new detector tries them.
const CODES: [&str; 31] = [
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A14", "A15", "A16",
    "A17", "D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09", "D10", "D11", "D12",
    "D13", "D14", "D15", "D16", "D17",
];

/// Calls `check` with the answer to a line.
fn answer(detector: &mut Detector, line: &str, now: i64, check: impl FnOnce(Answer<'_>)) {
    match detector.search(line, Timestamp::from_secs(now)) {
        Search::Nothing => check(Nothing),
        Search::Empty => check(Empty),
        Search::Unusable { span, why } => {
            let rest = cut(line, &span);
            check(match &why {
                Unusable::NotATime => NotATime(&rest),
                Unusable::Incomplete => Incomplete(&rest),
                Unusable::UnknownZone(name) => UnknownZone(name, &rest),
            });
        }
        Search::Found(found) => {
            let text = local_text(found.time, &Zone::utc());
            let micros = found.time.subsec_micros();
            check(Time(&text, micros, &cut(line, &found.span)));
        }
    }
}

fn cut(line: &str, span: &Range<usize>) -> String {
    let (before, after) = (
        line.get(..span.start).unwrap(),
        line.get(span.end..).unwrap(),
    );
    format!("{before}{after}")
}

fn custom(patterns: &[&str]) -> Detector {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.into()).collect();
    Detector::with_patterns(&patterns, Zone::utc(), Timestamp::from_secs(NOON)).unwrap()
}

/// The code of the template that the last line belongs to.
fn code(detector: &Detector) -> &'static str {
    let mut fresh = Detector::new(Zone::utc());
    fresh.search("", Timestamp::from_secs(NOON));
    let Some(last) = detector.last() else {
        return "";
    };
    let name = detector.templates()[last].name;
    let templates = fresh.templates();
    let place = templates.iter().position(|template| template.name == name);
    CODES[place.unwrap()]
}

#[test]
fn the_default_templates_answer_as_the_original() {
    for (number, (zone, log_zone, now), line, template, expected) in DEFAULT {
        let mut detector = Detector::new(Zone::named(zone).unwrap());
        if let Some(log_zone) = log_zone {
            detector = detector.in_log_zone(LogZone::parse(log_zone).unwrap());
        }
        answer(&mut detector, line, *now, |answer| {
            assert_eq!(&answer, expected, "row {number}: {line}");
        });
        assert_eq!(&code(&detector), template, "row {number}: {line}");
    }
}

#[test]
fn patterns_answer_as_the_original() {
    for (number, patterns, line, expected) in CUSTOM {
        answer(&mut custom(patterns), line, NOON, |answer| {
            assert_eq!(&answer, expected, "row {number}: {patterns:?} on {line}");
        });
    }
}

#[test]
fn a_sequence_of_lines_is_read_as_by_the_original() {
    let access = r#"1.2.3.4 - - [15/Jun/2026:11:58:01 +0000] "GET /?d=2026-06-14 10:00:00" 200"#;
    let inner = r#"1.2.3.4 - 2026-06-14 10:00:00 [15/Jun/2026:11:58:02 +0000] "GET /" 200"#;
    let syslog = "Jun 15 11:58:02 host app: at 2026-06-14 10:00:00 x";
    let sequences: &[&[(&str, Answer<'_>)]] = &[
        &[
            (
                syslog,
                Time(
                    "2026-06-15 11:58:02",
                    0,
                    " host app: at 2026-06-14 10:00:00 x",
                ),
            ),
            (
                "host app: at 2026-06-14 10:00:00 x",
                Time("2026-06-14 10:00:00", 0, "host app: at  x"),
            ),
            (
                syslog,
                Time(
                    "2026-06-15 11:58:02",
                    0,
                    " host app: at 2026-06-14 10:00:00 x",
                ),
            ),
        ],
        &[
            (
                access,
                Time(
                    "2026-06-15 11:58:01",
                    0,
                    r#"1.2.3.4 - - [] "GET /?d=2026-06-14 10:00:00" 200"#,
                ),
            ),
            (
                inner,
                Time(
                    "2026-06-14 10:00:00",
                    0,
                    r#"1.2.3.4 -  [15/Jun/2026:11:58:02 +0000] "GET /" 200"#,
                ),
            ),
        ],
        &[
            ("31/12/25 10:00:00 x", Time("2025-12-31 10:00:00", 0, " x")),
            ("12/05/26 10:00:00 x", Time("2026-05-12 10:00:00", 0, " x")),
        ],
    ];
    for sequence in sequences {
        let mut detector = Detector::new(Zone::utc());
        for (line, expected) in *sequence {
            answer(&mut detector, line, NOON, |answer| {
                assert_eq!(&answer, expected, "{line}");
            });
        }
    }
}

#[test]
fn two_formats_in_turn_both_stand_at_the_top() {
    let mut detector = Detector::new(Zone::utc());
    for _ in 0..3 {
        for (line, template) in [
            ("2026-06-15 11:58:01 a", "A01"),
            ("Jun 15 11:58:02 b", "A02"),
        ] {
            assert!(detector.find(line, Timestamp::from_secs(NOON)).is_some());
            assert_eq!(code(&detector), template);
        }
    }
    let top: Vec<(u64, f64)> = detector
        .templates()
        .iter()
        .take(3)
        .map(|template| (template.hits, template.weight))
        .collect();
    assert_eq!(top, [(3, 300.0), (3, 300.0), (0, 0.0)]);
}
