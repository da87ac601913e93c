//! Starting commands beside the loop that runs them.
//!
//! Who starts a process is stopped by the system until the process has become its program: with many short commands that is
//! most of the time. So a few threads start them side by side, and the loop goes on; it hears of each that was started. They
//! hold nothing else: what a command becomes is the loop's affair.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use crate::command::fault::CommandFault;
use crate::command::launch::{self, Launched, Wiring};
use crate::command::spec::Spec;
use crate::kernel::{Task, threads};

/// How many start processes at once at the most. Two processors are kept busy by four: each waits in between.
const MOST: usize = 4;

/// What is to be started, under a number.
type Order = (usize, Spec, Wiring);

/// What has become of it.
pub type Arrival = (usize, Spec, Result<Launched, CommandFault>);

/// See the module. The threads end when this is dropped.
pub struct Launcher {
    orders: Sender<Order>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Launcher {
    /// One for so many commands at once, which wakes `task`; `None` where that is of no use: one command at a time, simulated
    /// time, a system without threads left.
    pub fn new(task: &Arc<Task>, at_once: usize) -> Option<Launcher> {
        if at_once < 2 || task.kernel().is_sim() {
            return None;
        }
        let (orders, taken): (Sender<Order>, Receiver<Order>) = unbounded();
        let arrivals: Arc<Mutex<Vec<Arrival>>> = Arc::default();
        let mut threads = 0;
        for _ in 0..at_once.min(MOST) {
            let (taken, arrivals, task) = (taken.clone(), arrivals.clone(), task.clone());
            let started = threads::run(Box::new(move || {
                for (number, spec, wiring) in taken {
                    let launched = launch::launch(&spec, wiring, task.kernel().now());
                    arrivals.lock().push((number, spec, launched));
                    task.wake();
                }
            }));
            threads += usize::from(started.is_ok());
        }
        (threads > 0).then_some(Launcher { orders, arrivals })
    }

    /// Starts a command soon; it arrives under this number.
    ///
    /// # Panics
    /// Never: the threads take orders as long as this is there.
    pub fn order(&self, number: usize, spec: Spec, wiring: Wiring) {
        self.orders.send((number, spec, wiring)).expect("invariant: the threads hold the other end");
    }

    /// What has arrived since this was asked last.
    pub fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock())
    }

    /// True when something has arrived.
    pub fn has_arrivals(&self) -> bool {
        !self.arrivals.lock().is_empty()
    }
}
