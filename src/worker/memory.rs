//! Whether the system ends processes of ours for want of memory, as far as it says so: it counts them for the control group.
//! By the signal alone such an end looks like that by anybody's KILL.

use std::fs;
use std::path::PathBuf;

use parking_lot::Mutex;

/// What was counted when it was last looked at.
static SEEN: Mutex<Option<u64>> = Mutex::new(None);

/// To be called before there is anybody who could be ended.
pub fn watch() {
    let mut seen = SEEN.lock();
    if seen.is_none() {
        *seen = counted();
    }
}

/// True when the system has ended somebody for want of memory since it was asked last. It may have been another one.
pub fn has_run_out() -> bool {
    let mut seen = SEEN.lock();
    let now = counted();
    let before = std::mem::replace(&mut *seen, now);
    matches!((before, now), (Some(before), Some(now)) if now > before)
}

fn counted() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    files(&groups).iter().find_map(|file| in_events(&fs::read_to_string(file).ok()?))
}

/// Where the count may stand, by the groups of this process: `number:controllers:path`, without controllers for the second
/// version of control groups.
fn files(groups: &str) -> Vec<PathBuf> {
    let parts = groups.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
    parts
        .filter_map(|[controllers, path]: [&str; 2]| {
            let path = path.trim_start_matches('/');
            match controllers {
                "" => Some(PathBuf::from("/sys/fs/cgroup").join(path).join("memory.events")),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    Some(PathBuf::from("/sys/fs/cgroup/memory").join(path).join("memory.oom_control"))
                }
                _ => None,
            }
        })
        .collect()
}

fn in_events(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_both_versions() {
        let groups = "8:pids:/\n4:cpu,memory:/a/b:c\n0::/user.slice/x\n";
        let found: Vec<String> = files(groups).iter().map(|file| file.display().to_string()).collect();
        assert_eq!(
            found,
            ["/sys/fs/cgroup/memory/a/b:c/memory.oom_control", "/sys/fs/cgroup/user.slice/x/memory.events"]
        );
        assert_eq!(files("nonsense\n\n"), Vec::<PathBuf>::new());
        assert_eq!(in_events("low 0\nhigh 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(in_events("oom_kill_disable 0\nunder_oom 0\noom_kill 17\n"), Some(17));
        assert_eq!(in_events("oom_kill_disable 0\n"), None);
    }
}
