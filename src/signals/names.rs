//! The signals of the system, and what each does to a program that says nothing about it.

use std::fmt;

use signal_hook::consts as number;

use crate::command::signal::{SIGNALS, signal_number};

/// What a signal does when the program has said nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usual {
    /// The first asks the program to stop, the second ends it.
    Asks,
    /// Shows what every task does.
    Dumps,
    /// Ends the program at once.
    Ends,
    /// Stops the process until CONT comes.
    Stops,
    /// Nothing.
    Nothing,
}

/// One signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Its name, without `SIG`.
    pub name: &'static str,
    /// The system's number.
    pub number: i32,
}

impl Signal {
    /// All that have a name.
    pub fn all() -> impl Iterator<Item = Signal> {
        SIGNALS.iter().map(|&(name, number)| Signal { name, number })
    }

    /// The signal of this name, in capitals or not, with `SIG` or without.
    pub fn named(name: &str) -> Option<Signal> {
        signal_number(name).and_then(Self::numbered)
    }

    /// The signal of this number.
    pub fn numbered(number: i32) -> Option<Signal> {
        Self::all().find(|s| s.number == number)
    }

    /// What it does by itself.
    pub fn usual(self) -> Usual {
        match self.number {
            number::SIGINT | number::SIGTERM | number::SIGHUP => Usual::Asks,
            number::SIGQUIT => Usual::Dumps,
            number::SIGSTOP | number::SIGTSTP | number::SIGTTIN | number::SIGTTOU => Usual::Stops,
            // PIPE as in Python: who writes to a closed pipe is told by an error.
            number::SIGCHLD | number::SIGCONT | number::SIGURG | number::SIGWINCH | number::SIGPIPE => Usual::Nothing,
            _ => Usual::Ends,
        }
    }

    /// False for what the system decides alone, and for what says that this very process is broken.
    pub fn can_be_caught(self) -> bool {
        self.number != number::SIGBUS && !number::FORBIDDEN.contains(&self.number)
    }

    /// The status of a program that it ended, as shells show it.
    pub fn status(self) -> i32 {
        128 + self.number
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_agree_with_those_of_signal_hook() {
        for signal in Signal::all() {
            let theirs = signal_hook::low_level::signal_name(signal.number);
            assert_eq!(theirs, Some(format!("SIG{}", signal.name).as_str()), "{signal}");
            assert_eq!(Signal::numbered(signal.number), Some(signal));
        }
        for forbidden in number::FORBIDDEN {
            assert!(Signal::numbered(*forbidden).is_some_and(|s| !s.can_be_caught()));
        }
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        for name in ["INT", "SIGINT", "int", "SigInt"] {
            assert_eq!(Signal::named(name).map(|s| s.number), Some(number::SIGINT), "{name}");
        }
        assert_eq!(Signal::named("cld"), Signal::named("CHLD"));
        for name in ["", "SIG", "SIGSIGINT", "INTERRUPT", "2", " INT"] {
            assert_eq!(Signal::named(name), None, "{name}");
        }
    }
}
