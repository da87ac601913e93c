//! Which signals whoever started this process wanted it to ignore: `nohup` ignores HUP, a shell without job control INT
//! and QUIT for what it runs behind. orch respects that, as shells and Python do.

/// Signals, by number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ignored(u64);

impl Ignored {
    /// Those that this process ignores now. To be asked before anything is changed.
    pub fn now() -> Ignored {
        // Where the system does not tell, nothing is taken to be ignored.
        std::fs::read_to_string("/proc/self/status").map(|status| Self::in_status(&status)).unwrap_or_default()
    }

    fn in_status(status: &str) -> Ignored {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Ignored(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    /// True when this one is.
    pub fn contains(self, signal: i32) -> bool {
        u32::try_from(signal - 1).ok().and_then(|bit| self.0.checked_shr(bit)).is_some_and(|rest| rest & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_count_from_one() {
        let ignored = Ignored::in_status("Name:\torch\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n");
        let found: Vec<i32> = (-1..70).filter(|s| ignored.contains(*s)).collect();
        assert_eq!(found, [1, 13]);
        assert_eq!(Ignored::in_status("Name:\torch\n"), Ignored::default());
    }
}
