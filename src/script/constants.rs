//! Constants of the script, which its functions reach as `global::NAME` from any task.
//!
//! Rhai keeps them behind one lock for all tasks, and a task that finds it taken sleeps for 10 ms. So each task reads a
//! copy of its own. Handles among them are held by the outside, since who will come to them is not counted.

use std::cell::RefCell;
use std::sync::{Arc, RwLock};

use rhai::{Dynamic, GlobalRuntimeState, ImmutableString};

use super::parcel::make_content_over;
use crate::kernel::Holder;

/// Rhai's constants, by name.
pub type Constants = Arc<RwLock<std::collections::BTreeMap<ImmutableString, Dynamic>>>;

thread_local! {
    /// The constants that this task has a copy of, and the copy.
    static COPY: RefCell<Option<(Constants, Constants)>> = const { RefCell::new(None) };
}

/// A function is handed to another task: from here on its constants are anybody's.
pub fn share(global: &GlobalRuntimeState) {
    if let Some(constants) = &global.constants
        && let Ok(mut constants) = constants.write()
    {
        constants.values_mut().for_each(|value| make_content_over(value, &Holder::Outside));
    }
}

/// Gives a function that runs in this task the task's own copy of its constants.
pub fn own(global: &mut GlobalRuntimeState) {
    if let Some(shared) = &global.constants {
        let copy = COPY.with(|known| match &*known.borrow() {
            Some((of, copy)) if Arc::ptr_eq(of, shared) => Some(copy.clone()),
            _ => None,
        });
        let copy = copy.unwrap_or_else(|| remember(shared));
        global.constants = Some(copy);
    }
}

fn remember(shared: &Constants) -> Constants {
    let content = shared.read().map(|constants| constants.clone()).unwrap_or_default();
    let copy: Constants = Arc::new(RwLock::new(content));
    COPY.with(|known| *known.borrow_mut() = Some((shared.clone(), copy.clone())));
    copy
}

/// The current task is over.
pub fn forget_task() {
    let copy = COPY.with(|known| known.borrow_mut().take());
    drop(copy);
}
