//! The signals of the system by name, and what each does to a program that says nothing about it.

use std::fmt;

use signal_hook::consts as number;

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
#[derive(PartialEq, Eq, Debug)]
pub struct Signal {
    /// Its name, without `SIG`.
    pub name: &'static str,
    /// The system's number.
    pub number: i32,
    /// What it does by itself.
    pub usual: Usual,
    /// False for what the system decides alone, or what says that this very process is broken.
    pub can_be_caught: bool,
}

const fn signal(name: &'static str, number: i32, usual: Usual) -> Signal {
    Signal { name, number, usual, can_be_caught: true }
}

const fn fixed(name: &'static str, number: i32, usual: Usual) -> Signal {
    Signal { name, number, usual, can_be_caught: false }
}

/// All of them.
pub const SIGNALS: &[Signal] = &[
    signal("HUP", number::SIGHUP, Usual::Asks),
    signal("INT", number::SIGINT, Usual::Asks),
    signal("QUIT", number::SIGQUIT, Usual::Dumps),
    fixed("ILL", number::SIGILL, Usual::Ends),
    signal("TRAP", number::SIGTRAP, Usual::Ends),
    signal("ABRT", number::SIGABRT, Usual::Ends),
    fixed("BUS", number::SIGBUS, Usual::Ends),
    fixed("FPE", number::SIGFPE, Usual::Ends),
    fixed("KILL", number::SIGKILL, Usual::Ends),
    signal("USR1", number::SIGUSR1, Usual::Ends),
    fixed("SEGV", number::SIGSEGV, Usual::Ends),
    signal("USR2", number::SIGUSR2, Usual::Ends),
    // As in Python: who writes to a closed pipe is told by an error.
    signal("PIPE", number::SIGPIPE, Usual::Nothing),
    signal("ALRM", number::SIGALRM, Usual::Ends),
    signal("TERM", number::SIGTERM, Usual::Asks),
    signal("CHLD", number::SIGCHLD, Usual::Nothing),
    signal("CONT", number::SIGCONT, Usual::Nothing),
    fixed("STOP", number::SIGSTOP, Usual::Stops),
    signal("TSTP", number::SIGTSTP, Usual::Stops),
    signal("TTIN", number::SIGTTIN, Usual::Stops),
    signal("TTOU", number::SIGTTOU, Usual::Stops),
    signal("URG", number::SIGURG, Usual::Nothing),
    signal("XCPU", number::SIGXCPU, Usual::Ends),
    signal("XFSZ", number::SIGXFSZ, Usual::Ends),
    signal("VTALRM", number::SIGVTALRM, Usual::Ends),
    signal("PROF", number::SIGPROF, Usual::Ends),
    signal("WINCH", number::SIGWINCH, Usual::Nothing),
    signal("IO", number::SIGIO, Usual::Ends),
    signal("SYS", number::SIGSYS, Usual::Ends),
];

/// Other names of the same signals.
const ALIASES: &[(&str, &str)] = &[("CLD", "CHLD"), ("IOT", "ABRT"), ("POLL", "IO")];

impl Signal {
    /// The signal of this name, in capitals or not, with `SIG` or without.
    pub fn named(name: &str) -> Option<&'static Signal> {
        let name = plain(name);
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
        SIGNALS.iter().find(|s| s.name == name)
    }

    /// The signal of this number.
    pub fn numbered(number: i32) -> Option<&'static Signal> {
        SIGNALS.iter().find(|s| s.number == number)
    }

    /// The status of a program that it ended, as shells show it.
    pub fn status(&self) -> i32 {
        128 + self.number
    }
}

/// A name as it stands in the table, if it does.
pub fn plain(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("SIG").map_or(name.clone(), str::to_string)
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
    fn the_table_agrees_with_signal_hook() {
        for signal in SIGNALS {
            assert_eq!(
                signal_hook::low_level::signal_name(signal.number),
                Some(format!("SIG{}", signal.name).as_str()),
                "{signal}"
            );
            assert_eq!(Signal::numbered(signal.number), Some(signal));
            assert!(
                signal.can_be_caught || signal.number == number::SIGBUS || number::FORBIDDEN.contains(&signal.number)
            );
        }
        for forbidden in number::FORBIDDEN {
            assert!(Signal::numbered(*forbidden).is_some_and(|s| !s.can_be_caught));
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
