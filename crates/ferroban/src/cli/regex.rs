//! `fail2ban-regex`: what it can say about itself.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::COMPATIBLE;
use crate::cli::out;

/// Tells the version. Testing filters is not possible yet, and it says so.
pub(super) fn run(args: &[OsString]) -> ExitCode {
    match args.first().and_then(|word| word.to_str()) {
        Some("-V") => out::line(COMPATIBLE),
        Some("--version") => out::line(&format!("fail2ban-regex {COMPATIBLE}")),
        _ => {
            out::error(
                "fail2ban-regex: this version of Ferroban cannot test filters; it knows -V and --version only",
            );
            return ExitCode::from(255);
        }
    }
    ExitCode::SUCCESS
}
