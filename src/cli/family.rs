//! The processes that an orch has started, as `/proc` tells of them.

use std::fs;
use std::os::linux::fs::MetadataExt;

use serde::Serialize;

use crate::command::guard;
use crate::command::processes::{self, Stat};
use crate::worker;

/// One of them.
#[derive(Serialize, Clone, Debug)]
pub struct Member {
    /// Its number.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// How far down from the orch that was asked: 1 for its own children.
    pub depth: usize,
    /// Its command line.
    pub command: String,
    /// `running`, `sleeping`, `stopped` …
    pub state: &'static str,
    /// Seconds on processors.
    pub cpu_seconds: f64,
    /// Memory that it has now.
    pub memory_kib: u64,
    /// It is a process of the script.
    pub is_worker: bool,
    /// Its user.
    pub uid: u32,
}

/// All that descends from `pid`, each behind its parent. The guard is no part of it.
pub fn family(pid: u32) -> Vec<Member> {
    let all = processes::descendants_of(pid.cast_signed());
    let mut found = Vec::new();
    gather(&all, pid, 1, &mut found);
    found
}

fn gather(all: &[Stat], parent: u32, depth: usize, found: &mut Vec<Member>) {
    for stat in all.iter().filter(|stat| stat.parent.cast_unsigned() == parent) {
        let Some(member) = member(stat, depth) else {
            continue;
        };
        let pid = member.pid;
        found.push(member);
        gather(all, pid, depth + 1, found);
    }
}

fn member(stat: &Stat, depth: usize) -> Option<Member> {
    let pid = stat.pid;
    let words: Vec<String> = fs::read(format!("/proc/{pid}/cmdline"))
        .ok()?
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let second = words.get(1).map_or("", String::as_str);
    if second == guard::WORD {
        return None;
    }
    let line = words.join(" ").trim_end().replace(char::is_control, " ");
    let numbers = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = numbers.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Some(Member {
        pid: pid.cast_unsigned(),
        parent: stat.parent.cast_unsigned(),
        depth,
        command: if line.is_empty() { format!("[{}]", stat.name) } else { line },
        state: match stat.state {
            'R' => "running",
            'S' | 'I' => "sleeping",
            'D' => "waiting for the system",
            'T' | 't' => "stopped",
            'Z' => "ended",
            _ => "going",
        },
        cpu_seconds: (number(11) + number(12)) as f64 / ticks,
        memory_kib: resident * (rustix::param::page_size() as u64 / 1024),
        is_worker: second == worker::WORD,
        uid: fs::metadata(format!("/proc/{pid}")).map_or(0, |about| about.st_uid()),
    })
}
