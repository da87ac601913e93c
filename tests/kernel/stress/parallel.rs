//! What only threads that really run in parallel show: the locks inside the primitives.

use std::sync::Arc;
use std::time::Duration;

use orch::exec::Thread;
use orch::kernel::{Handle, Holder, Kernel, Role, Setup};
use orch::sync::{Order, Queue};

#[test]
fn waiting_putters_and_getters_do_not_lock_each_other_out() {
    const PAIRS: usize = 4;
    const ITEMS: u64 = 20_000;
    let kernel = Kernel::new(Setup::Real);
    kernel.run_here("main", || {
        // So small that both sides wait at nearly every call.
        let queue = Queue::new("Queue", Order::Fifo, Some(2));
        // The search for deadlocks goes by handles, and these threads hold none.
        let _within_reach = Handle::for_holder(queue.clone(), Holder::Outside);
        let threads: Vec<Arc<Thread<()>>> = (0..2 * PAIRS)
            .map(|i| {
                let thread = Thread::new(&kernel, "", Role::Thread, false);
                let queue = queue.clone();
                thread.give(move || {
                    for item in 0..ITEMS {
                        match i % 2 {
                            0 => queue.put(item, None).unwrap(),
                            _ => drop(queue.get(None).unwrap()),
                        }
                    }
                });
                thread.start().unwrap();
                thread
            })
            .collect();
        for thread in threads {
            thread.join(Some(Duration::from_mins(1))).unwrap();
        }
        assert!(queue.is_empty());
    });
}
