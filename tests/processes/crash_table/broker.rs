//! Every message between a process and the broker, times everything that can happen to the process while it is on its way. The
//! process is played by this test, at the other end of the socket, so that each byte comes when it is wanted, and so that all
//! cells run within one program. That a process is killed is, for the broker, that its socket is closed; that it is stopped, that
//! nothing more comes and nothing is read.
//!
//! In each cell: what was said as a whole is done, what was not has changed nothing, and when the line is over (not a moment
//! later) all that the process had is given back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use orch::kernel::{Kernel, Setup, Waitable, block, sleep};
use orch::script::broker::Broker;
use orch::script::encode::{write as write_value, write_array};
use orch::script::handles;
use orch::script::host::run_in;
use orch::script::luggage::Luggage;
use orch::script::parcel::Parcel;
use orch::script::{Host, Output};
use orch::sync::{Event, Fault as SyncFault, Lock, Order, Queue, Semaphore};
use orch::worker::ask::{Answer, Ask, Call, Spot, Told};
use orch::worker::switchboard::Line;
use orch::worker::wire::{Frames, write};
use rhai::Dynamic;
use serde_bytes::ByteBuf;

/// Nothing takes so long, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What a process says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message {
    Task,
    TaskOver,
    TaskKilled,
    /// A call that takes a lock.
    Acquire,
    /// A call that takes an item that is there.
    Get,
    /// A call that waits for an item.
    Wait,
    /// A call that takes a permit.
    Permit,
    /// A call that takes the first of several things: a permit.
    Select,
    /// A call that waits until there is an item, and takes nothing.
    Look,
    Post,
    Put,
    /// Gives up a call that waits.
    Stop,
    Quiet,
    Dropped,
    Settle,
    Lend,
}

const MESSAGES: [Message; 16] = [
    Message::Task,
    Message::TaskOver,
    Message::TaskKilled,
    Message::Acquire,
    Message::Get,
    Message::Wait,
    Message::Permit,
    Message::Select,
    Message::Look,
    Message::Post,
    Message::Put,
    Message::Stop,
    Message::Quiet,
    Message::Dropped,
    Message::Settle,
    Message::Lend,
];

/// What happens to the process.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Killed before it says it.
    KilledBefore,
    /// Killed when the first byte, half, or all but the last byte of it was written.
    KilledWithin(Part),
    /// Killed when it was written, without having read anything.
    KilledAfter,
    /// Killed when it was done and half of the answer was read.
    KilledInAnswer,
    /// Stopped in the middle of it, while others go on; then it goes on, and ends.
    StoppedWithin,
    /// Stopped after it, with more and more that it is told and does not read; then killed.
    StoppedAfter,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    First,
    Half,
    AllButLast,
}

const FAULTS: [Fault; 8] = [
    Fault::KilledBefore,
    Fault::KilledWithin(Part::First),
    Fault::KilledWithin(Part::Half),
    Fault::KilledWithin(Part::AllButLast),
    Fault::KilledAfter,
    Fault::KilledInAnswer,
    Fault::StoppedWithin,
    Fault::StoppedAfter,
];

/// The number of the only task of a process, of the call that a cell is about, and of one before it.
const TASK: u64 = 1;
const NUMBER: u64 = 5;
const EARLIER: u64 = 4;
const ERRAND: u64 = 9;

/// The objects of a cell, which live here.
struct Objects {
    lock: Arc<Lock>,
    queue: Arc<Queue<Parcel>>,
    permits: Arc<Semaphore>,
    spare: Arc<Event>,
}

/// A process, as the broker sees it.
struct Process {
    broker: Arc<Broker>,
    line: Arc<Line>,
    socket: UnixStream,
    frames: Frames,
    name: String,
    /// The values that it was given, and their entries.
    handles: Vec<Dynamic>,
    entries: Vec<u64>,
}

impl Objects {
    fn new() -> Objects {
        Objects {
            lock: Lock::new(),
            queue: Queue::new("Queue", Order::Fifo, None),
            permits: Semaphore::bounded(1),
            spare: Event::new(),
        }
    }

    fn handles(&self) -> Vec<Dynamic> {
        vec![
            Dynamic::from(handles::Lock::of(self.lock.clone())),
            Dynamic::from(handles::Queue::of(self.queue.clone())),
            Dynamic::from(handles::Semaphore::of(self.permits.clone())),
            Dynamic::from(handles::Event::of(self.spare.clone())),
        ]
    }

    /// How many holders there are.
    fn held(&self) -> usize {
        let cores = [self.lock.core(), self.queue.core(), self.permits.core(), self.spare.core()];
        cores.iter().map(|core| core.holder_count()).sum()
    }
}

impl Process {
    fn new(broker: &Arc<Broker>, name: &str, objects: &Objects) -> Process {
        let (line, theirs) = broker.switchboard().connect(name).unwrap();
        let handles = objects.handles();
        let mut luggage = Luggage::default();
        handles.iter().for_each(|handle| _ = luggage.add_handle(handle.clone()));
        let entries = broker.export(&line, &luggage).iter().map(|exported| exported.entry).collect();
        let socket = UnixStream::from(theirs);
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let (frames, name) = (Frames::default(), name.to_string());
        Process { broker: broker.clone(), line, socket, frames, name, handles, entries }
    }

    fn say(&mut self, ask: &Ask) {
        self.socket.write_all(&bytes_of(ask)).unwrap();
    }

    /// A call of `function` on the handle of this place.
    fn call(&self, number: u64, function: &str, of: usize, more: &[Dynamic]) -> Call {
        let args: Vec<Dynamic> = [&self.handles[of..=of], more].concat();
        self.calls(number, function, &args, vec![self.entries[of]])
    }

    fn calls(&self, number: u64, function: &str, args: &[Dynamic], handles: Vec<u64>) -> Call {
        let args = ByteBuf::from(write_array(args, &mut Luggage::default()).unwrap());
        Call { number, task: TASK, function: function.into(), args, handles, spot: Spot::default() }
    }

    /// What is said next on its socket.
    fn hear(&mut self) -> Told {
        loop {
            if let Some(letter) = self.frames.take::<Told>().unwrap() {
                return letter.message;
            }
            let mut piece = [0; 4096];
            let count = self.socket.read(&mut piece).expect("an answer comes in time");
            assert!(count > 0, "{}: nobody answers any more", self.name);
            self.frames.push(&piece[..count]);
        }
    }

    /// Hears the answer to this call.
    fn answer(&mut self, number: u64) -> Answer {
        loop {
            if let Told::Answer(of, answer) = self.hear()
                && of == number
            {
                return answer;
            }
        }
    }

    /// Says it and waits until it is done.
    fn settle(&mut self, number: u64) {
        self.say(&Ask::Settle(number));
        assert_eq!(self.answer(number), Answer::Settled);
    }

    /// It is killed: its number, once its line is over.
    fn die(self) -> Arc<Line> {
        let Process { broker, line, socket, .. } = self;
        drop(socket);
        block(&mut line.over().waiting(), Some(LIMIT)).expect("the line is over in time");
        assert!(broker.switchboard().line(line.number()).is_none());
        line
    }
}

fn bytes_of(ask: &Ask) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, ask, 0).unwrap();
    bytes
}

fn item(number: i64) -> Dynamic {
    number.into()
}

impl Message {
    /// What comes before it, whole and answered.
    fn prepare(self, process: &mut Process, objects: &Objects) {
        process.say(&Ask::Task(TASK, process.name.clone()));
        let before = match self {
            Message::TaskOver => Some(process.call(EARLIER, "acquire", 0, &[])),
            Message::TaskKilled => Some(process.call(EARLIER, "acquire", 2, &[])),
            Message::Stop => Some(process.call(NUMBER, "get", 1, &[])),
            _ => None,
        };
        if self == Message::Get {
            objects.queue.put(Parcel::plain(item(7)), None).unwrap();
        }
        before.into_iter().for_each(|call| process.say(&Ask::Call(call)));
        process.settle(3);
        if matches!(self, Message::TaskOver | Message::TaskKilled) {
            eventually(|| objects.lock.locked() || objects.permits.value() == 0);
        }
    }

    fn ask(self, process: &Process) -> Ask {
        let entry = process.entries[1];
        match self {
            Message::Task => Ask::Task(TASK + 1, format!("{} too", process.name)),
            Message::TaskOver => Ask::TaskOver(TASK),
            Message::TaskKilled => Ask::TaskKilled(TASK),
            Message::Acquire => Ask::Call(process.call(NUMBER, "acquire", 0, &[])),
            Message::Get | Message::Wait => Ask::Call(process.call(NUMBER, "get", 1, &[])),
            Message::Permit => Ask::Call(process.call(NUMBER, "acquire", 2, &[])),
            Message::Select => {
                let sources = Dynamic::from(vec![process.handles[1].clone(), process.handles[2].clone()]);
                Ask::Call(process.calls(NUMBER, "select", &[sources], process.entries[1..3].to_vec()))
            }
            Message::Look => {
                let args = [Dynamic::from(vec![process.handles[1].clone()]), Dynamic::UNIT];
                Ask::Call(process.calls(NUMBER, "__await_ready", &args, vec![entry]))
            }
            Message::Post => Ask::Post(process.call(NUMBER, "put", 1, &[Dynamic::from(vec![item(8)])])),
            Message::Put => {
                let value = ByteBuf::from(write_value(&item(8), &mut Luggage::default()).unwrap());
                Ask::Put { number: NUMBER, task: TASK, entry, item: value, site: 0 }
            }
            Message::Stop => Ask::Stop(NUMBER),
            Message::Quiet => Ask::Quiet(1),
            Message::Dropped => Ask::Dropped(process.entries[3]),
            Message::Settle => Ask::Settle(NUMBER),
            Message::Lend => Ask::Lend(NUMBER, ERRAND, vec![process.entries[3]]),
        }
    }

    /// True when somebody waits for an answer, which comes at once.
    fn is_answered(self) -> bool {
        !matches!(
            self,
            Message::Task
                | Message::TaskOver
                | Message::TaskKilled
                | Message::Wait
                | Message::Look
                | Message::Post
                | Message::Put
                | Message::Quiet
                | Message::Dropped
        )
    }

    /// Whether it can be seen that it was done, while the process lives; `None` when it cannot be seen.
    fn is_done(self, process: &Process, objects: &Objects, held: usize, kernel: &Kernel) -> Option<bool> {
        let waits = || objects.queue.state().contains("waiting");
        match self {
            Message::Task => Some(kernel.tasks().iter().any(|task| *task.name() == *format!("{} too", process.name))),
            Message::TaskOver => Some(!objects.lock.locked()),
            Message::TaskKilled => Some(objects.permits.value() == 1),
            Message::Acquire => Some(objects.lock.locked()),
            Message::Get => Some(objects.queue.is_empty()),
            Message::Wait | Message::Look => Some(waits()),
            Message::Permit | Message::Select => Some(objects.permits.value() == 0),
            Message::Post | Message::Put => Some(objects.queue.len() == 1),
            Message::Stop => Some(!waits()),
            Message::Dropped => Some(objects.held() < held),
            Message::Quiet | Message::Settle | Message::Lend => None,
        }
    }

    /// What is wrong with what is left, after the end of a process that has said it as a whole, or not.
    fn left(self, was_said: bool, objects: &Objects, line: &Arc<Line>, broker: &Broker) -> Result<(), String> {
        let lent = broker.lent(line, ERRAND).len();
        let wanted = usize::from(self == Message::Lend && was_said);
        let expect = |what: &str, is: String, wanted: &str| match is == wanted {
            true => Ok(()),
            false => Err(format!("{what}: {is}, wanted {wanted}")),
        };
        expect("handles of the reply", lent.to_string(), &wanted.to_string())?;
        // Nothing is waited for by anybody.
        let items = match self {
            Message::Get => usize::from(!was_said),
            Message::Post | Message::Put => usize::from(was_said),
            _ => 0,
        };
        expect("queue", objects.queue.state(), &format!("{items} item{}", if items == 1 { "" } else { "s" }))?;
        expect("permits", objects.permits.state(), "1 free, 0 waiting")?;
        let lost = self == Message::TaskOver || (self == Message::Acquire && was_said);
        let taken = match objects.lock.try_acquire() {
            Ok(taken) => taken.to_string(),
            Err(SyncFault::Abandoned(_)) => "abandoned".into(),
            Err(fault) => fault.to_string(),
        };
        expect("lock", taken, if lost { "abandoned" } else { "true" })?;
        objects.lock.release().map_err(|fault| fault.to_string())?;
        // What comes later comes to who is there.
        objects.queue.put(Parcel::plain(item(1)), None).map_err(|fault| fault.to_string())?;
        expect("items then", objects.queue.len().to_string(), &(items + 1).to_string())
    }
}

fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..LIMIT.as_millis() {
        if is_so() {
            return true;
        }
        sleep(Some(Duration::from_millis(1))).unwrap();
    }
    false
}

/// Others are served meanwhile, and take what is free.
fn others_go_on(other: &mut Process, objects: &Objects) -> Result<(), String> {
    other.settle(1);
    match objects.spare.wait(Some(Duration::from_millis(1))) {
        Ok(false) => Ok(()),
        _ => Err("a wait with a limit did not end so".into()),
    }
}

fn cell(
    kernel: &Kernel,
    broker: &Arc<Broker>,
    other: &mut Process,
    message: Message,
    fault: Fault,
) -> Result<(), String> {
    let objects = Objects::new();
    let nobody = objects.held();
    let mut process = Process::new(broker, &format!("{message:?} {fault:?}"), &objects);
    message.prepare(&mut process, &objects);
    let held = objects.held();
    let bytes = bytes_of(&message.ask(&process));
    let write = |process: &mut Process, bytes: &[u8]| process.socket.write_all(bytes).map_err(|e| e.to_string());
    let done = |process: &Process| message.is_done(process, &objects, held, kernel);
    let was_said = match fault {
        Fault::KilledBefore => false,
        Fault::KilledWithin(part) => {
            let length = match part {
                Part::First => 1,
                Part::Half => bytes.len() / 2,
                Part::AllButLast => bytes.len() - 1,
            };
            write(&mut process, &bytes[..length])?;
            false
        }
        Fault::KilledAfter => {
            write(&mut process, &bytes)?;
            true
        }
        Fault::KilledInAnswer => {
            write(&mut process, &bytes)?;
            if message.is_answered() {
                // The beginning of what comes, which is part of a message.
                process.socket.read_exact(&mut [0; 9]).map_err(|error| format!("no answer: {error}"))?;
            } else if !eventually(|| done(&process) != Some(false)) {
                return Err("it was not done".into());
            }
            true
        }
        Fault::StoppedWithin => {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            write(&mut process, first)?;
            others_go_on(other, &objects)?;
            if done(&process) == Some(true) {
                return Err("it was done when only half of it was said".into());
            }
            write(&mut process, second)?;
            if !eventually(|| done(&process) != Some(false)) {
                return Err("it was not done when the rest came".into());
            }
            if message.is_answered() {
                process.answer(NUMBER);
            }
            true
        }
        Fault::StoppedAfter => {
            write(&mut process, &bytes)?;
            (100..400).for_each(|number| process.say(&Ask::Settle(number)));
            others_go_on(other, &objects)?;
            if !eventually(|| done(&process) != Some(false)) {
                return Err("it was not done".into());
            }
            true
        }
    };
    let name = process.name.clone();
    let line = process.die();
    // A process whose reply will not come any more.
    let left = message.left(was_said, &objects, &line, broker);
    broker.forget(&line);
    drop(line);
    left?;
    let tasks = kernel.tasks().iter().filter(|task| task.name().starts_with(&name)).count();
    match (tasks, objects.held()) {
        (0, held) if held == nobody => Ok(()),
        (tasks, held) => Err(format!("{tasks} tasks are left, and {held} holders of {nobody}")),
    }
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum News {
    Answer,
    Task,
    Source,
    PostFailed,
    Closed,
    Lent,
}

const NEWS: [News; 6] = [News::Answer, News::Task, News::Source, News::PostFailed, News::Closed, News::Lent];

impl News {
    /// What leads to it.
    fn cause(self, process: &mut Process, objects: &Objects) {
        process.say(&Ask::Task(TASK, process.name.clone()));
        for number in 1..7 {
            objects.queue.put(Parcel::plain(item(number)), None).unwrap();
        }
        if matches!(self, News::PostFailed | News::Closed) {
            objects.queue.close();
        }
        let mut call = process.call(NUMBER, if self == News::Lent { "get" } else { "qsize" }, 1, &[]);
        if self == News::Source {
            call.spot.source = format!("{}.rhai", process.name);
        }
        match self {
            News::Task => {}
            News::PostFailed => process.say(&Ask::Post(process.call(NUMBER, "put", 1, &[item(9)]))),
            _ => process.say(&Ask::Call(call)),
        }
    }

    fn is(self, told: &Told) -> bool {
        match told {
            Told::Answer(..) => self == News::Answer,
            Told::Task(..) => self == News::Task,
            Told::Source(..) => self == News::Source,
            Told::PostFailed(..) => self == News::PostFailed,
            Told::Closed(_) => self == News::Closed,
            Told::Lent { .. } => self == News::Lent,
        }
    }
}

/// A process is killed when it has read so many bytes of what it is told; all that comes up to this message without a number. How
/// many there were.
fn reading(broker: &Arc<Broker>, news: News, count: Option<usize>) -> Result<usize, String> {
    let objects = Objects::new();
    let mut process = Process::new(broker, &format!("told {news:?} {count:?}"), &objects);
    news.cause(&mut process, &objects);
    let mut read = 0;
    match count {
        Some(count) => {
            process.socket.read_exact(&mut vec![0; count]).map_err(|error| format!("not so much came: {error}"))?;
        }
        None => loop {
            let mut byte = [0];
            process.socket.read_exact(&mut byte).map_err(|error| format!("it was not told: {error}"))?;
            read += 1;
            process.frames.push(&byte);
            if let Ok(Some(letter)) = process.frames.take::<Told>()
                && news.is(&letter.message)
            {
                break;
            }
        },
    }
    let line = process.die();
    broker.forget(&line);
    // What was lent to it and not taken is here, in order.
    let mut rest = Vec::new();
    while let Ok(parcel) = objects.queue.try_get() {
        rest.push(parcel.unpack().as_int().unwrap_or(0));
    }
    let wanted: Vec<i64> = if news == News::Lent { (2..7).collect() } else { (1..7).collect() };
    if rest == wanted { Ok(read) } else { Err(format!("left: {rest:?}")) }
}

struct Nowhere;

impl Output for Nowhere {
    fn print(&self, _text: &str) -> std::io::Result<()> {
        Ok(())
    }

    fn say(&self, _text: &str) {}
}

#[test]
fn every_message_of_a_process_and_every_fault() {
    let kernel = Kernel::new(Setup::Real);
    let host = Host::new(kernel.clone(), Box::new(Nowhere), Vec::new());
    let failed: Vec<String> = kernel.run_here("main", || {
        run_in(&host, || {
            let broker = host.broker().unwrap();
            let objects = Objects::new();
            let mut other = Process::new(&broker, "other", &objects);
            let mut failed = Vec::new();
            for message in MESSAGES {
                for fault in FAULTS {
                    if let Err(why) = cell(&kernel, &broker, &mut other, message, fault) {
                        failed.push(format!("{message:?} x {fault:?}: {why}"));
                    }
                }
            }
            failed
        })
    });
    let cells = MESSAGES.len() * FAULTS.len();
    assert!(failed.is_empty(), "{} of {cells} cells:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_message_to_a_process_that_is_killed_while_it_reads() {
    let kernel = Kernel::new(Setup::Real);
    let host = Host::new(kernel.clone(), Box::new(Nowhere), Vec::new());
    let failed: Vec<String> = kernel.run_here("main", || {
        run_in(&host, || {
            let broker = host.broker().unwrap();
            let mut failed = Vec::new();
            for news in NEWS {
                let whole = match reading(&broker, news, None) {
                    Ok(count) => count,
                    Err(why) => {
                        failed.push(format!("{news:?}: {why}"));
                        continue;
                    }
                };
                for count in [0, 1, whole / 2, whole - 1] {
                    if let Err(why) = reading(&broker, news, Some(count)) {
                        failed.push(format!("{news:?}, {count} of {whole} bytes: {why}"));
                    }
                }
            }
            failed
        })
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
