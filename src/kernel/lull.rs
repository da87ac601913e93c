//! Waiting until no task is left that the program waits for.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::object::{Enders, ObjectCore, Waitable};
use super::task::{Role, Task, current};
use super::waiters::{Ticket, Waker};
use super::{Kernel, Operation, Stop, block};

/// Waits, at most `limit`, until only daemons and services are left beside the current task.
///
/// # Errors
/// [`Stop`].
pub fn wait_for_others(limit: Option<Duration>) -> Result<(), Stop> {
    let kernel = current().kernel().clone();
    let core = ObjectCore::of_time(&kernel);
    block(&mut Lull { others: Arc::new(Others { kernel, core }), ticket: Ticket::default() }, limit)
}

struct Others {
    kernel: Arc<Kernel>,
    core: Arc<ObjectCore>,
}

impl Others {
    fn tasks(&self) -> Vec<Arc<Task>> {
        let mut tasks = self.kernel.tasks();
        tasks.retain(|t| matches!(t.role(), Role::Thread | Role::Process) && !t.is_daemon());
        tasks
    }
}

impl Waitable for Others {
    fn core(&self) -> &Arc<ObjectCore> {
        &self.core
    }

    fn enders(&self) -> Enders {
        Enders::Tasks(self.tasks().iter().map(|t| t.id()).collect())
    }
}

struct Lull {
    others: Arc<Others>,
    ticket: Ticket,
}

impl Operation for Lull {
    type Output = ();

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        // Enlisted first: a task that ends in between wakes us again.
        self.others.kernel.onlookers().lock().enlist(&mut self.ticket, waker, ());
        if self.others.tasks().iter().all(|t| t.id() == current().id()) {
            self.abandon();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn abandon(&mut self) {
        self.others.kernel.onlookers().lock().remove(&mut self.ticket);
    }

    fn target(&self) -> Arc<dyn Waitable> {
        self.others.clone()
    }

    fn verb(&self) -> &'static str {
        "end of the program"
    }

    fn is_idle(&self) -> bool {
        true
    }
}
