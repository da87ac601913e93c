//! The broker: serves the calls that processes make with handles that they were given.
//!
//! ```text
//!   process: lock.acquire() ──► far ──► worker::link ══ Ask ══► worker::switchboard ──► broker: the same function, on a fiber
//!                               ◄───────────────────── Told ═══════════════════════◄──  as the task that stands for the caller
//! ```
//!
//! One task serves all processes. A call runs the very function that a thread here would call, so that there is nothing that
//! only processes do; the caller owns, waits and is reported under its own name. When a process ends, however it does, its
//! tasks end here too: what they owned is abandoned, what they waited for is given up, what it was given is dropped.
//!
//! Invariants: what is asked on one line is begun in the order in which it was asked; a call is answered once; nobody hears
//! that a process has ended before all that it asked was done.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rhai::{Array, Dynamic, Map, NativeCallContext, Position};
use serde_bytes::ByteBuf;

use super::caught::caught_value;
use super::decode::decode;
use super::encode::{Way, encode, encode_error};
use super::handles::{self, Kind, identity};
use super::host::{Host, run_in};
use super::lending::{self, Lenders};
use super::luggage::{Luggage, Packed};
use super::number::AS_NUMBER;
use super::parcel::{Parcel, make_content_over};
use super::permits::{Change, Permits};
use super::throw::{Ending, Outcome};
use crate::kernel::fiber::Fibers;
use crate::kernel::task::run_as;
use crate::kernel::{Holder, Kernel, Role, Site, Stop, Task, block, current};
use crate::sync::Queue;
use crate::sync::lock_state::Slab;
use crate::worker::ask::{Answer, Ask, Call, Exported, SharedLock, Spot, Told};
use crate::worker::switchboard::{Line, Switchboard};
use crate::worker::wire::Descriptors;

/// So much is heard from one process before it is another's turn.
const MOST_AT_ONCE: usize = 256;

/// So many queues of a process are looked at for each answer; into more of them things are put as into others.
const MOST_BOUNDLESS: usize = 16;

/// The number of an entry, and the queue.
type Posting = (u64, Weak<Queue<Parcel>>);

/// See the module.
pub struct Broker {
    switchboard: Arc<Switchboard>,
    /// What processes were given, by the numbers of line and entry.
    entries: Mutex<BTreeMap<Key, Dynamic>>,
    /// What belongs to replies, by the numbers of line and errand.
    lent: Mutex<BTreeMap<Key, Vec<Dynamic>>>,
    next: AtomicU64,
    /// The queues into which processes put things without waiting for an answer, and which are not known to be closed there, by
    /// the numbers of lines.
    boundless: Mutex<BTreeMap<u64, Vec<Posting>>>,
    /// Where the states of locks lie that processes have; without it all is done by calls.
    slab: Option<Arc<Slab>>,
}

impl Broker {
    /// Starts the broker of a program.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(host: &Arc<Host>) -> io::Result<Arc<Broker>> {
        let kernel: &Arc<Kernel> = host.kernel();
        let switchboard = Switchboard::new(kernel)?;
        let broker = Arc::new(Broker {
            switchboard,
            entries: Mutex::default(),
            lent: Mutex::default(),
            next: AtomicU64::new(1),
            boundless: Mutex::default(),
            slab: Slab::new().ok(),
        });
        let task = kernel.new_task("broker", Role::Service, true);
        let (host, me) = (host.clone(), broker.clone());
        kernel.start(&task, move || run_in(&host, || Desk::new(&host, &me).serve()))?;
        Ok(broker)
    }

    /// The file in which the states of locks lie.
    pub fn slab(&self) -> Option<&Arc<OwnedFd>> {
        self.slab.as_ref().map(|slab| slab.file())
    }

    /// Where the lines come in.
    pub fn switchboard(&self) -> &Arc<Switchboard> {
        &self.switchboard
    }

    /// Gives handles to a process.
    pub fn export(&self, line: &Line, luggage: &Luggage) -> Vec<Exported> {
        luggage.handles().iter().filter_map(|handle| self.export_one(line, handle.clone())).collect()
    }

    fn export_one(&self, line: &Line, mut value: Dynamic) -> Option<Exported> {
        make_content_over(&mut value, &line.holder());
        let kind = Kind::crossing(&value)?;
        let (object, name) = identity(&value);
        let lock = value.read_lock::<handles::Lock>().and_then(|lock| {
            let place = lock.share(self.slab.as_ref()?)?;
            Some(SharedLock { place, is_reentrant: lock.is_reentrant() })
        });
        let number = value.read_lock::<handles::Value>().and_then(|value| value.share(self.slab.as_ref()?, AS_NUMBER));
        let entry = self.next.fetch_add(1, Ordering::Relaxed);
        let boundless =
            value.read_lock::<handles::Queue>().filter(|queue| queue.takes_all()).map(|queue| queue.0.clone());
        let is_boundless = boundless.is_some_and(|queue| {
            queue.object().share();
            let mut boundless = self.boundless.lock();
            let queues = boundless.entry(line.number()).or_default();
            queues.retain(|(_, queue)| queue.strong_count() > 0);
            let has_room = queues.len() < MOST_BOUNDLESS;
            if has_room {
                queues.push((entry, Arc::downgrade(queue.object())));
            }
            has_room
        });
        self.entries.lock().insert((line.number(), entry), value);
        Some(Exported { entry, kind: kind.name.to_string(), object, name, lock, number, is_boundless })
    }

    /// The handles that a process sends back, by the numbers of their entries.
    fn returned(&self, line: u64, entries: &[u64]) -> Vec<Dynamic> {
        let known = self.entries.lock();
        // One that it does not have is left out, and whoever reads the value says so.
        entries.iter().filter_map(|entry| known.get(&(line, *entry)).cloned()).collect()
    }

    /// The queue that an entry is.
    fn queue(&self, line: u64, entry: u64) -> Option<Arc<Queue<Parcel>>> {
        let known = self.entries.lock();
        Some(known.get(&(line, entry))?.read_lock::<handles::Queue>()?.0.object().clone())
    }

    /// The handles that belong to the reply to errand `errand`.
    pub fn lent(&self, line: &Line, errand: u64) -> Vec<Dynamic> {
        self.lent.lock().remove(&(line.number(), errand)).unwrap_or_default()
    }

    /// A process has ended, and no reply comes any more.
    pub fn forget(&self, line: &Line) {
        let number = line.number();
        let forgotten: Vec<_> = self.lent.lock().extract_if((number, 0)..(number + 1, 0), |_, _| true).collect();
        drop(forgotten);
        line.leave();
    }

    fn drop_entry(&self, line: u64, entry: u64) {
        let dropped = self.entries.lock().remove(&(line, entry));
        // Outside: it may be the last of its object.
        drop(dropped);
    }

    fn drop_all(&self, line: u64) {
        let dropped: Vec<_> = self.entries.lock().extract_if((line, 0)..(line + 1, 0), |_, _| true).collect();
        drop(dropped);
    }
}

/// The number of a line, and of something of that line.
type Key = (u64, u64);

/// A call that was begun.
struct Begun {
    task: Arc<Task>,
    /// The caller's own number.
    number: u64,
    function: String,
    /// Somebody waits for the answer.
    is_awaited: bool,
    /// The permits that it takes or gives back, if that is what it does.
    permits: Option<Change>,
    /// The entry and the queue whose next item it takes, if that is what it does.
    takes: Option<(u64, Arc<Queue<Parcel>>)>,
    is_given_up: bool,
}

/// The calls that are done.
type Finished = Rc<RefCell<Vec<(Key, Option<Outcome<Dynamic>>)>>>;

/// The broker's task.
struct Desk {
    host: Arc<Host>,
    broker: Arc<Broker>,
    fibers: Fibers,
    /// By the numbers of line and task.
    tasks: HashMap<Key, Arc<Task>>,
    /// By the numbers of line and call.
    calls: HashMap<Key, Begun>,
    finished: Finished,
    permits: Permits,
    lenders: Lenders,
    /// The lines that have said more than was heard.
    unheard: Vec<u64>,
}

impl Desk {
    fn new(host: &Arc<Host>, broker: &Arc<Broker>) -> Desk {
        Desk {
            host: host.clone(),
            broker: broker.clone(),
            fibers: Fibers::new(&current()),
            tasks: HashMap::new(),
            calls: HashMap::new(),
            finished: Finished::default(),
            permits: Permits::default(),
            lenders: Lenders::default(),
            unheard: Vec::new(),
        }
    }

    fn serve(mut self) {
        let kernel = self.host.kernel().clone();
        let mut is_busy = false;
        loop {
            let limit = match self.unheard.is_empty() {
                true => self.fibers.next_deadline().map(|deadline| deadline.saturating_sub(kernel.now())),
                false => Some(Duration::ZERO),
            };
            let mut lines = match block(&mut self.broker.switchboard.listening(&self.fibers, is_busy), limit) {
                Ok(lines) => lines,
                Err(Stop::Ended) => break,
                // Its deadline has come, or it was told to stop with all others, and goes on: it ends with the program.
                Err(_) => Vec::new(),
            };
            let unheard = std::mem::take(&mut self.unheard);
            lines.extend(unheard.into_iter().filter(|line| !lines.contains(line)).collect::<Vec<_>>());
            is_busy = !lines.is_empty();
            lines.into_iter().for_each(|line| self.hear(line));
            self.fibers.run_ready(kernel.now());
            self.tell();
        }
    }

    /// Answers what is done.
    fn tell(&mut self) {
        loop {
            let finished = std::mem::take(&mut *self.finished.borrow_mut());
            if finished.is_empty() {
                return;
            }
            for (key, outcome) in finished {
                self.conclude(key, outcome);
            }
        }
    }

    fn hear(&mut self, number: u64) {
        let Some(line) = self.broker.switchboard.line(number) else {
            return;
        };
        self.broker.switchboard.flush(&line);
        for _ in 0..MOST_AT_ONCE {
            let Some(ask) = line.next() else {
                break;
            };
            self.listen_to(&line, ask.message, ask.descriptors);
            // What it did may be what the next one asks about.
            self.tell();
        }
        if line.has_more() {
            self.unheard.push(number);
            return;
        }
        if line.has_ended() {
            self.close(&line);
        }
    }

    fn listen_to(&mut self, line: &Arc<Line>, ask: Ask, descriptors: Descriptors) {
        match ask {
            Ask::Task(number, name) => {
                let task = self.fibers.adopt(self.host.kernel(), &name);
                line.admit(&task);
                let told = Told::Task(number, task.id().0);
                self.broker.switchboard.tell(line, &told, Descriptors::new());
                self.tasks.insert((line.number(), number), task);
            }
            Ask::TaskOver(number) => {
                if let Some(task) = self.tasks.remove(&(line.number(), number)) {
                    // It may have taken a permit for others to give back.
                    self.permits.forget(task.id());
                    self.end(line, &task);
                }
            }
            Ask::TaskKilled(number) => {
                if let Some(task) = self.tasks.remove(&(line.number(), number)) {
                    self.end_killed(line, &task);
                }
            }
            Ask::Call(call) => self.begin(line, call, descriptors, true),
            Ask::Post(call) => self.begin(line, call, descriptors, false),
            Ask::Put { number, task, entry, item, site } => {
                let call = Call {
                    number,
                    task,
                    function: "put".into(),
                    args: item,
                    handles: vec![entry],
                    spot: Spot::default(),
                };
                self.put(line, call, entry, Site::from_bits(site));
            }
            Ask::Stop(number) => {
                if let Some(begun) = self.calls.get_mut(&(line.number(), number)) {
                    begun.is_given_up = true;
                    begun.task.cancel();
                }
            }
            Ask::Quiet(answers) => line.is_quiet_after(answers),
            Ask::Dropped(entry) => {
                self.lenders.forget(line.number(), entry);
                self.broker.drop_entry(line.number(), entry);
            }
            Ask::Settle(number) => self.settled(line, number),
            Ask::Lend(number, errand, entries) => {
                let handles = self.broker.returned(line.number(), &entries);
                self.broker.lent.lock().insert((line.number(), errand), handles);
                self.settled(line, number);
            }
        }
    }

    fn settled(&self, line: &Arc<Line>, number: u64) {
        self.broker.switchboard.tell(line, &Told::Answer(number, Answer::Settled), Descriptors::new());
    }

    fn begin(&mut self, line: &Arc<Line>, call: Call, descriptors: Descriptors, is_awaited: bool) {
        let Some(task) = self.tasks.get(&(line.number(), call.task)).cloned() else {
            return;
        };
        if line.is_new(&call.spot.source) {
            let number = self.host.kernel().source_number(&call.spot.source);
            self.broker.switchboard.tell(line, &Told::Source(call.spot.source.clone(), number), Descriptors::new());
        }
        let luggage = Luggage::with_handles(descriptors, self.broker.returned(line.number(), &call.handles));
        // In the name of the caller, which holds the handles among them.
        let args = run_as(&task, || {
            let mut args = decode(&call.args, &luggage)?;
            make_content_over(&mut args, &Holder::current());
            args.try_cast::<Array>().ok_or_else(|| "they are no arguments".to_string())
        });
        drop(luggage);
        self.run(line, task, call, args, is_awaited);
    }

    /// Puts a plain value into a queue, without the ways of a call where it is taken at once.
    fn put(&mut self, line: &Arc<Line>, put: Call, entry: u64, site: Site) {
        let Some(task) = self.tasks.get(&(line.number(), put.task)).cloned() else {
            return;
        };
        let item = decode(&put.args, &Luggage::default());
        let queue = self.broker.queue(line.number(), entry);
        if let (Ok(item), Some(queue)) = (&item, &queue)
            && queue.takes_all()
            && run_as(&task, || queue.put(Parcel::plain(item.clone()), None)).is_ok()
        {
            return;
        }
        // The call that it stands for fails, and says why.
        let source = self.host.kernel().source(site.source()).to_string();
        let number = |n: u32| u16::try_from(n).unwrap_or(0);
        let spot = Spot { source, line: number(site.line()), column: number(site.column()) };
        let args = item.map(|item| self.broker.returned(line.number(), &[entry]).into_iter().chain([item]).collect());
        self.run(line, task, Call { spot, ..put }, args, false);
    }

    fn run(&mut self, line: &Line, task: Arc<Task>, call: Call, args: Result<Array, String>, is_awaited: bool) {
        let key = (line.number(), call.number);
        let permits = args.as_ref().ok().and_then(|args| Change::by(&call.function, args));
        let takes = args.as_ref().ok().and_then(|args| lending::asked_for(&call, args));
        let begun = Begun {
            task: task.clone(),
            number: call.task,
            function: call.function.clone(),
            is_awaited,
            permits,
            takes,
            is_given_up: false,
        };
        self.calls.insert(key, begun);
        let (host, finished) = (self.host.clone(), self.finished.clone());
        let started = self.fibers.run(&task, move || {
            let body = AssertUnwindSafe(|| invoke(&host, &call, args));
            // What a panic says is told by the hook; the caller is told that there was one.
            let outcome = catch_unwind(body).ok();
            finished.borrow_mut().push((key, outcome));
        });
        if started.is_err() {
            self.finished.borrow_mut().push((key, None));
        }
    }

    fn conclude(&mut self, key: Key, outcome: Option<Outcome<Dynamic>>) {
        let Some(begun) = self.calls.remove(&key) else {
            return;
        };
        // What was meant for this call must not hit the next.
        while begun.task.take_cancel() {}
        if let Some(Ok(value)) = &outcome
            && let Some(change) = begun.permits.or_else(|| Change::by_selecting(&begun.function, value))
        {
            self.permits.note(begun.task.id(), change, value);
        }
        let Some(line) = self.broker.switchboard.line(key.0) else {
            return;
        };
        let (answer, descriptors) = match outcome {
            Some(Ok(value)) => self.answer_with(&line, &value),
            Some(Err(mut error)) => {
                if let Some(Ending::Over) = Ending::of(&error) {
                    return;
                }
                match caught_value(&self.host, &mut error, None).try_cast::<Map>() {
                    Some(map) if begun.is_given_up && is_cancelled(&map) => (Answer::Stopped, Descriptors::new()),
                    Some(map) => failed(map),
                    None => failed(problem("Error", error.to_string())),
                }
            }
            None => failed(problem("Error", "this call failed inside of orch: please report it".into())),
        };
        if let (Some((entry, queue)), Answer::Value(..), Some(slab)) = (&begun.takes, &answer, &self.broker.slab)
            && let Some(lent) = self.lenders.lend(slab, key.0, *entry, queue)
        {
            self.broker.switchboard.tell(&line, &lent, Descriptors::new());
        }
        let told = match answer {
            Answer::Failed(bytes) if !begun.is_awaited => Told::PostFailed(begun.number, bytes),
            _ if !begun.is_awaited => return,
            answer => {
                self.tell_closed(&line);
                Told::Answer(key.1, answer)
            }
        };
        self.broker.switchboard.tell(&line, &told, descriptors);
    }

    /// Whoever has an answer knows which queues were closed before it.
    fn tell_closed(&self, line: &Arc<Line>) {
        let mut boundless = self.broker.boundless.lock();
        let Some(queues) = boundless.get_mut(&line.number()) else {
            return;
        };
        queues.retain(|(entry, queue)| {
            // One that nobody has any more is of no interest.
            let closed = queue.upgrade().map(|queue| queue.is_closed());
            if closed == Some(true) {
                self.broker.switchboard.tell(line, &Told::Closed(*entry), Descriptors::new());
            }
            closed == Some(false)
        });
    }

    fn answer_with(&self, line: &Line, value: &Dynamic) -> (Answer, Descriptors) {
        match encode(value, "the result", Way::Down) {
            Ok(Packed { bytes, luggage }) => {
                let exported = self.broker.export(line, &luggage);
                (Answer::Value(ByteBuf::from(bytes), exported), luggage.into_descriptors())
            }
            Err(refused) => failed(problem("SendError", refused.to_string())),
        }
    }

    /// A task of another process is over.
    fn end(&mut self, line: &Line, task: &Arc<Task>) {
        self.fibers.end_one(task);
        task.end();
        line.dismiss(task.id());
    }

    /// The same, for one that was ended with its process.
    fn end_killed(&mut self, line: &Line, task: &Arc<Task>) {
        // What it has had from further up returns too.
        if let Some(link) = self.host.link() {
            link.is_killed(task.id());
        }
        self.end(line, task);
        self.permits.give_back(task);
    }

    /// A process has ended.
    fn close(&mut self, line: &Arc<Line>) {
        let number = line.number();
        let mut its: Vec<Arc<Task>> = Vec::new();
        self.tasks.retain(|(of, _), task| {
            if *of == number {
                its.push(task.clone());
            }
            *of != number
        });
        // Nobody is left to be answered.
        self.calls.retain(|(of, _), _| *of != number);
        its.iter().for_each(|task| self.end_killed(line, task));
        self.lenders.forget_line(number);
        self.broker.drop_all(number);
        self.broker.boundless.lock().remove(&number);
        self.broker.switchboard.disconnect(line);
    }
}

/// However it is left, nobody waits for it.
impl Drop for Desk {
    fn drop(&mut self) {
        self.fibers.end();
        self.broker.switchboard.disconnect_all();
    }
}

fn is_cancelled(map: &Map) -> bool {
    map.get("kind").is_some_and(|kind| kind.is_string() && kind.to_string() == "Cancelled")
}

fn problem(kind: &str, message: String) -> Map {
    Map::from([("kind".into(), kind.into()), ("message".into(), message.into())])
}

fn failed(map: Map) -> (Answer, Descriptors) {
    let Packed { bytes, luggage } = encode_error(map);
    (Answer::Failed(ByteBuf::from(bytes)), luggage.into_descriptors())
}

/// Calls the function, as a script at the caller's place would.
fn invoke(host: &Arc<Host>, call: &Call, args: Result<Array, String>) -> Outcome<Dynamic> {
    let spot = &call.spot;
    let position = if spot.line == 0 { Position::NONE } else { Position::new(spot.line, spot.column) };
    let mut global = host.engine().new_global_runtime_state();
    global.source = Some(spot.source.as_str().into());
    let source = Some(spot.source.as_str());
    let ctx = NativeCallContext::new_with_all_fields(host.engine(), &call.function, source, &global, position);
    let mut args = match args {
        Ok(args) => args,
        Err(why) => {
            let message = format!("{}(): the arguments cannot be read where they came to: {why}", call.function);
            return super::throw::throw(&ctx, "SendError", message);
        }
    };
    let mut args: Vec<&mut Dynamic> = args.iter_mut().collect();
    ctx.call_native_fn_raw(&call.function, true, &mut args)
}
