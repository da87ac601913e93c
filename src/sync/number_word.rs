//! A number that processes share without asking each other.
//!
//! It is one word in shared memory, and whatever is done with it is one compare-and-swap: so whoever is killed in the midst of
//! it has done it or has not, and nothing is left half-done. The word says what kind of number it is too, in the bits that a
//! float leaves free: of all that is not a number one is enough.
//!
//! - Sign and exponent all ones, and something behind them: an int, as its distance from the smallest.
//! - Exponent all ones without the sign, and a small number behind it: what is neither an int nor a float.
//! - All else is the float that it looks like.
//!
//! An int of more than 52 bits is not kept here, but like all else that is no number where the value lives; the word says so.
//!
//! Invariant: only where the value lives is the word told to hold nothing, and is a number put into one that holds nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where ints begin.
const INTS: u64 = 0xfff0_0000_0000_0000;

/// The bits of an int, with what its smallest one is counted from.
const INT_BITS: u64 = 0x000f_ffff_ffff_ffff;
const INT_ZERO: i64 = 1 << 51;

/// What is neither an int nor a float.
const NOTHING: u64 = 0x7ff0_0000_0000_0001;
const UNIT: u64 = 0x7ff0_0000_0000_0002;
const FALSE: u64 = 0x7ff0_0000_0000_0003;
const TRUE: u64 = 0x7ff0_0000_0000_0004;
/// What stands for all that is not a number.
const NOT_A_NUMBER: u64 = 0x7ff8_0000_0000_0000;

/// What fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// No value.
    Unit,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// As a word; `None` when it does not fit.
    fn word(self) -> Option<u64> {
        match self {
            Number::Unit => Some(UNIT),
            Number::Bool(false) => Some(FALSE),
            Number::Bool(true) => Some(TRUE),
            Number::Float(x) if x.is_nan() => Some(NOT_A_NUMBER),
            Number::Float(x) => Some(x.to_bits()),
            Number::Int(n) => {
                let distance = u64::try_from(n.checked_add(INT_ZERO)?).ok()?;
                // The smallest would be the infinity below.
                (1..=INT_BITS).contains(&distance).then_some(INTS | distance)
            }
        }
    }

    fn of_word(word: u64) -> Option<Number> {
        match word {
            UNIT => Some(Number::Unit),
            FALSE => Some(Number::Bool(false)),
            TRUE => Some(Number::Bool(true)),
            NOTHING => None,
            ints if ints > INTS => Some(Number::Int(i64::try_from(ints & INT_BITS).ok()? - INT_ZERO)),
            float => Some(Number::Float(f64::from_bits(float))),
        }
    }

    /// The sum, as scripts add; `None` when that is an error, or no number.
    fn plus(self, other: Number) -> Option<Number> {
        // As Rhai takes an int for a float.
        let float = |n: i64| n as f64;
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.checked_add(b).map(Number::Int),
            (Number::Float(a), Number::Float(b)) => Some(Number::Float(a + b)),
            (Number::Float(a), Number::Int(b)) => Some(Number::Float(a + float(b))),
            (Number::Int(a), Number::Float(b)) => Some(Number::Float(float(a) + b)),
            _ => None,
        }
    }

    /// Whether both are the same, as scripts compare; `None` for those of two kinds.
    fn equals(self, other: Number) -> Option<bool> {
        match (self, other) {
            (Number::Unit, Number::Unit) => Some(true),
            (Number::Bool(a), Number::Bool(b)) => Some(a == b),
            (Number::Int(a), Number::Int(b)) => Some(a == b),
            (Number::Float(a), Number::Float(b)) => Some(a == b),
            _ => None,
        }
    }
}

/// The word. What cannot be done with it gives `None`, and has to be done where the value lives.
#[derive(Clone, Copy)]
pub struct NumberWord<'a>(&'a AtomicU64);

impl<'a> NumberWord<'a> {
    /// The one that lies here.
    pub fn of(word: &'a AtomicU64) -> NumberWord<'a> {
        NumberWord(word)
    }

    /// The number.
    pub fn get(self) -> Option<Number> {
        Number::of_word(self.0.load(Ordering::Acquire))
    }

    /// Writes a number: the one before.
    pub fn swap(self, new: Number) -> Option<Number> {
        self.change(|_| Some(new)).map(|(before, _)| before)
    }

    /// Adds to the number: the sum.
    pub fn increase(self, more: Number) -> Option<Number> {
        self.change(|now| now.plus(more)).map(|(_, sum)| sum)
    }

    /// Writes `new` if the number is `old`: whether it was.
    pub fn compare_and_set(self, old: Number, new: Number) -> Option<bool> {
        let new = new.word()?;
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if !Number::of_word(word)?.equals(old)? {
                return Some(false);
            }
            match self.0.compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(now) => word = now,
            }
        }
    }

    /// What was there, and what is there now.
    fn change(self, change: impl Fn(Number) -> Option<Number>) -> Option<(Number, Number)> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let before = Number::of_word(word)?;
            let after = change(before)?;
            match self.0.compare_exchange_weak(word, after.word()?, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some((before, after)),
                Err(now) => word = now,
            }
        }
    }

    /// From now on it holds nothing: what it held.
    pub(super) fn take_away(self) -> Option<Number> {
        Number::of_word(self.0.swap(NOTHING, Ordering::AcqRel))
    }

    /// Puts a number into a word that holds nothing, if it fits.
    pub(super) fn put(self, number: Number) {
        if let Some(word) = number.word() {
            self.0.store(word, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: i64 = INT_ZERO - 1;

    #[test]
    fn numbers_come_back_as_they_were() {
        let floats = [0.0, -0.0, 1.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, 5e-324];
        let ints = [0, 1, -1, LARGEST, -LARGEST];
        let all = floats.map(Number::Float).into_iter().chain(ints.map(Number::Int));
        for number in all.chain([Number::Unit, Number::Bool(true), Number::Bool(false)]) {
            let back = Number::of_word(number.word().unwrap()).unwrap();
            assert_eq!(back, number);
            if let (Number::Float(a), Number::Float(b)) = (back, number) {
                assert_eq!(a.to_bits(), b.to_bits());
            }
        }
        // All that is not a number is one, and none of the others.
        for bits in [f64::NAN.to_bits(), NOTHING, TRUE, INTS | 5, u64::MAX] {
            let Some(Number::Float(x)) = Number::of_word(Number::Float(f64::from_bits(bits)).word().unwrap()) else {
                panic!("{bits:x} became something else");
            };
            assert!(x.is_nan());
        }
        assert_eq!([i64::MAX, i64::MIN, LARGEST + 1, -LARGEST - 1].map(|n| Number::Int(n).word()), [None; 4]);
        // Whatever another process writes there is something.
        let mut chance = fastrand::Rng::with_seed(3);
        for _ in 0..10_000 {
            let word = AtomicU64::new(chance.u64(..));
            let _any = NumberWord::of(&word).increase(Number::Int(1));
        }
    }

    #[test]
    fn what_cannot_be_done_here_changes_nothing() {
        let word = AtomicU64::new(Number::Int(LARGEST).word().unwrap());
        let number = NumberWord::of(&word);
        assert_eq!(number.increase(Number::Int(1)), None);
        assert_eq!(number.increase(Number::Int(i64::MAX)), None);
        assert_eq!(number.increase(Number::Bool(true)), None);
        assert_eq!(number.swap(Number::Int(i64::MIN)), None);
        assert_eq!(number.compare_and_set(Number::Int(LARGEST), Number::Int(i64::MAX)), None);
        assert_eq!(number.compare_and_set(Number::Float(1.0), Number::Int(1)), None);
        assert_eq!(number.get(), Some(Number::Int(LARGEST)));
        assert_eq!(number.increase(Number::Float(0.5)), Some(Number::Float(2_251_799_813_685_247.5)));
        assert_eq!(number.swap(Number::Float(f64::NAN)).map(|_| ()), Some(()));
        // As in scripts, it is not even itself.
        assert_eq!(number.compare_and_set(Number::Float(f64::NAN), Number::Unit), Some(false));
        assert!(number.take_away().is_some());
        assert_eq!((number.get(), number.swap(Number::Unit), number.take_away()), (None, None, None));
        number.put(Number::Int(i64::MAX));
        assert_eq!(number.get(), None);
        number.put(Number::Int(7));
        assert_eq!(number.compare_and_set(Number::Int(7), Number::Unit), Some(true));
        assert_eq!(number.get(), Some(Number::Unit));
    }
}
