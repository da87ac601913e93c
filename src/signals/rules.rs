//! What is to become of each signal, whoever sends it: the system, or the program itself.
//!
//! What the program sends to itself does not go by way of the system where orch would only get it back from there: so it
//! has its effect at once, is never merged with another, and is repeatable in the simulated world.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::names::{Signal, Usual};
use super::system::System;
use crate::command::child;
use crate::command::pause::pause;
use crate::kernel::events::Event;
use crate::kernel::handling::HandlerError;
use crate::kernel::task::alert;
use crate::kernel::{Kernel, Role};

/// What the program does when a signal comes.
pub type Handler = Arc<dyn Fn() -> Result<(), HandlerError> + Send + Sync>;

enum Rule {
    Ignore,
    Handle(Handler),
}

/// See the module.
pub struct Rules {
    kernel: Weak<Kernel>,
    /// By the number of the signal; what has no rule has its usual effect.
    rules: Mutex<BTreeMap<i32, Rule>>,
    /// The program has been asked to stop.
    asked: AtomicBool,
    /// With which signal it was asked first.
    asked_with: OnceLock<Signal>,
    dump: OnceLock<Box<dyn Fn() + Send + Sync>>,
    system: OnceLock<System>,
    /// What INT does where a person types one entry after the other.
    typed: Mutex<Typed>,
}

/// How INT is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typed {
    /// As by every program.
    Not,
    /// It stops the entry that runs.
    Entry,
    /// It has asked this entry to stop.
    Asked,
}

impl Rules {
    /// Every signal has its usual effect on `kernel`; those of the system are not heard before [`Rules::listen`].
    pub fn new(kernel: &Arc<Kernel>) -> Arc<Rules> {
        let rules = Arc::new(Rules {
            kernel: Arc::downgrade(kernel),
            rules: Mutex::default(),
            asked: AtomicBool::new(false),
            asked_with: OnceLock::new(),
            dump: OnceLock::new(),
            system: OnceLock::new(),
            typed: Mutex::new(Typed::Not),
        });
        let handling = Arc::downgrade(&rules);
        kernel.handling().set_hook(Box::new(move |number| {
            let handler = handling.upgrade().and_then(|rules| rules.handler(number));
            // Without one it was reset after the signal came.
            handler.map_or(Ok(()), |handler| handler())
        }));
        rules
    }

    /// Hears the system's signals from now on; `dump` shows all tasks. A host that does not call this keeps the signals of
    /// its process to itself; its scripts hear what they raise themselves.
    ///
    /// # Errors
    /// When the system refuses the handlers or the thread.
    pub fn listen(self: &Arc<Self>, dump: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        self.dump.get_or_init(|| Box::new(dump));
        let system = System::listen(self)?;
        self.system.get_or_init(|| system);
        Ok(())
    }

    /// From now on `handler` runs in the main task when `signal` comes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn handle(&self, signal: Signal, handler: Handler) -> io::Result<()> {
        self.set(signal, Some(Rule::Handle(handler)))
    }

    /// From now on nothing happens when `signal` comes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ignore(&self, signal: Signal) -> io::Result<()> {
        self.set(signal, Some(Rule::Ignore))
    }

    /// From now on `signal` has its usual effect.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn reset(&self, signal: Signal) -> io::Result<()> {
        self.set(signal, None)
    }

    /// Where a person types one entry after the other: from now on INT stops what the main task does, and nothing else. Within
    /// this entry the first asks, as ever, the second ends it whatever it does. To be called when an entry begins.
    pub fn begin_entry(&self) {
        *self.typed.lock() = Typed::Entry;
    }

    /// There will be no more entries: INT has its usual effect.
    pub fn no_more_entries(&self) {
        *self.typed.lock() = Typed::Not;
    }

    /// True when INT was one for the entry that runs.
    fn stops_entry(&self, kernel: &Kernel) -> bool {
        let before = {
            let mut typed = self.typed.lock();
            if *typed == Typed::Not {
                return false;
            }
            std::mem::replace(&mut *typed, Typed::Asked)
        };
        for main in kernel.tasks().iter().filter(|task| task.role() == Role::Main) {
            match before {
                Typed::Asked => main.alert(alert::ENDED),
                Typed::Not | Typed::Entry => main.interrupt(libc::SIGINT.unsigned_abs()),
            }
        }
        true
    }

    fn set(&self, signal: Signal, rule: Option<Rule>) -> io::Result<()> {
        // Before it is heard, or the first might come too early.
        let hears = rule.is_some();
        let before = {
            let mut rules = self.rules.lock();
            let before = match rule {
                Some(rule) => rules.insert(signal.number, rule),
                None => rules.remove(&signal.number),
            };
            if let Some(kernel) = self.kernel.upgrade() {
                kernel.handling().expect(&kernel, rules.values().any(|rule| matches!(rule, Rule::Handle(_))));
            }
            before
        };
        // What the one before had captured may be the last handle to an object.
        drop(before);
        match self.system.get() {
            Some(system) if hears => system.hear(signal),
            _ => Ok(()),
        }
    }

    fn handler(&self, number: u32) -> Option<Handler> {
        match self.rules.lock().get(&i32::try_from(number).ok()?) {
            Some(Rule::Handle(handler)) => Some(handler.clone()),
            _ => None,
        }
    }

    /// The system sent a signal.
    pub(super) fn arrived(&self, signal: Signal) {
        // There is nobody to tell that the system refuses.
        let _refused = self.act(signal);
    }

    /// The program sends itself a signal. What it does to the current task is heard at the door.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn raise(&self, signal: Signal) -> io::Result<()> {
        self.act(signal)
    }

    fn act(&self, signal: Signal) -> io::Result<()> {
        let Some(kernel) = self.kernel.upgrade() else {
            return Ok(());
        };
        let events = kernel.events();
        events.emit(|| Event::Noted { kernel: &kernel, task: None, what: "signal", text: signal.name });
        let is_handled = self.rules.lock().get(&signal.number).map(|rule| matches!(rule, Rule::Handle(_)));
        match is_handled {
            Some(true) => {
                kernel.handling().post(&kernel, signal.number.unsigned_abs());
                return Ok(());
            }
            Some(false) => return Ok(()),
            None => {}
        }
        // Simulated time does not depend on who started the program, and does not stop.
        let system = self.system.get().filter(|_| !kernel.is_sim());
        match (signal.usual(), system) {
            (_, Some(system)) if system.is_ignored(signal) && signal.can_be_caught() => {}
            (Usual::Asks, _) if signal.number == libc::SIGINT && self.stops_entry(&kernel) => {}
            (Usual::Asks, _) => self.ask(&kernel, signal),
            (Usual::Dumps, _) => self.dump.get().into_iter().for_each(|dump| dump()),
            (Usual::Ends, Some(system)) => {
                let result = system.let_act(signal);
                // It should have been the last thing to happen.
                kernel.request_exit_now(signal.status());
                return result;
            }
            (Usual::Ends, None) => kernel.request_exit_now(signal.status()),
            (Usual::Stops, Some(_)) if signal.number == libc::SIGTSTP => pause(),
            (Usual::Stops, Some(system)) => return system.let_act(signal),
            (Usual::Stops, None) | (Usual::Nothing, _) => {}
        }
        Ok(())
    }

    /// The signal that asked the program to stop, if one did.
    pub fn asked_with(&self) -> Option<Signal> {
        self.asked_with.get().copied()
    }

    /// Ends this process by the signal that asked it to stop, so that whoever waits for it sees that.
    pub fn end_by_it(&self) {
        if let (Some(system), Some(signal)) = (self.system.get(), self.asked_with.get()) {
            // Where the system refuses, it ends with the status that says the same.
            let _refused = system.let_act(*signal);
        }
    }

    fn ask(&self, kernel: &Arc<Kernel>, signal: Signal) {
        self.asked_with.get_or_init(|| signal);
        if self.asked.swap(true, Ordering::AcqRel) {
            kernel.request_exit_now(signal.status());
        } else {
            kernel.interrupt(signal.number.unsigned_abs());
            child::end_all(kernel);
        }
    }
}
