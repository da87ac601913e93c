//! Places in a script, small enough to be noted at every call.
//!
//! Reports name the line where a task waits and the line where a lock was taken. Those lines are noted long before anyone
//! knows whether a report will be made, so a place is one machine word.

/// A place in a script: number of the source, line and column (both from 1; 0 is "unknown").
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Site(u64);

impl Site {
    /// No known place.
    pub const NONE: Site = Site(0);

    /// A place in source number `source`. Columns beyond 65,535 are cut to that.
    pub fn new(source: u16, line: u32, column: u32) -> Site {
        let column = column.min(u32::from(u16::MAX));
        Site(u64::from(source) << 48 | u64::from(line) << 16 | u64::from(column))
    }

    /// The number of the source, as [`super::Kernel::source_number`] gave it.
    pub fn source(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The line, from 1; 0 when unknown.
    pub fn line(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The column in characters, from 1; 0 when unknown.
    pub fn column(self) -> u32 {
        (self.0 & 0xffff) as u32
    }

    /// True when the place is not known.
    pub fn is_none(self) -> bool {
        self.line() == 0
    }

    /// The word to keep in an atomic.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The place kept as [`Site::to_bits`].
    pub fn from_bits(bits: u64) -> Site {
        Site(bits)
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.source(), self.line(), self.column())
    }
}

#[cfg(test)]
mod tests {
    use super::Site;

    #[test]
    fn a_site_gives_back_what_it_was_made_of() {
        let site = Site::new(3, 4_000_000, 70_000);
        assert_eq!((site.source(), site.line(), site.column()), (3, 4_000_000, 65_535));
        assert_eq!(Site::from_bits(site.to_bits()), site);
        assert!(Site::NONE.is_none());
    }
}
