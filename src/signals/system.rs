//! The system's side: hears the signals that it sends to this process, and lets them have their usual effect.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level;

use super::inherited::Ignored;
use super::names::{Signal, Usual};
use super::rules::Rules;
use crate::kernel::threads;

/// See the module.
pub struct System {
    handle: Handle,
    ignored: Ignored,
    heard: Mutex<BTreeSet<i32>>,
}

impl System {
    /// Begins to hear those that ask the program to end, QUIT, and TSTP, and passes on to `rules` what comes.
    ///
    /// # Errors
    /// When the system refuses the handlers or the thread.
    pub fn listen(rules: &Arc<Rules>) -> io::Result<System> {
        let ignored = Ignored::now();
        let at_first: BTreeSet<i32> = Signal::all()
            .filter(|s| matches!(s.usual(), Usual::Asks | Usual::Dumps) || s.number == libc::SIGTSTP)
            .filter(|s| !ignored.contains(s.number))
            .map(|s| s.number)
            .collect();
        let signals = Signals::new(&at_first)?;
        let handle = signals.handle();
        let rules = Arc::downgrade(rules);
        threads::run(Box::new(move || pass_on(signals, &rules)))?;
        Ok(System { handle, ignored, heard: Mutex::new(at_first) })
    }

    /// Hears this one too. Never taken back: what no rule is about has its usual effect by [`System::let_act`]. Other
    /// programs that are started inherit nothing of this, since the system takes handlers away from a new program.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hear(&self, signal: Signal) -> io::Result<()> {
        let mut heard = self.heard.lock();
        if !heard.contains(&signal.number) {
            self.handle.add_signal(signal.number)?;
            heard.insert(signal.number);
        }
        Ok(())
    }

    /// True when whoever started the process wanted it to be ignored.
    pub fn is_ignored(&self, signal: Signal) -> bool {
        self.ignored.contains(signal.number)
    }

    /// Lets a signal end or stop this process, as it does by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn let_act(&self, signal: Signal) -> io::Result<()> {
        match self.heard.lock().contains(&signal.number) {
            true => low_level::emulate_default_handler(signal.number),
            false => low_level::raise(signal.number),
        }
    }
}

/// For a helper that has to outlive the program: it is not ended by what ends the others.
///
/// # Errors
/// When the system refuses the handlers.
pub fn ignore_requests_to_end() -> io::Result<()> {
    Signal::all()
        .filter(|s| matches!(s.usual(), Usual::Asks | Usual::Dumps))
        .try_for_each(|s| signal_hook::flag::register(s.number, Arc::default()).map(drop))
}

fn pass_on(mut signals: Signals, rules: &Weak<Rules>) {
    for number in &mut signals {
        let Some(rules) = rules.upgrade() else {
            return;
        };
        if let Some(signal) = Signal::numbered(number) {
            rules.arrived(signal);
        }
    }
}
