//! Processes that try everything to escape, each told by a number that no other process has in its command line; and who
//! of them is still there.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::program::LIMIT;

/// See the module.
pub struct Family {
    number: String,
    outsider: Child,
}

/// How many processes [`Family::everyone`] makes.
pub const EVERYONE: usize = 9;

impl Family {
    /// A family of its own, and somebody of another one who is to survive.
    pub fn new() -> Family {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = format!("4{:07}.{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let outsider = Command::new("sleep").arg(format!("{number}9")).stdin(Stdio::null()).spawn().unwrap();
        Family { number, outsider }
    }

    /// `sleep`, for so long that no other process sleeps as long.
    pub fn sleep(&self) -> String {
        format!("sleep {}", self.number)
    }

    /// Text for a shell: one that stays, one in a session of its own, an orphan in a session of its own, one that ignores
    /// TERM, one of both, one that has stopped, two without environment, and the leader.
    pub fn everyone(&self) -> String {
        let sleep = self.sleep();
        [
            format!("{sleep} &"),
            format!("setsid {sleep} &"),
            format!("(setsid sh -c '{sleep} & exit 0' &);"),
            format!("(trap '' TERM; exec {sleep}) &"),
            format!("(trap '' TERM; exec setsid {sleep}) &"),
            format!("setsid sh -c 'kill -STOP $$; exec {sleep}' &"),
            format!("env -i {sleep} &"),
            format!("env -i setsid {sleep} &"),
            format!("exec {sleep}"),
        ]
        .join(" ")
    }

    /// Those who have not ended.
    pub fn alive(&self) -> Vec<String> {
        processes()
            .into_iter()
            .filter(|(_, line)| line.ends_with(&self.sleep()))
            .map(|(pid, l)| format!("{pid} {l}"))
            .collect()
    }

    /// Waits until so many are there.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        eventually(
            || (self.alive().len() >= count).then_some(()),
            || format!("{count} are not there: {:?}", self.alive()),
        );
    }

    /// Kills them.
    pub fn end(&self) {
        for left in self.alive() {
            drop(Command::new("kill").args(["-KILL", left.split(' ').next().unwrap()]).status());
        }
    }

    /// Waits until nobody is there; the one of another family is.
    #[track_caller]
    pub fn is_gone(&mut self) {
        eventually(|| self.alive().is_empty().then_some(()), || format!("somebody is left: {:?}", self.alive()));
        assert!(self.outsider.try_wait().unwrap().is_none(), "one who did not belong to it was ended");
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        drop((self.outsider.kill(), self.outsider.wait()));
        self.end();
    }
}

/// All processes with their command lines, words separated by spaces.
pub fn processes() -> Vec<(u32, String)> {
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let line = |pid: u32| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        (!text.is_empty()).then(|| (pid, text.trim_end().to_string()))
    };
    numbers.filter_map(line).collect()
}

/// What `look` finds in the end.
#[track_caller]
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>, complaint: impl FnOnce() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{}", complaint());
        thread::sleep(Duration::from_millis(20));
    }
}
