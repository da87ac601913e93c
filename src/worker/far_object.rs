//! An object of another process, as a process has it: what can be done without asking is done here.
//!
//! Invariant: as long as somebody has it the other side keeps the object.

use std::sync::Arc;

use serde_bytes::ByteBuf;

use super::ask::{Exported, SharedLock};
use super::link::Link;
use crate::kernel::events::Event;
use crate::kernel::{Enders, ObjectCore, Site, Task, Waitable, door, with_current};
use crate::sync::lock_state::LockState;
use crate::sync::number_word::NumberWord;

/// An object that lives in another process, for as long as somebody here uses it.
pub struct FarObject {
    core: Arc<ObjectCore>,
    link: Arc<Link>,
    entry: u64,
    lock: Option<SharedLock>,
    number: Option<u32>,
    is_boundless: bool,
}

impl FarObject {
    /// Stands in for what was exported.
    pub(super) fn new(core: Arc<ObjectCore>, link: &Arc<Link>, exported: &Exported) -> Arc<FarObject> {
        let Exported { entry, lock, number, is_boundless, .. } = *exported;
        Arc::new(FarObject { core, link: link.clone(), entry, lock, number, is_boundless })
    }

    /// The link itself, as something to wait for.
    pub(super) fn link_itself(core: Arc<ObjectCore>, link: &Arc<Link>) -> Arc<FarObject> {
        Arc::new(FarObject { core, link: link.clone(), entry: 0, lock: None, number: None, is_boundless: false })
    }

    /// The way to it.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Takes this lock for the current task, which is at `site` in `source`, without a call: `Some(true)` when its last owner
    /// has lost it; `None` when it has to be asked for.
    pub fn take_lock(&self, source: &str, site: Site) -> Option<bool> {
        let lock = self.lock?;
        let state = self.link.slab()?.state(lock.place)?;
        let (me, number) = self.link.me_and_source(Some(source))?;
        let site = Site::new(number, site.line(), site.column()).to_bits();
        let taken =
            state.take_free(me, site) || (lock.is_reentrant && state.take_again(me)) || take_soon(state, me, site);
        if taken {
            self.tell(|task, object| Event::Acquired { task, object, site: task.site() });
        }
        taken.then(|| state.was_abandoned())
    }

    /// Gives this lock back without a call; false when that has to be asked for.
    pub fn give_lock_back(&self) -> bool {
        let state = self.lock.and_then(|lock| self.link.slab()?.state(lock.place));
        let Some(state) = state else {
            return false;
        };
        let given = self.link.me_and_source(None).is_some_and(|(me, _)| state.give_back(me));
        if given {
            self.tell(|task, object| Event::Released { task, object });
        }
        given
    }

    fn tell(&self, event: impl for<'a> FnOnce(&'a Task, &'a ObjectCore) -> Event<'a>) {
        let events = self.core.kernel().events();
        if events.on() {
            with_current(|task| events.emit(|| event(task, &self.core)));
        }
    }

    /// Where the number lies that this value is, if it is one.
    pub fn number(&self) -> Option<NumberWord<'_>> {
        Some(NumberWord::of(self.link.slab()?.word(self.number?)?))
    }

    /// True for a queue that has room for all and is not known to be closed.
    pub fn takes_posts(&self) -> bool {
        self.is_boundless && !self.link.is_closed(self.entry)
    }

    /// Puts a value that is nothing but bytes into this queue, for the current task at `site` in `source`, without waiting for an
    /// answer: false when nobody hears it any more, `None` when that has to be asked for.
    pub fn post_item(&self, item: Vec<u8>, source: &str, site: Site) -> Option<bool> {
        if self.takes_posts() { self.link.post_item(self.entry, item, source, site) } else { None }
    }

    /// The next item of this queue, if one is on loan here.
    pub fn take_lent(&self) -> Option<ByteBuf> {
        if self.is_boundless { self.link.take_lent(self.entry) } else { None }
    }

    /// The number of its entry on the other side.
    pub fn entry(&self) -> u64 {
        self.entry
    }
}

impl Waitable for FarObject {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Somebody
    }
}

impl std::fmt::Debug for FarObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.core.label())
    }
}

impl Drop for FarObject {
    fn drop(&mut self) {
        if self.entry != 0 {
            self.link.dropped(self.entry);
        }
    }
}

/// Looks a moment whether its owner gives it back; not when somebody stands in line for it.
fn take_soon(state: LockState, me: u64, site: u64) -> bool {
    for _ in 0..door::pauses() {
        if state.take_free(me, site) {
            return true;
        }
        if state.is_waited_for() {
            return false;
        }
        std::hint::spin_loop();
    }
    false
}
