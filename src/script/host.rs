//! What the scripts of one program share: the engine, the sources, the output, the arguments.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rhai::{AST, Engine, Module, NativeCallContext, ScriptFuncDef, Shared};

use super::broker::Broker;
use super::done_calls::DoneCalls;
use super::encode::Way;
use super::failure::Failure;
use super::flights::Flights;
use super::identity::Identity;
use super::process::Process;
use super::progress::Bar;
use super::source::Source;
use crate::command::stream::Which;
use crate::kernel::events::Event;
use crate::kernel::{Kernel, Site, Task, with_current};
use crate::signals::Rules;
use crate::worker::link::Link;

/// Where a program's words go. Each call is one whole line, or more.
pub trait Output: Send + Sync {
    /// What the script prints.
    ///
    /// # Errors
    /// Those of the system.
    fn print(&self, text: &str) -> io::Result<()>;

    /// What orch says.
    fn say(&self, text: &str);

    /// Passes on what a command has written.
    ///
    /// # Errors
    /// Those of the system.
    fn pass_on(&self, which: Which, bytes: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(bytes);
        match which {
            Which::Stdout => self.print(&text),
            Which::Stderr => {
                self.say(&text);
                Ok(())
            }
        }
    }

    /// A progress bar, where somebody looks; `total` where it is known.
    fn bar(&self, _label: &str, _total: Option<usize>) -> Option<Box<dyn Bar>> {
        None
    }

    /// Shows a line that the next one takes the place of, where somebody looks; an empty one takes it away.
    fn show_status(&self, _line: &str) {}
}

/// Where the program comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The path of the script from the root, if it came from a file.
    pub script: Option<String>,
    /// The folder in which it was started, from which relative paths of scripts and modules go.
    pub folder: String,
    /// Where modules are looked for that do not lie beside the script that imports them.
    pub path: Vec<String>,
}

/// As far as a worker gets that does not know yet who it is.
pub struct Nobody(Engine);

impl Nobody {
    /// Assembles its engine.
    pub fn prepare() -> Nobody {
        Nobody(super::engine::assemble(true))
    }
}

/// See the module.
pub struct Host {
    kernel: Arc<Kernel>,
    engine: OnceLock<Engine>,
    output: Box<dyn Output>,
    args: Vec<String>,
    signals: Arc<Rules>,
    sources: Mutex<BTreeMap<String, Arc<Source>>>,
    /// The functions of all scripts, with the numbers of parameters they take.
    functions: Mutex<BTreeMap<String, Vec<usize>>>,
    /// The closures of all scripts, by the names that Rhai gives them.
    closures: Mutex<BTreeMap<String, Arc<ScriptFuncDef>>>,
    /// The functions of each script, for those that are called by their names in another process.
    libraries: Mutex<BTreeMap<String, Shared<Module>>>,
    /// In a worker: the sources that the main process has sent, which count instead of what lies on the disk.
    given: Mutex<BTreeSet<String>>,
    /// Who this process is, where it is not the first.
    identity: OnceLock<Identity>,
    /// Where the program comes from.
    origin: OnceLock<Origin>,
    /// The processes that were started here.
    children: Mutex<Vec<Weak<Process>>>,
    /// Callbacks on futures of other processes.
    done_calls: DoneCalls,
    /// Handles on their way through pipes.
    flights: OnceLock<Arc<Flights>>,
    /// Constants that did not cross to a process, with what they hold.
    absent: Mutex<BTreeMap<String, String>>,
    /// Failures that nobody has asked about yet.
    unasked: Mutex<Vec<Weak<Failure>>>,
    /// The worst that became of a failure nobody asked about.
    status: AtomicI32,
    /// Serves the processes that have handles of this one.
    broker: Mutex<Option<Arc<Broker>>>,
    /// In a worker: the way to the process that its handles come from.
    link: OnceLock<Arc<Link>>,
}

impl Host {
    /// This constant of the main process did not cross, since it holds this.
    pub fn is_absent(&self, constant: String, what: String) {
        self.absent.lock().insert(constant, what);
    }

    /// What a constant holds that did not cross, by its name as Rhai says it.
    pub fn why_absent(&self, name: &str) -> Option<String> {
        self.absent.lock().get(name.strip_prefix("global::")?).cloned()
    }

    /// A host for scripts in `kernel`.
    pub fn new(kernel: Arc<Kernel>, output: Box<dyn Output>, args: Vec<String>) -> Arc<Host> {
        Self::with_engine(kernel, output, args, super::engine::assemble(false))
    }

    /// A host in a worker.
    pub fn of_worker(kernel: Arc<Kernel>, output: Box<dyn Output>, args: Vec<String>, nobody: Nobody) -> Arc<Host> {
        Self::with_engine(kernel, output, args, nobody.0)
    }

    fn with_engine(kernel: Arc<Kernel>, output: Box<dyn Output>, args: Vec<String>, engine: Engine) -> Arc<Host> {
        let host = Arc::new(Host {
            signals: Rules::new(&kernel),
            flights: OnceLock::new(),
            kernel,
            engine: OnceLock::new(),
            output,
            args,
            sources: Mutex::default(),
            functions: Mutex::default(),
            closures: Mutex::default(),
            libraries: Mutex::default(),
            given: Mutex::default(),
            identity: OnceLock::new(),
            origin: OnceLock::new(),
            children: Mutex::default(),
            done_calls: DoneCalls::default(),
            absent: Mutex::default(),
            unasked: Mutex::default(),
            status: AtomicI32::new(0),
            broker: Mutex::default(),
            link: OnceLock::new(),
        });
        host.engine.get_or_init(|| engine);
        host
    }

    /// Who serves the processes that have handles of this one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn broker(self: &Arc<Self>) -> io::Result<Arc<Broker>> {
        let mut broker = self.broker.lock();
        match &*broker {
            Some(broker) => Ok(broker.clone()),
            None => Ok(broker.insert(Broker::start(self)?).clone()),
        }
    }

    /// In a worker that was given a handle: the way to the process that it came from.
    pub fn link(&self) -> Option<&Arc<Link>> {
        self.link.get()
    }

    /// Says which way handles come.
    pub fn set_link(&self, link: Arc<Link>) {
        // The first word counts.
        let _already_set = self.link.set(link);
    }

    /// The way from a process to the one that started it.
    pub fn way_back(&self) -> Way<'_> {
        match self.kernel.is_sim() {
            true => Way::UpFrom(with_current(|task| task.process())),
            false => Way::Up(self.link()),
        }
    }

    /// The program.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// What is to become of signals.
    pub fn signals(&self) -> &Arc<Rules> {
        &self.signals
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.engine.get().expect("invariant: set when the host is made")
    }

    /// The script's arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Says who this process is, if it is not the first.
    pub fn is(&self, identity: Identity) {
        self.identity.get_or_init(|| identity);
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        self.identity.get().unwrap_or(Identity::first())
    }

    /// Says where the program comes from.
    pub fn comes_from(&self, origin: Origin) {
        self.origin.get_or_init(|| origin);
    }

    /// Where the program comes from.
    pub fn origin(&self) -> &Origin {
        self.origin.get_or_init(Origin::default)
    }

    /// A process was started here.
    pub fn add_child(&self, process: &Arc<Process>) {
        let mut children = self.children.lock();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(process));
    }

    /// The processes that were started here and that somebody still holds.
    pub fn children(&self) -> Vec<Arc<Process>> {
        self.children.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Callbacks on futures of other processes.
    pub fn done_calls(&self) -> &DoneCalls {
        &self.done_calls
    }

    /// Handles on their way through pipes.
    pub fn flights(&self) -> &Arc<Flights> {
        self.flights.get_or_init(|| Flights::new(&self.kernel))
    }

    /// Prints for the script.
    ///
    /// # Errors
    /// Those of the system.
    pub fn print(&self, text: &str) -> io::Result<()> {
        self.output.print(text)
    }

    /// Says something to the person at the terminal.
    pub fn say(&self, text: &str) {
        let kernel: &Kernel = &self.kernel;
        kernel.events().emit(|| {
            let task = None;
            Event::Noted { kernel, task, what: "orch says", text }
        });
        self.output.say(text);
    }

    /// Passes on what a command has written.
    ///
    /// # Errors
    /// Those of the system.
    pub fn pass_on(&self, which: Which, bytes: &[u8]) -> io::Result<()> {
        self.output.pass_on(which, bytes)
    }

    /// A progress bar, where somebody looks.
    pub fn bar(&self, label: &str, total: Option<usize>) -> Option<Box<dyn Bar>> {
        self.output.bar(label, total)
    }

    /// Shows a line that the next one takes the place of, where somebody looks; an empty one takes it away.
    pub fn show_status(&self, line: &str) {
        self.output.show_status(line);
    }

    /// Remembers a source under its name, for reports.
    pub fn add_source(&self, name: &str, source: Arc<Source>) {
        self.sources.lock().insert(name.to_string(), source);
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources.lock().get(name).cloned()
    }

    /// The names of all sources.
    pub fn source_names(&self) -> Vec<String> {
        self.sources.lock().keys().cloned().collect()
    }

    /// The source of this name will come, or has come, from the main process.
    pub fn is_given(&self, name: &str) {
        self.given.lock().insert(name.to_string());
    }

    /// The source of this name, if it came from the main process.
    pub fn given(&self, name: &str) -> Option<Arc<Source>> {
        if self.given.lock().contains(name) { self.source(name) } else { None }
    }

    /// The closure that Rhai calls so.
    pub fn closure(&self, name: &str) -> Option<Arc<ScriptFuncDef>> {
        self.closures.lock().get(name).cloned()
    }

    /// The functions of the script of this name.
    pub fn library(&self, source: &str) -> Option<Shared<Module>> {
        self.libraries.lock().get(source).cloned()
    }

    /// Remembers which functions a script defines, for reports and for other processes.
    pub fn add_functions(&self, ast: &AST) {
        let library = ast.shared_lib();
        let mut closures = self.closures.lock();
        for (_, _, name, _, definition) in library.iter_script_fn_info().filter(|(_, _, name, ..)| name.contains('$')) {
            closures.insert(name.to_string(), definition.clone());
        }
        drop(closures);
        if let Some(source) = ast.source() {
            self.libraries.lock().insert(source.to_string(), library.clone());
        }
        let mut functions = self.functions.lock();
        for function in ast.iter_functions() {
            super::direct::is_defined(function.name);
            functions.entry(function.name.to_string()).or_default().push(function.params.len());
        }
    }

    /// How many arguments a script's function of this name takes.
    pub fn script_function(&self, name: &str) -> Option<Vec<usize>> {
        self.functions.lock().get(name).cloned()
    }

    /// The names of all functions of scripts.
    pub fn script_function_names(&self) -> Vec<String> {
        self.functions.lock().keys().filter(|name| !name.contains('$')).cloned().collect()
    }

    /// Keeps an eye on a failure until somebody asks about it.
    pub fn watch(&self, failure: &Arc<Failure>) {
        let mut unasked = self.unasked.lock();
        unasked.retain(|f| f.strong_count() > 0);
        unasked.push(Arc::downgrade(failure));
    }

    /// Tells of all failures that nobody has asked about. To be called when the program is over.
    pub fn tell_unasked(&self) {
        let unasked = std::mem::take(&mut *self.unasked.lock());
        unasked.iter().filter_map(Weak::upgrade).for_each(|f| f.tell());
    }

    /// Notes a status that the program should end with; the higher one counts.
    pub fn note_status(&self, status: i32) {
        self.status.fetch_max(status, Ordering::AcqRel);
    }

    /// Forgets the status noted so far: whoever had to be told was.
    pub fn forget_status(&self) {
        self.status.store(0, Ordering::Release);
    }

    /// The status noted so far.
    pub fn status(&self) -> i32 {
        self.status.load(Ordering::Acquire)
    }

    /// The place of a call in the script.
    pub fn site(&self, ctx: &NativeCallContext) -> Site {
        self.site_at(ctx.call_source(), ctx.call_position())
    }

    /// A place in a script.
    pub fn site_at(&self, source: Option<&str>, position: rhai::Position) -> Site {
        let Some(line) = position.line() else {
            return Site::NONE;
        };
        let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), position.position().unwrap_or(0));
        Site::new(self.source_number(source.unwrap_or("")), line, u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The number of a source; nearly always the one asked for last in this thread.
    fn source_number(&self, source: &str) -> u16 {
        let key = (source.as_ptr() as usize, source.len());
        LAST_SOURCE.with(|last| {
            let (seen, number) = last.get();
            if seen == key {
                return number;
            }
            let number = self.kernel.source_number(source);
            last.set((key, number));
            number
        })
    }
}

thread_local! {
    static HOST: RefCell<Option<Arc<Host>>> = const { RefCell::new(None) };
    static LAST_SOURCE: Cell<((usize, usize), u16)> = const { Cell::new(((0, 0), 0)) };
}

/// Makes `host` the host of this OS thread while `body` runs.
pub fn run_in<R>(host: &Arc<Host>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<Host>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let previous = self.0.take();
            HOST.with(|h| *h.borrow_mut() = previous);
        }
    }
    LAST_SOURCE.set(((0, 0), 0));
    let previous = HOST.with(|h| h.borrow_mut().replace(host.clone()));
    let _restore = Restore(previous);
    body()
}

/// The host of the script that runs on this thread.
///
/// # Panics
/// Where no script runs.
pub fn host() -> Arc<Host> {
    HOST.with(|h| h.borrow().clone()).expect("invariant: scripts run within a host")
}

/// Calls `f` with the host without counting a reference.
///
/// # Panics
/// As [`host`].
pub fn with_host<R>(f: impl FnOnce(&Arc<Host>) -> R) -> R {
    HOST.with(|h| f(h.borrow().as_ref().expect("invariant: scripts run within a host")))
}

/// Notes that the current task is at this call.
#[inline]
pub fn mark(ctx: &NativeCallContext) {
    let site = with_host(|host| host.site(ctx));
    with_current(|task: &Arc<Task>| task.set_site(site));
}
