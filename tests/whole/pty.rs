//! A terminal with somebody who types: a program in a pseudo-terminal of its own, of which it is the session.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::family::{eventually, processes};
use super::program::{LIMIT, Seen, finish};

/// Ctrl-C, Ctrl-Z, Ctrl-D, Ctrl-\.
pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";
pub const CTRL_D: &str = "\x04";

/// See the module.
pub struct Pty {
    ours: File,
    /// Kept, so that the terminal is there as long as the test.
    theirs: OwnedFd,
    child: Option<Child>,
    shown: Receiver<Vec<u8>>,
    /// Who reads what is shown, and whether that is to end.
    reader: Option<thread::JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    /// All that was shown, and how much of it was waited for.
    seen: String,
    passed: usize,
}

impl Pty {
    /// Starts a program, in a folder. The terminal has 33 lines of 77 characters.
    pub fn start(words: &[&str], folder: &Path) -> Pty {
        Self::start_with(words, folder, &[], (33, 77))
    }

    /// The same with more variables in its environment, and a terminal of so many lines and columns.
    pub fn start_with(words: &[&str], folder: &Path, env: &[(&str, &str)], (lines, columns): (u16, u16)) -> Pty {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, size_of(lines, columns)).unwrap();
        let side = || theirs.try_clone().unwrap();
        // `setsid -c` makes it the controlling terminal and becomes the program.
        let mut command = Command::new("setsid");
        command.arg("-c").args(words).current_dir(folder).env("TERM", "xterm").env("PS1", "prompt> ");
        command.envs(env.iter().copied());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let (tell, shown) = channel();
        let mut reader = File::from(ours.try_clone().unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            let moment = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            while !told.load(Ordering::SeqCst) {
                if poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&moment)) == Ok(0) {
                    continue;
                }
                match reader.read(&mut buffer) {
                    Ok(n) if n > 0 && tell.send(buffer[..n].to_vec()).is_ok() => {}
                    _ => return,
                }
            }
        });
        let reader = Some(reader);
        Pty { ours: ours.into(), theirs, child: Some(child), shown, reader, is_over, seen: String::new(), passed: 0 }
    }

    /// What it has written since it was last asked, or does within `limit`; nothing when that is over.
    pub fn take(&mut self, limit: std::time::Duration) -> Option<Vec<u8>> {
        self.shown.recv_timeout(limit).ok()
    }

    /// Makes the terminal as large as this.
    pub fn resize(&self, lines: u16, columns: u16) {
        tcsetwinsize(&self.theirs, size_of(lines, columns)).unwrap();
    }

    /// True once the program has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// The number of the program.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Types.
    pub fn types(&mut self, text: &str) {
        self.ours.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this is shown, after all that was waited for before; what was shown until then.
    #[track_caller]
    pub fn shows(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.seen[self.passed..].find(wanted) {
                let before = self.seen[self.passed..self.passed + at].to_string();
                self.passed += at + wanted.len();
                return before;
            }
            match self.shown.recv_timeout(LIMIT) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{wanted:?} was not shown; this was:\n{}", self.seen),
            }
        }
    }

    /// Waits until a process with this in its command line has the terminal, and runs.
    #[track_caller]
    pub fn is_lent_to(&self, words: &str) {
        let has_it = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let [state, _, group, session, _, foreground, ..] = fields[..] else { return false };
            state != "T" && group == foreground && session == self.pid().to_string()
        };
        eventually(
            || processes().iter().any(|(pid, line)| line.contains(words) && has_it(*pid)).then_some(()),
            || format!("{words:?} does not have the terminal; it showed:\n{}", self.seen),
        );
    }

    /// True while lines are echoed and edited by the terminal.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.theirs).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Closes the terminal, and waits for the end of the program.
    #[track_caller]
    pub fn hang_up(mut self) -> Seen {
        self.is_over.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
        let child = self.child.take().unwrap();
        // The last who have it open.
        drop(self);
        finish(child, "…".into())
    }

    /// The end of the program, with all that was shown as its output.
    #[track_caller]
    pub fn end(mut self) -> Seen {
        let mut seen = finish(self.child.take().unwrap(), "…".into());
        // What it has said is there; it may not have been taken yet.
        while let Ok(bytes) = self.shown.recv_timeout(std::time::Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        seen.stdout = std::mem::take(&mut self.seen);
        seen
    }
}

fn size_of(lines: u16, columns: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Drop for Pty {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop((child.kill(), child.wait()));
        }
    }
}
