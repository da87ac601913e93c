//! The processes of the system, as `/proc` tells of them, and signals that hit nobody else.
//!
//! A process is named by a pidfd before it is looked at: what is then read of its number is about it, or about nobody, so
//! that a number that was given to another process in between does no harm.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: i32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `T` …; `Z` has ended and was not reaped.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it started, in the system's ticks: with the number, its identity.
    pub started: u64,
}

impl Stat {
    /// True when it was stopped and goes on when it is let.
    pub fn is_stopped(&self) -> bool {
        self.state == 'T'
    }
}

/// Reads the state of one process; `None` when there is none of this number.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name is in parentheses and may hold any character, so the fields are counted from the last parenthesis.
fn parse_stat(pid: i32, text: &str) -> Option<Stat> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
    let number = |i: usize| fields.get(i)?.parse::<i32>().ok();
    Some(Stat {
        pid,
        name: text.get(open + 1..close)?.to_string(),
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// All processes that can be seen.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(stat).collect()
}

/// The processes of `all` that descend from those for which `is_root` holds, without these.
pub fn descendants(all: &[Stat], is_root: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<&Stat>> = HashMap::new();
    all.iter().for_each(|p| children.entry(p.parent).or_default().push(p));
    let mut todo: VecDeque<i32> = all.iter().filter(|p| is_root(p)).map(|p| p.pid).collect();
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    while let Some(parent) = todo.pop_front() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push((*child).clone());
                todo.push_back(child.pid);
            }
        }
    }
    found
}

/// The processes that descend from `root`, by the lists of children that the kernel keeps. One that is left out, since
/// another ended in the moment of the look, is found by the next look.
pub fn descendants_of(root: i32) -> Vec<Stat> {
    let (mut found, mut todo) = (Vec::new(), VecDeque::from([root]));
    while let Some(parent) = todo.pop_front() {
        let Some(children) = children(parent) else {
            continue;
        };
        for child in children.into_iter().filter_map(stat).filter(|child| child.parent == parent) {
            todo.push_back(child.pid);
            found.push(child);
        }
    }
    found
}

/// The children of a process, as the kernel lists them.
pub fn children(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().filter_map(|number| number.parse::<i32>().ok()));
    }
    Some(children)
}

/// The value that a process was started with for a variable.
pub fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environ.split(|byte| *byte == 0);
    let value = entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The process has it.
    Reached,
    /// There is no such process any more.
    Gone,
    /// It belongs to somebody else, as what `sudo` runs.
    Refused,
}

/// Sends a signal to this very process, whatever has become of its number.
pub fn send(process: &Stat, signal: Signal) -> Sent {
    let Some(pidfd) = open(process.pid) else {
        return Sent::Gone;
    };
    // The number named the same process before and after it was opened.
    if stat(process.pid).is_none_or(|now| now.started != process.started) {
        return Sent::Gone;
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Sent::Reached,
        Err(rustix::io::Errno::PERM) => Sent::Refused,
        Err(_) => Sent::Gone,
    }
}

/// Sends a signal to whoever has this number now.
///
/// # Errors
/// Those of `pidfd_send_signal(2)`: no such process, no permission.
pub fn signal_by_number(pid: i32, number: i32) -> rustix::io::Result<()> {
    let pidfd = pidfd_open(Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())?;
    pidfd_send_signal(&pidfd, crate::kernel::os::signal(number).ok_or(rustix::io::Errno::INVAL)?)
}

/// Opens a process by its number.
pub fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Who has one end of a pipe open, by the pipe's inode: number and command line, without this process.
pub fn holders_of_pipe(inode: u64) -> Vec<(i32, String)> {
    let (wanted, me) = (format!("pipe:[{inode}]"), std::process::id().cast_signed());
    let holds = |pid: i32| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.to_str() == Some(&wanted)))
    };
    let holders = all().into_iter().filter(|p| p.pid != me && p.state != 'Z' && holds(p.pid));
    holders.map(|p| (p.pid, command_line(p.pid).unwrap_or(p.name))).collect()
}

fn command_line(pid: i32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|b| *b == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy);
    let text = words.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_move_the_fields() {
        let tail = "S 1 2 3 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        let stat = parse_stat(9, &format!("9 (a) b (c) {tail}"));
        let stat = stat.map(|s| (s.name, s.state, s.parent, s.group, s.session, s.started));
        assert_eq!(stat, Some(("a) b (c".into(), 'S', 1, 2, 3, 777)));
        assert_eq!(parse_stat(9, "9 (cut"), None);
    }

    #[test]
    fn this_process_is_found_with_its_start() {
        let me = std::process::id().cast_signed();
        let found = all().into_iter().find(|p| p.pid == me);
        assert!(
            found.is_some() && found == stat(me).map(|s| Stat { state: found.clone().map_or(' ', |f| f.state), ..s })
        );
    }

    #[test]
    fn a_signal_for_a_process_that_is_gone_hits_nobody() {
        let me = std::process::id().cast_signed();
        let Some(mut other) = stat(me) else { panic!("this process has a state") };
        other.started += 1; // another one, of the same number
        assert_eq!(send(&other, Signal::KILL), Sent::Gone);
    }

    #[test]
    fn descendants_are_found_through_all_generations() {
        let p = |pid, parent| Stat { pid, parent, name: String::new(), state: 'S', group: 0, session: 0, started: 0 };
        let all = [p(1, 0), p(2, 1), p(3, 2), p(4, 1), p(5, 9)];
        let mut found: Vec<i32> = descendants(&all, |p| p.pid == 1).into_iter().map(|p| p.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [2, 3, 4]);
    }
}
