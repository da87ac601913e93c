//! The standard output and error of this process, as the output of a program.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::command::stream::Which;
use crate::observe::progress::{Bars, Drawn};
use crate::script::Output;
use crate::script::progress::Bar;

/// See the module.
#[derive(Default)]
pub struct Terminal {
    bars: Bars,
    /// A bar was drawn at some time: printing has to mind it.
    drawn: AtomicBool,
    /// The line that says how things are going.
    status: Mutex<Option<Drawn>>,
}

impl Terminal {
    fn minding_bars<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.drawn.load(Ordering::Relaxed) { self.bars.above(write) } else { write() }
    }
}

impl Output for Terminal {
    fn pass_on(&self, which: Which, bytes: &[u8]) -> io::Result<()> {
        self.minding_bars(|| match which {
            Which::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Which::Stderr => io::stderr().lock().write_all(bytes),
        })
    }

    fn print(&self, text: &str) -> io::Result<()> {
        self.minding_bars(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }

    fn say(&self, text: &str) {
        // When nobody reads it there is nobody to tell.
        let _unread = self.minding_bars(|| io::stderr().lock().write_all(text.as_bytes()));
    }

    fn bar(&self, label: &str, total: Option<usize>) -> Option<Box<dyn Bar>> {
        if !io::stderr().is_terminal() {
            return None;
        }
        self.drawn.store(true, Ordering::Relaxed);
        Some(Box::new(self.bars.add(label, total)))
    }

    fn show_status(&self, line: &str) {
        let mut status = self.status.lock();
        if line.is_empty() {
            *status = None;
        } else if io::stderr().is_terminal() {
            self.drawn.store(true, Ordering::Relaxed);
            status.get_or_insert_with(|| self.bars.add_line()).say(line);
        }
    }
}

impl Bar for Drawn {
    fn advance(&mut self) {
        Drawn::advance(self);
    }

    fn advance_bytes(&mut self, bytes: u64, total: Option<u64>) {
        Drawn::advance_bytes(self, bytes, total);
    }
}
