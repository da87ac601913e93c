//! The script's side of a worker: does the errands that the main process sends.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::errand::{self, Answer, Performed};
use super::far;
use super::handler::Raised;
use super::host::{Host, run_in};
use super::luggage::{Luggage, Packed};
use super::report;
use super::run::{Script, outlast_threads, parse};
use super::throw::Thrown;
use crate::kernel::{Kernel, Role, Stop, Task, block, current};
use crate::signals::Signal;
use crate::sync::lock_state::Slab;
use crate::sync::{Order, Queue};
use crate::worker::desk::Desk;
use crate::worker::link::Link;
use crate::worker::wire::{FromWorker, Letter, Reply, ToWorker};

type Errands = Queue<(u64, Packed)>;

/// Which errand is being done, and which are to stop as soon as they begin.
#[derive(Default)]
struct Current {
    number: Option<u64>,
    /// The last that was done.
    done: u64,
    cancelled: Vec<u64>,
    /// Those that were given back.
    given_back: Vec<u64>,
}

struct Office {
    host: Arc<Host>,
    desk: Arc<Desk>,
    errands: Arc<Errands>,
    current: Mutex<Current>,
}

/// Starts the main task of a worker called `name`.
///
/// # Errors
/// When the system can't start a thread.
pub fn start(host: &Arc<Host>, desk: Arc<Desk>, name: &str) -> io::Result<()> {
    let kernel = host.kernel().clone();
    let main = kernel.new_task(name, Role::Main, false);
    let host = host.clone();
    let me = main.clone();
    kernel.start(&main, move || {
        let errands = Queue::new("errands", Order::Fifo, None);
        let office = Arc::new(Office { host: host.clone(), desk, errands, current: Mutex::default() });
        let status = match office.read(&me) {
            Ok(()) => run_in(&host, || office.work(&me)),
            Err(_) => 1,
        };
        host.kernel().request_exit(status);
    })
}

impl Office {
    /// Starts the task that reads what the main process says.
    fn read(self: &Arc<Self>, main: &Arc<Task>) -> io::Result<()> {
        let kernel: &Arc<Kernel> = main.kernel();
        let reader = kernel.new_task("reader", Role::Service, true);
        let (office, main) = (self.clone(), main.clone());
        kernel.start(&reader, move || {
            loop {
                match block(&mut office.desk.reading(), None) {
                    Ok(Some(letter)) => office.hear(letter, &main),
                    // The main process is gone, and nobody wants what this one does.
                    Ok(None) => return office.host.kernel().request_exit_now(1),
                    Err(Stop::Ended) => return,
                    Err(_) => {}
                }
            }
        })
    }

    fn hear(&self, letter: Letter<ToWorker>, main: &Arc<Task>) {
        match letter.message {
            ToWorker::Begin { .. } => {}
            ToWorker::Sources(sources) => sources.into_iter().for_each(|(name, text)| self.learn(name, text)),
            // It is closed only after the last.
            ToWorker::Run(number, bytes, exported) => {
                let luggage = match self.host.link() {
                    Some(link) => far::luggage_of(link, &exported, letter.descriptors),
                    None => Luggage::of(letter.descriptors),
                };
                let errand = Packed { bytes: bytes.into_vec(), luggage };
                let _open = self.errands.try_put((number, errand));
            }
            ToWorker::Link => {
                let mut descriptors = letter.descriptors.into_iter();
                let (socket, slab) = (descriptors.next(), descriptors.next());
                let slab = slab.and_then(|file| Slab::attach(file).ok());
                let link = socket.map(|socket| Link::new(self.host.kernel(), socket, slab));
                // Without it the handles of the errands that come are not there, and the errands say so.
                if let Some(Ok(link)) = link {
                    self.host.set_link(link);
                }
            }
            ToWorker::Cancel(number) => {
                let mut current = self.current.lock();
                if current.number == Some(number) {
                    main.cancel();
                } else if number > current.done {
                    current.cancelled.push(number);
                }
                drop(current);
                self.is_stirred();
            }
            ToWorker::TakeBack(number) => self.give_back(number),
            ToWorker::Interrupt(number) => {
                if let Some(signal) = Signal::numbered(number) {
                    // It is one that asks to stop, which needs nothing of the system.
                    let _never = self.host.signals().raise(signal);
                }
                self.is_stirred();
            }
            ToWorker::NoMore => self.errands.close(),
        }
    }

    fn is_stirred(&self) {
        if let Some(link) = self.host.link() {
            link.is_stirred();
        }
    }

    /// The main process wants an errand back.
    fn give_back(&self, number: u64) {
        let mut current = self.current.lock();
        if number > current.number.unwrap_or(current.done) && !current.given_back.contains(&number) {
            current.given_back.push(number);
            drop(current);
            self.desk.say(&FromWorker::Back(number));
        }
    }

    fn learn(&self, name: String, text: String) {
        self.host.is_given(&name);
        // It was parsed before where it comes from; a module that was refused there is refused here when it is imported.
        let _refused_there = run_in(&self.host, || parse(&self.host, &Script { name, text }).map(drop));
    }

    /// Does all errands; the status of the worker.
    fn work(&self, me: &Arc<Task>) -> i32 {
        loop {
            if self.errands.is_empty() {
                self.desk.send();
            }
            match block(&mut self.errands.getting().idle(), None) {
                Ok(Ok((number, errand))) => {
                    if let Some(status) = self.run(me, number, errand) {
                        return status;
                    }
                }
                Err(Stop::Interrupted(signal)) => {
                    self.host.note_status(128 + i32::try_from(signal).unwrap_or(0));
                    break;
                }
                Err(Stop::Cancelled) => {}
                Err(Stop::Handler(error)) => self.tell(Raised::of_stop(&error).thrown(rhai::Position::NONE)),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        self.desk.send();
        while let Some(error) = outlast_threads(&self.host) {
            self.tell(error);
        }
        self.tell_posts();
        self.host.tell_unasked();
        self.host.status()
    }

    /// What threads have put into queues and what came of it after they had ended.
    fn tell_posts(&self) {
        let Some(link) = self.host.link() else {
            return;
        };
        let failures = match link.settle() {
            true => link.take_failures().into_iter().map(Answer::late).collect(),
            false => vec![errand::unknown()],
        };
        for map in failures.iter().filter_map(errand::error_in) {
            self.host.note_status(1);
            self.host.say(&report::uncaught(&self.host, &map));
        }
    }

    /// The handler of a signal failed while nothing was being done that could fail with it.
    fn tell(&self, error: Thrown) {
        let map = super::caught::crossing_map(&self.host, error, None);
        self.host.note_status(1);
        self.host.say(&report::uncaught(&self.host, &map));
    }

    /// Does one errand; `Some` when it is the last thing that happens.
    fn run(&self, me: &Arc<Task>, number: u64, errand: Packed) -> Option<i32> {
        {
            let mut current = self.current.lock();
            if let Some(at) = current.given_back.iter().position(|back| *back == number) {
                current.given_back.swap_remove(at);
                return None;
            }
            current.number = Some(number);
            let told = current.cancelled.iter().filter(|cancelled| **cancelled == number).count();
            current.cancelled.retain(|cancelled| *cancelled > number);
            (0..told).for_each(|_| me.cancel());
        }
        self.desk.say(&FromWorker::Began(number));
        let mut performed = errand::perform(&self.host, errand);
        current().abandon_held();
        if let Some(link) = self.host.link() {
            // Whoever hears of the reply can rely on all that was done before.
            let is_known = link.settle();
            match &performed {
                Performed::Reply(answer) if !answer.luggage.handles().is_empty() => {
                    link.lend(number, far::entries(&answer.luggage));
                }
                Performed::Reply(Answer { reply: Reply::Value(_), .. }) if !is_known => {
                    performed = Performed::Reply(errand::unknown());
                }
                _ => {}
            }
            if let (Performed::Reply(Answer { reply: Reply::Value(_), .. }), Some(failure)) =
                (&performed, link.take_failure())
            {
                performed = Performed::Reply(Answer::late(failure));
            }
        }
        {
            let mut current = self.current.lock();
            (current.number, current.done) = (None, number);
            // What was meant for this one must not hit the next.
            while me.take_cancel() {}
        }
        match performed {
            Performed::Reply(answer) => {
                if let Reply::Failed(_) = &answer.reply {
                    let status = status_of(&answer);
                    self.host.note_status(status);
                    if self.host.signals().asked_with().is_some_and(|signal| signal.status() == status) {
                        // What the main process is to hear is that a signal ended this one.
                        self.errands.close();
                        return None;
                    }
                }
                let Answer { reply, luggage } = answer;
                // It goes out with what is said next, which is at once.
                self.desk.note(&FromWorker::Reply(number, reply), luggage.into_descriptors());
                None
            }
            Performed::Exit(status) => Some(status),
            Performed::Over => Some(self.host.status()),
        }
    }
}

/// 1, but for one that was ended by a signal.
fn status_of(answer: &Answer) -> i32 {
    match errand::error_in(answer).map_or(1, |map| report::status_of(&map)) {
        signal if signal > 128 => signal,
        _ => 1,
    }
}
