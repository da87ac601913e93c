//! `orch top`: a live view of what a running orch does.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::args::TopOptions;
use super::dump::{mib, reason};
use super::family::{Member, family};
use crate::observe::counter::{NoAnswer, ask};
use crate::observe::snapshot::Snapshot;

/// What is to be seen of a process: its number and its share of a processor.
type Shares = HashMap<u32, f64>;

/// Watches until q is pressed or the program ends: the exit status.
pub fn watch(options: &TopOptions) -> i32 {
    if let Err(why) = ask(options.pid) {
        eprintln!("error: {}", reason(options.pid, &why));
        return 1;
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        eprintln!("error: orch top needs a terminal; orch dump {} prints the same once", options.pid);
        return 2;
    }
    let screen = match Screen::open() {
        Ok(screen) => screen,
        Err(error) => {
            eprintln!("error: cannot use this terminal: {error}");
            return 1;
        }
    };
    let ended = Top { options, before: Shares::new(), note: String::new() }.run();
    drop(screen);
    match ended {
        Ok(None) => 0,
        Ok(Some(said)) => {
            println!("{said}");
            0
        }
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

/// The terminal while it is used: keys come one by one, and what was on it comes back.
struct Screen(Termios);

impl Screen {
    fn open() -> io::Result<Screen> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        // Ctrl-C still comes as a signal's key would: it is read as one of ours.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let screen = Screen(before);
        print(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _shown = print(b"\x1b[?25h\x1b[?1049l");
        let _restored = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

struct Top<'a> {
    options: &'a TopOptions,
    /// Seconds on processors at the last look.
    before: Shares,
    note: String,
}

impl Top<'_> {
    /// `Some`: what to say when the program has ended.
    fn run(&mut self) -> io::Result<Option<String>> {
        let every = Duration::from_secs_f64(self.options.every.clamp(0.1, 3600.0));
        loop {
            let program = match ask(self.options.pid) {
                Ok(program) => program,
                Err(NoAnswer::NoProcess | NoAnswer::NotOrch) => {
                    return Ok(Some(format!("process {} has ended", self.options.pid)));
                }
                Err(why) => return Err(io::Error::other(reason(self.options.pid, &why))),
            };
            let members = family(self.options.pid);
            self.draw(&program, &members, every)?;
            match key(Some(every))? {
                Some(b'q' | 3 | 4) => return Ok(None),
                Some(b'k') => self.kill(&members)?,
                _ => {}
            }
        }
    }

    fn draw(&mut self, program: &Snapshot, members: &[Member], every: Duration) -> io::Result<()> {
        let size = tcgetwinsize(io::stdout())?;
        let (width, height) = (usize::from(size.ws_col).max(20), usize::from(size.ws_row).max(5));
        let waiting = program.tasks.iter().filter(|task| task.waits.is_some()).count();
        let mut lines = vec![
            format!("process {}: {}, {:.0} s", program.pid, program.program, program.seconds),
            format!(
                "{} tasks, {waiting} wait; {} processes.  q quits, k ends a process",
                program.tasks.len(),
                members.len()
            ),
            self.note.clone(),
        ];
        if !members.is_empty() {
            lines.push(format!("{:>9} {:>6} {:>9}  {:<10} COMMAND", "PID", "CPU %", "MEMORY", "STATE"));
        }
        let shares: Shares = members.iter().map(|member| (member.pid, member.cpu_seconds)).collect();
        // Half of the screen is for the tasks.
        let room = (height / 2).max(6);
        for member in members.iter().take(room) {
            let since = self.before.get(&member.pid).map_or(0.0, |before| member.cpu_seconds - before);
            let share = 100.0 * since / every.as_secs_f64();
            let (indent, memory) = ("  ".repeat(member.depth.saturating_sub(1).min(8)), mib(member.memory_kib));
            let Member { pid, state, command, .. } = member;
            lines.push(format!("{pid:>9} {share:>6.1} {memory:>9}  {state:<10} {indent}{command}"));
        }
        if members.len() > room {
            lines.push(format!("          and {} more", members.len() - room));
        }
        self.before = shares;
        let full: Vec<_> =
            program.objects.iter().filter(|object| object.items.is_some_and(|items| items > 0)).collect();
        for object in full.iter().take(4) {
            lines.push(format!("{} {}", object.object, object.state));
        }
        lines.push(format!("{:<20} {:<28} {:>9}  WHERE", "TASK", "WAITS FOR", "SINCE"));
        let mut tasks: Vec<_> = program.tasks.iter().collect();
        tasks.sort_by_key(|task| task.waits.is_some());
        for task in tasks {
            lines.push(match &task.waits {
                None => format!("{:<20} {:<28} {:>9}  {}", task.name, "runs", "", task.at),
                Some(wait) => {
                    let what = format!("{} {}", wait.call, wait.object);
                    let by = wait.owners.first().map_or_else(String::new, |owner| format!(", held by {}", owner.name));
                    format!("{:<20} {what:<28} {:>7.1} s  {}{by}", task.name, wait.seconds, wait.at)
                }
            });
        }
        let mut out = String::from("\x1b[H");
        for line in lines.iter().take(height - 1) {
            let line: String = line.chars().filter(|c| !c.is_control()).take(width - 1).collect();
            out.push_str(&format!("{line}\x1b[K\r\n"));
        }
        out.push_str("\x1b[J");
        print(out.as_bytes())
    }

    /// Asks which process, and whether really; ends it with TERM.
    fn kill(&mut self, members: &[Member]) -> io::Result<()> {
        let Some(typed) = ask_line("end which process? ")? else {
            return Ok(());
        };
        let Some(member) = typed.trim().parse().ok().and_then(|pid: u32| members.iter().find(|m| m.pid == pid)) else {
            self.note = format!("{} is no process of this program", typed.trim());
            return Ok(());
        };
        // From here on the number cannot come to mean another one.
        let process = Pid::from_raw(member.pid.cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let sure = ask_line(&format!("end {} ({}) with TERM? y/n ", member.pid, member.command))?;
        if !sure.is_some_and(|word| word.trim().eq_ignore_ascii_case("y")) {
            self.note = "nothing was ended".into();
            return Ok(());
        }
        let sent = process.as_ref().is_some_and(|process| pidfd_send_signal(process, Signal::TERM).is_ok());
        self.note = match sent {
            true => format!("sent TERM to {}", member.pid),
            false => format!("{} has ended already, or belongs to somebody else", member.pid),
        };
        Ok(())
    }
}

/// A line typed at the bottom; `None` when it was given up with Escape or Ctrl-C.
fn ask_line(question: &str) -> io::Result<Option<String>> {
    let bottom = tcgetwinsize(io::stdout())?.ws_row.max(1);
    let mut typed = String::new();
    loop {
        let shown: String = format!("{question}{typed}").chars().filter(|c| !c.is_control()).collect();
        print(format!("\x1b[{bottom};1H\x1b[K{shown}").as_bytes())?;
        match key(None)? {
            Some(b'\r' | b'\n') => return Ok(Some(typed)),
            Some(3 | 4 | 27) | None => return Ok(None),
            Some(8 | 127) => _ = typed.pop(),
            Some(byte) if byte.is_ascii_graphic() || byte == b' ' => typed.push(char::from(byte)),
            Some(_) => {}
        }
    }
}

/// The next key, waiting at most so long. The end of the input is as q.
fn key(limit: Option<Duration>) -> io::Result<Option<u8>> {
    let stdin = io::stdin();
    let mut polled = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    match poll(&mut polled, limit.as_ref()) {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        // The size of the window has changed, for one.
        Err(rustix::io::Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut byte = [0];
    match rustix::io::read(&stdin, &mut byte)? {
        0 => Ok(Some(b'q')),
        _ => Ok(Some(byte[0])),
    }
}
