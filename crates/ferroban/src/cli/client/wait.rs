//! Waiting for a daemon to come or to go.
//!
//! The first looks follow each other quickly, later ones in steps of half a second. Who
//! wants to know (`-v`) and waits for long sees a bar in which something moves.

use std::time::Duration;

use super::Options;
use crate::cli::out;
use crate::clock;

/// The longest rest between two looks, at first and then.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_millis(500);
/// How long steps stay short.
const SHORTLY: Duration = Duration::from_millis(200);
/// From then on a bar is shown.
const PATIENT: Duration = Duration::from_secs(1);

/// Looks until `holds`, at most as long as the options say. Between two looks `rest`
/// rests; once it says that there is nothing to wait for, this gives up.
pub(super) fn until(
    options: &Options,
    mut rest: impl FnMut(Duration) -> bool,
    mut holds: impl FnMut() -> bool,
) -> bool {
    let begin = clock::tick();
    let mut steps = Steps::new();
    // What is started by another client leaves the bar to that.
    let mut bar = Bar::new(options.lines.verbosity > 1 && !options.server.bare);
    loop {
        let passed = clock::tick() - begin;
        if passed > PATIENT {
            bar.go_on();
        }
        if holds() {
            return true;
        }
        if passed >= options.server.patience || !rest(steps.next(passed)) {
            return false;
        }
    }
}

/// How long to rest before the next look.
struct Steps(Duration);

impl Steps {
    fn new() -> Self {
        Self(Duration::from_micros(6250))
    }

    fn next(&mut self, passed: Duration) -> Duration {
        let longest = if passed < SHORTLY { SHORT } else { LONG };
        self.0 = (self.0 * 2).min(longest);
        self.0
    }
}

/// Something that moves to and fro between two brackets.
struct Bar {
    wanted: bool,
    begun: bool,
    place: u8,
    back: bool,
}

impl Bar {
    /// How far it moves.
    const END: u8 = 10;

    fn new(wanted: bool) -> Self {
        Self {
            wanted,
            begun: false,
            place: 0,
            back: false,
        }
    }

    fn go_on(&mut self) {
        if self.wanted {
            out::part(self.next());
        }
    }

    /// What moves it by one place, drawn with a terminal's orders.
    fn next(&mut self) -> &'static str {
        if !self.begun {
            self.begun = true;
            return "\nINFO   [#          ] Waiting on the server...\r\x1b[8C# \x1b[2D";
        }
        self.back = match self.place {
            0 => false,
            Self::END => true,
            _ => self.back,
        };
        if self.back {
            self.place -= 1;
            "\x1b[1D# \x1b[2D"
        } else {
            self.place += 1;
            " #\x1b[1D"
        }
    }
}

impl Drop for Bar {
    /// Clears the line.
    fn drop(&mut self) {
        if self.begun {
            out::part(&format!("\r{:45}\r", ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_as_measured_on_fail2ban() {
        let mut steps = Steps::new();
        let mut passed = Duration::ZERO;
        let mut looks = Vec::new();
        for _ in 0..9 {
            passed += steps.next(passed);
            looks.push(passed.as_micros());
        }
        let expected = [
            12_500, 37_500, 87_500, 187_500, 287_500, 487_500, 887_500, 1_387_500, 1_887_500,
        ];
        assert_eq!(looks, expected);
    }

    #[test]
    fn the_bar_moves_to_and_fro() {
        let mut bar = Bar::new(true);
        assert!(bar.next().starts_with("\nINFO   [#          ] Waiting"));
        let moves: Vec<&str> = (0..22).map(|_| bar.next()).collect();
        let (right, left) = (" #\x1b[1D", "\x1b[1D# \x1b[2D");
        let expected = [vec![right; 10], vec![left; 10], vec![right; 2]].concat();
        assert_eq!(moves, expected);
    }
}
