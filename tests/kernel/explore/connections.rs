//! Connections whose ends are both in the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use orch::kernel::explore::every_schedule;
use orch::kernel::{Operation, Source, Waitable, Waker, block, point, sleep};
use orch::worker::connection::{Connection, ConnectionFault};
use orch::worker::pair::{End, Payload};
use orch::worker::wire::Descriptors;

use super::all;
use crate::support::{Own, Spawned, join_all, ms, spawn};

/// A message of some weight.
struct Parcel {
    number: u32,
    weight: usize,
}

impl Payload for Parcel {
    fn weight(&self) -> usize {
        self.weight
    }

    fn into_wire(self) -> (Vec<u8>, Descriptors) {
        (Vec::new(), Descriptors::new())
    }

    fn from_wire(_bytes: Vec<u8>, _descriptors: Descriptors) -> Parcel {
        Parcel { number: 0, weight: 0 }
    }
}

type Line = Own<Connection<Parcel>>;

fn pipe() -> [Line; 2] {
    End::pair().map(|end| Own::new(Connection::new(end, false)))
}

/// So heavy that no other one has room beside it.
const HEAVY: usize = 60_000;

fn sends(line: &Line, numbers: Vec<u32>, weight: usize) -> Spawned<()> {
    spawn(|me| {
        let line = line.to(me);
        move || {
            for number in numbers {
                point();
                line.send(Parcel { number, weight }).unwrap();
            }
        }
    })
}

/// All that comes until the other end is closed.
fn receives(line: &Line) -> Spawned<Vec<u32>> {
    spawn(|me| {
        let line = line.to(me);
        move || {
            let mut seen = Vec::new();
            loop {
                match line.receive(None) {
                    Ok(parcel) => seen.push(parcel.number),
                    Err(ConnectionFault::EndOfFile(_)) => return seen,
                    Err(fault) => panic!("{fault}"),
                }
            }
        }
    })
}

#[test]
fn each_message_is_received_once_and_in_order_whatever_room_there_is() {
    for weight in [1, HEAVY] {
        all(move || {
            let [a, b] = pipe();
            let sender = sends(&a, vec![1, 2, 3], weight);
            let reader = receives(&b);
            sender.join();
            a.close();
            assert_eq!(reader.join(), [1, 2, 3]);
        });
    }
}

#[test]
fn two_receivers_share_what_comes_and_two_senders_the_room() {
    all(|| {
        let [a, b] = pipe();
        let readers = vec![receives(&b), receives(&b)];
        a.send(Parcel { number: 1, weight: 1 }).unwrap();
        a.send(Parcel { number: 2, weight: 1 }).unwrap();
        drop(a);
        let mut seen: Vec<u32> = join_all(readers).concat();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
    all(|| {
        let [a, b] = pipe();
        let senders = vec![sends(&a, vec![1], HEAVY), sends(&a, vec![2], HEAVY)];
        drop(a);
        let mut seen = vec![b.receive(None).unwrap().number, b.receive(None).unwrap().number];
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        join_all(senders);
    });
}

#[test]
fn who_gives_up_leaves_the_message_and_the_room_to_others() {
    all(|| {
        let [a, b] = pipe();
        let hasty = spawn(|me| {
            let b = b.to(me);
            move || b.receive(ms(1)).ok().map(|parcel| parcel.number)
        });
        let reader = receives(&b);
        hasty.cancel();
        a.send(Parcel { number: 1, weight: 1 }).unwrap();
        drop(a);
        let mut seen = reader.join();
        seen.extend(hasty.join());
        assert_eq!(seen, [1]);
    });
    all(|| {
        let [a, b] = pipe();
        a.send(Parcel { number: 1, weight: HEAVY }).unwrap();
        let cancelled = spawn(|me| {
            let a = a.to(me);
            move || a.send(Parcel { number: 2, weight: HEAVY }).is_ok()
        });
        let sender = sends(&a, vec![3], HEAVY);
        drop(a);
        cancelled.cancel();
        let mut seen = vec![b.receive(None).unwrap().number];
        sender_and_rest(&b, &mut seen, sender);
        seen.sort_unstable();
        assert_eq!(seen, if cancelled.join() { vec![1, 2, 3] } else { vec![1, 3] });
    });
}

/// Receives until nobody can send any more.
fn sender_and_rest(line: &Line, seen: &mut Vec<u32>, sender: Spawned<()>) {
    while let Ok(parcel) = line.receive(None) {
        seen.push(parcel.number);
    }
    sender.join();
}

#[test]
fn whoever_waits_hears_that_an_end_was_closed_or_moved() {
    all(|| {
        let [a, b] = pipe();
        let reader = receives(&b);
        drop(b);
        let before = a.send(Parcel { number: 1, weight: 1 });
        assert!(before.is_ok());
        drop(a);
        assert_eq!(reader.join(), [1], "what was sent before is received");
    });
    all(|| {
        let [a, b] = pipe();
        let waits = spawn(|me| {
            let b = b.to(me);
            move || b.receive(None).map(|parcel| parcel.number)
        });
        point();
        let (end, ()) = b.take_end(|_| Ok(())).unwrap();
        assert!(matches!(waits.join(), Err(ConnectionFault::Moved(_))));
        assert!(matches!(b.receive(None), Err(ConnectionFault::Moved(_))));
        let there = Own::new(Connection::new(end, false));
        a.send(Parcel { number: 2, weight: 1 }).unwrap();
        assert_eq!(there.receive(None).unwrap().number, 2);
        let waits = spawn(|me| {
            let a = a.to(me);
            move || a.receive(None).map(|parcel| parcel.number)
        });
        drop(there);
        assert!(matches!(waits.join(), Err(ConnectionFault::EndOfFile(_))));
    });
}

/// One who gives up and says nothing: where the wake-up was meant for it, nobody else hears of the message.
struct Careless<O>(O);

impl<O: Operation> Operation for Careless<O> {
    type Output = O::Output;

    fn poll(&mut self, waker: &Waker) -> Poll<O::Output> {
        self.0.poll(waker)
    }

    fn abandon(&mut self) {}

    fn target(&self) -> Arc<dyn Waitable> {
        self.0.target()
    }

    fn verb(&self) -> &'static str {
        self.0.verb()
    }

    fn sources(&self) -> Vec<Source> {
        self.0.sources()
    }
}

#[test]
fn a_receiver_that_passes_nothing_on_is_found() {
    let found = |careless: bool| {
        let mut found = 0;
        let program = move || {
            let [a, b] = pipe();
            let hasty = spawn(|me| {
                let b = b.to(me);
                move || match careless {
                    true => block(&mut Careless(b.receiving()), ms(1)).is_ok(),
                    false => block(&mut b.receiving(), ms(1)).is_ok(),
                }
            });
            let came = Arc::new(AtomicBool::new(false));
            let patient = spawn(|me| {
                let (b, came) = (b.to(me), came.clone());
                move || came.store(b.receive(None).is_ok(), Ordering::Relaxed)
            });
            hasty.join();
            a.send(Parcel { number: 1, weight: 1 }).unwrap();
            sleep(ms(5)).unwrap();
            let lost = !came.load(Ordering::Relaxed);
            drop(a);
            patient.join();
            lost
        };
        every_schedule(2, 20_000, program, |lost| found += usize::from(lost));
        found
    };
    assert_eq!(found(false), 0, "the right variant fails");
    assert!(found(true) > 0, "the wrong variant is not found");
}
