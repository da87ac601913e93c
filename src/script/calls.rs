//! The arguments of many calls of one function.
//!
//! Most calls of `map` and its kind have one argument, so those lie side by side: a list for each would be memory that is asked
//! for and given back a hundred thousand times, on both sides of a process.

use rhai::{Array, Dynamic, NativeCallContext};

use super::function::pack_arguments;
use super::throw::Outcome;
use crate::kernel::Holder;

/// See the module. What was taken from the front is gone.
pub enum Calls {
    /// One argument each.
    Ones(std::vec::IntoIter<Dynamic>),
    /// A list of arguments each.
    Lists(std::vec::IntoIter<Vec<Dynamic>>),
}

impl Calls {
    /// Calls with one of these each, packed for another task.
    ///
    /// # Errors
    /// `CaptureError`, `ValueError` as of [`pack_arguments`].
    pub fn of_one(ctx: &NativeCallContext, items: Array) -> Outcome<Calls> {
        Ok(Calls::Ones(pack_arguments(ctx, items, &Holder::Outside)?.into_iter()))
    }

    /// Calls with one of these lists each, packed for another task.
    ///
    /// # Errors
    /// As [`Calls::of_one`].
    pub fn of_lists(ctx: &NativeCallContext, lists: Vec<Array>) -> Outcome<Calls> {
        let packed = |args| pack_arguments(ctx, args, &Holder::Outside);
        Ok(Calls::Lists(lists.into_iter().map(packed).collect::<Outcome<Vec<_>>>()?.into_iter()))
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        match self {
            Calls::Ones(args) => args.len(),
            Calls::Lists(lists) => lists.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes so many from the front, or what there is.
    pub fn take(&mut self, count: usize) -> Calls {
        match self {
            Calls::Ones(args) => Calls::Ones(args.take(count).collect::<Vec<_>>().into_iter()),
            Calls::Lists(lists) => Calls::Lists(lists.take(count).collect::<Vec<_>>().into_iter()),
        }
    }

    /// With how many arguments the first call is.
    pub fn first_count(&self) -> Option<usize> {
        match self {
            Calls::Ones(args) => args.as_slice().first().map(|_| 1),
            Calls::Lists(lists) => lists.as_slice().first().map(Vec::len),
        }
    }

    /// All arguments, each with the numbers of its call and of its place there.
    ///
    /// # Errors
    /// Those of `look`, which ends it.
    pub fn try_each<E>(&self, mut look: impl FnMut(usize, usize, &Dynamic) -> Result<(), E>) -> Result<(), E> {
        match self {
            Calls::Ones(args) => args.as_slice().iter().enumerate().try_for_each(|(i, arg)| look(i, 0, arg)),
            Calls::Lists(lists) => lists
                .as_slice()
                .iter()
                .enumerate()
                .try_for_each(|(i, list)| list.iter().enumerate().try_for_each(|(j, arg)| look(i, j, arg))),
        }
    }
}
