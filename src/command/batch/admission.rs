//! Whether the machine has room for one more job: its load and its free memory, looked at no more than once a second.

use std::fs;
use std::time::Duration;

/// How old what was seen may be.
const FRESH: Duration = Duration::from_secs(1);

/// What has to be so for a job to be started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// The load average of the last minute is below this.
    pub load: Option<f64>,
    /// So many bytes are available.
    pub memfree: Option<u64>,
}

/// What a machine says of itself; what it does not say keeps no job waiting.
pub trait Machine {
    /// The load average of the last minute.
    fn load(&self) -> Option<f64>;
    /// The bytes that programs can still get.
    fn memory(&self) -> Option<u64>;
}

/// This machine, by `/proc`.
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn load(&self) -> Option<f64> {
        fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
    }

    fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    seen: Option<(Duration, bool)>,
}

impl Admission {
    /// Keeps to these limits.
    pub fn new(limits: Limits) -> Admission {
        Admission { limits, seen: None }
    }

    /// At this time: `Ok` when a job may be started, else when to ask again.
    ///
    /// # Errors
    /// The time of the next look.
    pub fn ask(&mut self, now: Duration, machine: &impl Machine) -> Result<(), Duration> {
        if self.limits == Limits::default() {
            return Ok(());
        }
        let (looked, has_room) = match self.seen {
            Some((looked, has_room)) if now.saturating_sub(looked) < FRESH => (looked, has_room),
            _ => (now, self.look(machine)),
        };
        self.seen = Some((looked, has_room));
        if has_room { Ok(()) } else { Err(looked + FRESH) }
    }

    fn look(&self, machine: &impl Machine) -> bool {
        let within = |limit: Option<f64>, seen: Option<f64>| limit.is_none_or(|max| seen.is_none_or(|load| load < max));
        let enough =
            |limit: Option<u64>, seen: Option<u64>| limit.is_none_or(|min| seen.is_none_or(|free| free >= min));
        (self.limits.load.is_none() || within(self.limits.load, machine.load()))
            && (self.limits.memfree.is_none() || enough(self.limits.memfree, machine.memory()))
    }
}

/// A number of bytes: `500`, `2G` (2 × 1024³), `2g` (2 × 1000³), `1.5M`; K, M, G, T, P.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = match text.chars().last()? {
        c if c.is_ascii_alphabetic() => (&text[..text.len() - 1], Some(c)),
        _ => (text, None),
    };
    let number: f64 = number.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let factor = match unit {
        None => 1.0,
        Some(unit) => {
            let power = "KMGTP".find(unit.to_ascii_uppercase())? + 1;
            let base: f64 = if unit.is_ascii_uppercase() { 1024.0 } else { 1000.0 };
            base.powi(i32::try_from(power).ok()?)
        }
    };
    // The largest u64 stands for all that is more.
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Fake {
        load: Cell<f64>,
        memory: Cell<u64>,
        looks: Cell<usize>,
    }

    impl Machine for Fake {
        fn load(&self) -> Option<f64> {
            self.looks.set(self.looks.get() + 1);
            Some(self.load.get())
        }
        fn memory(&self) -> Option<u64> {
            Some(self.memory.get())
        }
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn jobs_wait_for_load_and_memory_and_looks_are_a_second_apart() {
        let machine = Fake { load: Cell::new(5.0), memory: Cell::new(1 << 30), looks: Cell::new(0) };
        let mut admission = Admission::new(Limits { load: Some(4.0), memfree: Some(1 << 20) });
        assert_eq!(admission.ask(at(0), &machine), Err(at(1000)));
        machine.load.set(1.0);
        assert_eq!(admission.ask(at(999), &machine), Err(at(1000)));
        assert_eq!(machine.looks.get(), 1);
        assert_eq!(admission.ask(at(1000), &machine), Ok(()));
        assert_eq!(admission.ask(at(1500), &machine), Ok(()));
        assert_eq!(machine.looks.get(), 2);
        machine.memory.set(1 << 19);
        assert_eq!(admission.ask(at(2100), &machine), Err(at(3100)));
    }

    #[test]
    fn without_limits_nobody_looks() {
        let machine = Fake { load: Cell::new(99.0), memory: Cell::new(0), looks: Cell::new(0) };
        assert_eq!(Admission::new(Limits::default()).ask(at(0), &machine), Ok(()));
        assert_eq!(machine.looks.get(), 0);
    }

    #[test]
    fn this_machine_answers() {
        assert!(ThisMachine.load().is_some_and(|load| load >= 0.0));
        assert!(ThisMachine.memory().is_some_and(|free| free > 1 << 20));
    }

    #[test]
    fn sizes_are_those_of_gnu_parallel() {
        let good = [("500", 500), ("2G", 2 << 30), ("2g", 2_000_000_000), ("1.5K", 1536), ("0", 0), (" 1 M ", 1 << 20)];
        for (text, bytes) in good {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "x", "-1", "1X", "1GB", "inf", "NaN", "1é"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        assert_eq!(parse_bytes("1e300"), Some(u64::MAX));
    }
}
