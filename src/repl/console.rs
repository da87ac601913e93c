//! Where a program's words go while somebody types: above the line that is being edited, whole lines at a time.
//!
//! Invariant: while the prompt is there nobody but the editor writes to the terminal. What is printed meanwhile waits in
//! here until the editor has made room for it; whoever prints faster than a terminal can show waits too.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::command::stream::Which;
use crate::script::Output;
use crate::script::progress::Bar;

/// How many bytes may wait for the editor.
const MOST_WAITING: usize = 1 << 20;

/// See the module.
pub struct Console {
    /// Where words go while nobody types.
    plain: Box<dyn Output>,
    /// Standard output and error are the terminal on which the prompt is.
    at_terminal: [bool; 2],
    state: Arc<Mutex<State>>,
    room: Condvar,
    /// Asks the editor to make room.
    knock: Arc<AtomicBool>,
    /// Asks it to go away.
    leave: AtomicBool,
}

#[derive(Default)]
struct State {
    at_prompt: bool,
    waiting: Vec<u8>,
}

impl Console {
    /// A console before `plain`; of the two standard outputs those that are the terminal.
    pub fn new(plain: Box<dyn Output>, at_terminal: [bool; 2]) -> Console {
        Console {
            plain,
            at_terminal,
            state: Arc::default(),
            room: Condvar::new(),
            knock: Arc::default(),
            leave: AtomicBool::new(false),
        }
    }

    /// What is set when the editor is to make room.
    pub fn knock(&self) -> &Arc<AtomicBool> {
        &self.knock
    }

    /// Asks for the prompt to be taken away.
    pub fn ask_to_leave(&self) {
        self.leave.store(true, Ordering::Release);
        self.knock.store(true, Ordering::Release);
    }

    /// Whether somebody has asked for that.
    pub fn is_asked_to_leave(&self) -> bool {
        self.leave.load(Ordering::Acquire)
    }

    /// The prompt is there from now on.
    pub fn begin_prompt(&self) {
        self.state.lock().at_prompt = true;
    }

    /// The prompt is gone, and the cursor at the beginning of a line.
    pub fn end_prompt(&self) {
        let mut state = self.state.lock();
        let waiting = mem::take(&mut state.waiting);
        if !waiting.is_empty() {
            // When nobody reads it there is nobody to tell.
            let _unread = self.plain.pass_on(Which::Stdout, &waiting);
        }
        state.at_prompt = false;
        self.leave.store(false, Ordering::Release);
        self.knock.store(false, Ordering::Release);
        self.room.notify_all();
    }

    /// The whole lines that wait. The end of them, if it is no line yet, waits on.
    pub fn take_lines(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        let whole = state.waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = state.waiting.split_off(whole);
        let lines = mem::replace(&mut state.waiting, rest);
        self.room.notify_all();
        lines
    }

    fn write(&self, which: Which, bytes: &[u8], plainly: impl FnOnce(&dyn Output) -> io::Result<()>) -> io::Result<()> {
        if !self.at_terminal[usize::from(which == Which::Stderr)] {
            return plainly(&*self.plain);
        }
        let mut state = self.state.lock();
        self.room.wait_while(&mut state, |state| state.at_prompt && state.waiting.len() > MOST_WAITING);
        if !state.at_prompt {
            return plainly(&*self.plain);
        }
        state.waiting.extend_from_slice(bytes);
        if bytes.contains(&b'\n') {
            self.knock.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Output for Arc<Console> {
    fn print(&self, text: &str) -> io::Result<()> {
        self.write(Which::Stdout, text.as_bytes(), |plain| plain.print(text))
    }

    fn say(&self, text: &str) {
        // When nobody reads it there is nobody to tell.
        let _unread = self.write(Which::Stderr, text.as_bytes(), |plain| {
            plain.say(text);
            Ok(())
        });
    }

    fn pass_on(&self, which: Which, bytes: &[u8]) -> io::Result<()> {
        self.write(which, bytes, |plain| plain.pass_on(which, bytes))
    }

    fn show_status(&self, line: &str) {
        let state = self.state.lock();
        if !state.at_prompt {
            self.plain.show_status(line);
        }
    }

    fn bar(&self, label: &str, total: Option<usize>) -> Option<Box<dyn Bar>> {
        if self.state.lock().at_prompt {
            return None;
        }
        let bar = self.plain.bar(label, total)?;
        Some(Box::new(Patient { bar, state: self.state.clone() }))
    }
}

/// A progress bar that stands still while somebody types.
struct Patient {
    bar: Box<dyn Bar>,
    state: Arc<Mutex<State>>,
}

impl Bar for Patient {
    fn advance(&mut self) {
        let state = self.state.lock();
        if !state.at_prompt {
            self.bar.advance();
        }
    }

    fn advance_bytes(&mut self, bytes: u64, total: Option<u64>) {
        let state = self.state.lock();
        if !state.at_prompt {
            self.bar.advance_bytes(bytes, total);
        }
    }
}
