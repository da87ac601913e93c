//! A value that tasks share.
//!
//! Invariants: reads and writes are atomic, each by itself; while an update runs, which may be script code that waits,
//! nobody else writes, and readers see the value from before it.
//!
//! Once other processes have it, a number lies in a word of shared memory ([`super::number_word`]), and they change it there.
//! The value is in the word or, when that holds nothing, here. It moves here for an update, since nobody is to change it then,
//! and for what is no number, and it moves back as soon as whoever has the value locked finds that it can.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::fault::Fault;
use super::lock::Lock;
use super::lock_state::{Place, Slab};
use super::number_word::{Number, NumberWord};
use crate::kernel::{ObjectCore, Waitable, door};

/// See the module.
pub struct Cell<T> {
    core: Arc<ObjectCore>,
    value: Mutex<T>,
    /// Made by the first update.
    gate: OnceLock<Arc<Lock>>,
    /// Once other processes have it. Set while the value is locked.
    shared: OnceLock<Shared<T>>,
}

/// Which number a value is, and the value that a number is.
pub type AsNumber<T> = (fn(&T) -> Option<Number>, fn(Number) -> T);

struct Shared<T> {
    place: Place,
    as_number: AsNumber<T>,
}

impl<T> Shared<T> {
    fn word(&self) -> NumberWord<'_> {
        NumberWord::of(self.place.word())
    }
}

impl<T: Send + 'static> Cell<T> {
    /// A cell of `kind` that holds what `value` makes for it (values that contain handles need to know their holder).
    pub fn new(kind: &'static str, value: impl FnOnce(&Arc<ObjectCore>) -> T) -> Arc<Cell<T>> {
        let core = ObjectCore::new(kind);
        let value = Mutex::new(value(&core));
        Arc::new(Cell { core, value, gate: OnceLock::new(), shared: OnceLock::new() })
    }

    /// Lets other processes have it: the place where numbers lie from now on. `None` when there is no place left.
    pub fn share(&self, slab: &Arc<Slab>, as_number: AsNumber<T>) -> Option<u32> {
        let value = self.value.lock();
        if self.shared.get().is_none() {
            let place = slab.take()?;
            // Nobody knows of it yet.
            let _empty = NumberWord::of(place.word()).take_away();
            // The value is locked, so nobody else sets it.
            let _set = self.shared.set(Shared { place, as_number });
            self.let_go(&value);
        }
        self.shared.get().map(|shared| shared.place.number())
    }

    /// Where its number lies, if other processes have it.
    pub fn number(&self) -> Option<NumberWord<'_>> {
        self.shared.get().map(Shared::word)
    }

    /// Brings what lies in shared memory here.
    fn fetch(&self, value: &mut T) {
        if let Some(shared) = self.shared.get()
            && let Some(number) = shared.word().take_away()
        {
            *value = (shared.as_number.1)(number);
        }
    }

    /// Lets other processes change the value, which is here, unless somebody updates it.
    fn let_go(&self, value: &T) {
        if self.gate.get().is_none_or(|gate| gate.owner().is_none()) {
            self.put_down(value);
        }
    }

    fn put_down(&self, value: &T) {
        if let Some(shared) = self.shared.get()
            && let Some(number) = (shared.as_number.0)(value)
        {
            shared.word().put(number);
        }
    }

    /// Sees to it that the value here is the value.
    fn look_up(&self, value: &mut T) {
        let Some(shared) = self.shared.get() else {
            return;
        };
        match shared.word().get() {
            Some(number) => *value = (shared.as_number.1)(number),
            None => self.let_go(value),
        }
    }

    /// Looks at the value. `look` must not wait.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        door::query();
        let mut value = self.value.lock();
        self.look_up(&mut value);
        look(&value)
    }

    /// The same for a look that has to have the value as if to change it.
    pub fn read_mut<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        door::query();
        look(&mut self.value.lock())
    }

    /// Changes the value. `change` must not wait.
    ///
    /// # Errors
    /// [`Fault::Stopped`] while it waits for an update of another task to end.
    pub fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Fault> {
        door::point();
        let gate = {
            // The gate is looked at under the value's own lock: an update that begins after that sees this change.
            let mut value = self.value.lock();
            match self.gate.get().filter(|gate| gate.owner().is_some()) {
                None => {
                    self.fetch(&mut value);
                    let result = change(&mut value);
                    self.put_down(&value);
                    return Ok(result);
                }
                Some(gate) => gate,
            }
        };
        self.through(gate, || Ok(change(&mut self.value.lock())))
    }

    /// Runs `body` while nobody else writes; it reads and writes with [`Cell::peek`] and [`Cell::replace`], and may wait.
    ///
    /// # Errors
    /// Those of `body`; [`Fault::Stopped`] while it waits for another update to end.
    pub fn update<R, E: From<Fault>>(&self, body: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.through(self.gate.get_or_init(Lock::new), body)
    }

    /// Looks at the value from within an update.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Looks at the value if nobody is at it in this moment. Does not block.
    pub fn glance<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.value.try_lock().map(|value| look(&value))
    }

    /// Changes the value from within an update.
    pub fn replace<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.value.lock())
    }

    fn through<R, E: From<Fault>>(&self, gate: &Arc<Lock>, body: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.enter(gate)?;
        let result = body();
        self.leave(gate)?;
        result
    }

    fn enter(&self, gate: &Arc<Lock>) -> Result<(), Fault> {
        match gate.acquire(None) {
            // An update that was given up half-way has changed nothing.
            Ok(()) | Err(Fault::Abandoned(_)) => {}
            Err(fault) => return Err(fault),
        }
        self.fetch(&mut self.value.lock());
        Ok(())
    }

    fn leave(&self, gate: &Arc<Lock>) -> Result<(), Fault> {
        gate.must_be_mine()?;
        self.put_down(&self.value.lock());
        gate.release()
    }

    /// Begins an update that goes on until [`Cell::end_update`], or until the task ends.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub fn begin_update(&self) -> Result<(), Fault> {
        self.enter(self.gate.get_or_init(Lock::new))
    }

    /// Ends the update of the current task.
    ///
    /// # Errors
    /// [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn end_update(&self) -> Result<(), Fault> {
        self.leave(self.gate.get_or_init(Lock::new))
    }

    /// # Errors
    /// When the current task has not begun an update: [`Fault::NotHeld`], [`Fault::NotOwner`].
    pub fn must_update(&self) -> Result<(), Fault> {
        self.gate.get_or_init(Lock::new).must_be_mine()
    }
}

impl<T: Send + 'static> Waitable for Cell<T> {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::explore::run_once;
    use crate::kernel::{Role, Setup, current, sleep};

    /// A number, or anything else.
    #[derive(Clone, Debug, PartialEq)]
    enum Content {
        Number(Number),
        Other(i64),
    }

    const AS_NUMBER: AsNumber<Content> = (
        |content| match content {
            Content::Number(number) => Some(*number),
            Content::Other(_) => None,
        },
        Content::Number,
    );

    fn int(content: &Content) -> i64 {
        match content {
            Content::Number(Number::Int(n)) | Content::Other(n) => *n,
            other => panic!("{other:?} was never written"),
        }
    }

    fn more(content: &mut Content) {
        let sum = int(content) + 1;
        let was_number = matches!(content, Content::Number(_));
        *content = if was_number { Content::Number(Number::Int(sum)) } else { Content::Other(sum) };
    }

    /// What another process does, and what it asks for where that cannot be done.
    fn add_elsewhere(cell: &Cell<Content>) {
        if cell.number().unwrap().increase(Number::Int(1)).is_none() {
            cell.write(more).unwrap();
        }
    }

    #[test]
    fn the_value_is_one_wherever_it_is() {
        run_once(Setup::Real, || {
            let slab = Slab::new().unwrap();
            let cell = Cell::new("Value", |_| Content::Number(Number::Int(0)));
            assert!(cell.number().is_none());
            let place = cell.share(&slab, AS_NUMBER).unwrap();
            assert_eq!(cell.share(&slab, AS_NUMBER), Some(place));
            let word = || cell.number().unwrap();
            let (mut wanted, mut chance, mut there) = (0, fastrand::Rng::with_seed(2), 0);
            for _ in 0..3_000 {
                match chance.u8(0..8) {
                    0 => cell.write(more).unwrap(),
                    1 => cell
                        .update(|| {
                            cell.replace(more);
                            Ok::<_, Fault>(())
                        })
                        .unwrap(),
                    // One that fails has changed nothing, and one under way is not to be seen.
                    2 => {
                        cell.begin_update().unwrap();
                        assert_eq!((word().get(), cell.read(int)), (None, wanted));
                        cell.end_update().unwrap();
                        wanted -= 1;
                    }
                    3 => cell.write(|content| *content = Content::Other(int(content) + 1)).unwrap(),
                    4 => cell.write(|content| *content = Content::Number(Number::Int(int(content) + 1))).unwrap(),
                    _ => add_elsewhere(&cell),
                }
                wanted += 1;
                there += u32::from(word().get().is_some());
                assert_eq!(cell.read(int), wanted);
            }
            assert!((1_000..3_000).contains(&there), "{there} of 3,000 times it was in shared memory");
        });
    }

    #[test]
    fn whoever_adds_wherever_nothing_is_lost() {
        const EACH: i64 = 20_000;
        let total = run_once(Setup::Real, || {
            let slab = Slab::new().unwrap();
            let cell = Cell::new("Value", |_| Content::Number(Number::Int(0)));
            cell.share(&slab, AS_NUMBER).unwrap();
            let kernel = current().kernel().clone();
            let done = Arc::new(Mutex::new(0));
            for who in 0..4 {
                let (cell, done) = (cell.clone(), done.clone());
                let task = kernel.new_task("adder", Role::Thread, false);
                let add = move || {
                    let mut chance = fastrand::Rng::with_seed(who);
                    for _ in 0..EACH {
                        match (who, chance.u8(0..8)) {
                            (0, 0) => {
                                let change = || {
                                    cell.replace(more);
                                    Ok::<_, Fault>(())
                                };
                                cell.update(change).unwrap();
                            }
                            (0, 1) => cell.write(|content| *content = Content::Other(int(content) + 1)).unwrap(),
                            (1, 0..4) => {
                                cell.write(|content| *content = Content::Number(Number::Int(int(content) + 1))).unwrap()
                            }
                            _ => add_elsewhere(&cell),
                        }
                    }
                    *done.lock() += 1;
                };
                kernel.start(&task, add).unwrap();
            }
            while *done.lock() < 4 {
                sleep(Some(std::time::Duration::from_millis(1))).unwrap();
            }
            cell.read(int)
        });
        assert_eq!(total, 4 * EACH);
    }

    #[test]
    fn whoever_ends_within_an_update_has_changed_nothing_and_holds_up_nobody() {
        run_once(Setup::Real, || {
            let slab = Slab::new().unwrap();
            let cell = Cell::new("Value", |_| Content::Number(Number::Int(1)));
            cell.share(&slab, AS_NUMBER).unwrap();
            let kernel = current().kernel().clone();
            let task = kernel.new_task("updater", Role::Thread, false);
            let its = cell.clone();
            kernel.start(&task, move || its.begin_update().unwrap()).unwrap();
            let is_owned = || cell.gate.get().is_some_and(|gate| gate.owner().is_some());
            while cell.number().unwrap().get().is_some() || is_owned() {
                sleep(Some(std::time::Duration::from_millis(1))).unwrap();
            }
            // Whoever looks puts it back.
            assert_eq!(cell.read(int), 1);
            assert_eq!(cell.number().unwrap().increase(Number::Int(1)), Some(Number::Int(2)));
            cell.update(|| {
                cell.replace(more);
                Ok::<_, Fault>(())
            })
            .unwrap();
            assert_eq!((cell.number().unwrap().get(), cell.read(int)), (Some(Number::Int(3)), 3));
        });
    }

    #[test]
    fn places_return() {
        run_once(Setup::Real, || {
            let slab = Slab::new().unwrap();
            let first = Cell::new("Value", |_| Content::Other(1));
            let place = first.share(&slab, AS_NUMBER);
            drop(first);
            let second = Cell::new("Value", |_| Content::Number(Number::Float(0.5)));
            assert_eq!(second.share(&slab, AS_NUMBER), place);
            assert_eq!(second.number().unwrap().get(), Some(Number::Float(0.5)));
        });
    }
}
