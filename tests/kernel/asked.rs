//! A program that is asked to end: its main task hears it once, however early it was asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use orch::kernel::{Kernel, Role, Setup, Stop, sleep};

/// Starts the main task of `kernel`: what it hears in a moment's sleep, and then in another.
fn hears(kernel: &Arc<Kernel>, name: &str) -> [Option<u32>; 2] {
    let (say, said) = mpsc::channel();
    let main = kernel.new_task(name, Role::Main, false);
    let moment = || match sleep(Some(Duration::from_millis(1))) {
        Ok(()) => None,
        Err(Stop::Interrupted(signal)) => Some(signal),
        Err(stop) => panic!("{stop:?}"),
    };
    kernel.start(&main, move || say.send([moment(), moment()]).unwrap()).unwrap();
    said.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn a_main_task_that_has_still_to_start_hears_it_then() {
    let kernel = Kernel::new(Setup::Real);
    assert_eq!(hears(&kernel, "before"), [None, None]);
    kernel.interrupt(15);
    assert_eq!(hears(&kernel, "after"), [Some(15), None]);
}

#[test]
fn a_main_task_that_starts_just_then_hears_it_once() {
    for round in 0..300 {
        let kernel = Kernel::new(Setup::Real);
        let (heard, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (say, said) = mpsc::channel();
        let main = kernel.new_task("main", Role::Main, false);
        let asks = {
            let (kernel, pause) = (kernel.clone(), Duration::from_micros(round % 60));
            std::thread::spawn(move || {
                std::thread::sleep(pause);
                kernel.interrupt(15);
            })
        };
        let (seen, ended) = (heard.clone(), over.clone());
        let body = move || {
            let mut times = 0;
            // Until it has come, and a while longer.
            while !ended.load(Ordering::Acquire) {
                if sleep(Some(Duration::from_micros(50))).is_err() {
                    times += 1;
                    seen.store(true, Ordering::Release);
                }
            }
            say.send(times).unwrap();
        };
        kernel.start(&main, body).unwrap();
        asks.join().unwrap();
        let begun = std::time::Instant::now();
        while !heard.load(Ordering::Acquire) {
            assert!(begun.elapsed() < Duration::from_secs(30), "round {round}: nobody has heard it");
            std::thread::yield_now();
        }
        over.store(true, Ordering::Release);
        assert_eq!(said.recv_timeout(Duration::from_secs(30)).unwrap(), 1, "round {round}");
    }
}
