//! A function with its arguments, on its way to a process, and what became of it on the way back.
//!
//! A function is sent by its name, with what it captured and with its surroundings by their names: the scripts whose
//! functions it can call, the modules that they imported, their constants. The process has the sources of all of them. Under
//! simulated time the same bytes are made and read, so that the same things can cross.

use std::sync::{Arc, RwLock};

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map, NativeCallContext, Position};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::calls::Calls;
use super::caught::birth_frame;
use super::decode::{decode, decode_arrays};
use super::done::Done;
use super::encode::{self, Inspection, Refused, Way, encode, encode_error};
use super::failure::Failure;
use super::function::Callable;
use super::host::{Host, run_in};
use super::luggage::{Luggage, Packed};
use super::parcel::{Parcel, is_plain};
use super::series::Series;
use super::tasks::{self, Job};
use super::throw::{Ending, Outcome, Problem, Thrown};
use crate::exec;
use crate::kernel::{Holder, current};
use crate::worker::memory;
use crate::worker::wire::{Letter, Reply};

/// See the module.
#[derive(Serialize, Deserialize)]
struct Form {
    source: Option<String>,
    line: usize,
    column: usize,
    /// Scripts whose functions can be called, the nearest last.
    libraries: Vec<String>,
    /// Modules by the names under which they were imported.
    imports: Vec<(String, String)>,
    constants: ByteBuf,
    /// Constants that cannot cross, with what they hold.
    absent: Vec<(String, String)>,
    /// The function, and `this` or nothing.
    call: ByteBuf,
    args: ByteBuf,
    /// The arguments are those of many calls; the result is the array of the results.
    each: Option<Each>,
    /// What it returns is not asked for, and need not cross.
    quiet: bool,
}

/// What the arguments of many calls are.
#[derive(Serialize, Deserialize, Clone, Copy)]
enum Each {
    /// One of each call.
    Ones,
    /// A list of each call.
    Lists,
}

/// What is to be done with a job.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Once,
    Quietly,
}

/// The arguments on their way: of one call, or of one call each.
enum Given<'a> {
    Once(&'a [Dynamic]),
    Each(&'a Calls),
}

/// What has arrived.
enum Work {
    Once(Job, Manner),
    Each(Callable, Calls),
}

/// A job on its way to another process, once `inspection` finds nothing that cannot cross.
///
/// # Errors
/// `SendError`.
pub fn pack(ctx: &NativeCallContext, job: &Job, inspection: Inspection) -> Outcome<Packed> {
    pack_job(ctx, job, Manner::Once, inspection)
}

/// The same for a job that several processes do: nothing can move there.
///
/// # Errors
/// `SendError`.
pub fn pack_for_all(ctx: &NativeCallContext, job: &Job) -> Outcome<Packed> {
    let mut inspection = Inspection::of(Way::Down);
    inspection.copies_only(true);
    pack_job(ctx, job, Manner::Quietly, inspection)
}

fn pack_job(ctx: &NativeCallContext, job: &Job, manner: Manner, inspection: Inspection) -> Outcome<Packed> {
    pack_calls(ctx, &job.function, job.this.clone(), &Given::Once(&job.args), manner, inspection)
}

/// The same for many calls of a function.
///
/// # Errors
/// `SendError`.
pub fn pack_each(
    ctx: &NativeCallContext,
    function: &Callable,
    calls: &Calls,
    inspection: Inspection,
) -> Outcome<Packed> {
    pack_calls(ctx, function, None, &Given::Each(calls), Manner::Once, inspection)
}

fn send_error(ctx: &NativeCallContext, refused: Refused) -> Thrown {
    Problem::new(ctx, "SendError", format!("{}(): {refused}", ctx.fn_name()))
        .with("path", refused.path)
        .with("type", refused.what)
        .thrown()
}

/// Finds what cannot be sent in calls that are packed later.
///
/// # Errors
/// `SendError`, as of [`pack_each`].
pub fn check_calls<'a>(
    ctx: &NativeCallContext,
    function: &Callable,
    calls: &Calls,
    inspection: impl Fn() -> Inspection<'a>,
) -> Outcome<()> {
    let pointer = Dynamic::from(function.pointer().clone());
    // Each may go with a message of its own.
    let of_one = |value: &Dynamic, path: &dyn Fn() -> String| inspection().find(value, path);
    of_one(&pointer, &|| "f".into())
        .and_then(|()| {
            calls.try_each(|i, j, arg| match is_plain(arg) {
                true => Ok(()),
                false => of_one(arg, &|| format!("args[{i}][{j}]")),
            })
        })
        .map_err(|refused| send_error(ctx, refused))
}

fn pack_calls(
    ctx: &NativeCallContext,
    function: &Callable,
    this: Option<Dynamic>,
    given: &Given,
    manner: Manner,
    mut inspection: Inspection,
) -> Outcome<Packed> {
    let global = function.global();
    let name = |id: Option<&str>| id.map(str::to_string);
    let refused = |refused: Refused| send_error(ctx, refused);
    let call = [Dynamic::from(function.pointer().clone()), this.unwrap_or_default()];
    // Looked at one by one, for the sake of the path.
    inspection.check(&call[0], "f").and_then(|()| inspection.check(&call[1], "the object")).map_err(refused)?;
    given.check(&mut inspection).map_err(refused)?;
    let mut luggage = Luggage::default();
    let failed = |what| Problem::new(ctx, "SendError", format!("{}(): {what}", ctx.fn_name())).thrown();
    let (constants, absent) = constants_of(function, &mut inspection);
    let form = Form {
        source: function.source().map(str::to_string),
        line: function.position().line().unwrap_or(0),
        column: function.position().position().unwrap_or(0),
        libraries: global.lib.iter().filter_map(|module| name(module.id())).collect(),
        imports: global.scan_imports_raw().filter_map(|(n, m)| Some((n.to_string(), name(m.id())?))).collect(),
        constants: ByteBuf::from(encode::write(&constants, &mut luggage).map_err(failed)?),
        absent,
        call: ByteBuf::from(encode::write_array(&call, &mut luggage).map_err(failed)?),
        args: ByteBuf::from(given.write(&mut luggage).map_err(failed)?),
        each: given.each(),
        quiet: manner == Manner::Quietly,
    };
    let bytes = rmp_serde::to_vec(&form).map_err(|error| failed(error.to_string()))?;
    Ok(Packed { bytes, luggage })
}

impl Given<'_> {
    /// Finds what cannot cross.
    fn check(&self, inspection: &mut Inspection) -> Result<(), Refused> {
        match self {
            Given::Once(args) => {
                let mut args = args.iter().enumerate();
                args.try_for_each(|(i, arg)| inspection.find(arg, &|| format!("args[{i}]")))
            }
            Given::Each(calls) => calls.try_each(|i, j, arg| inspection.find(arg, &|| format!("args[{i}][{j}]"))),
        }
    }

    fn write(&self, luggage: &mut Luggage) -> Result<Vec<u8>, String> {
        match self {
            Given::Once(args) => encode::write_array(args, luggage),
            Given::Each(Calls::Ones(args)) => encode::write_array(args.as_slice(), luggage),
            Given::Each(Calls::Lists(lists)) => encode::write_arrays(lists.as_slice(), luggage),
        }
    }

    fn each(&self) -> Option<Each> {
        match self {
            Given::Once(_) => None,
            Given::Each(Calls::Ones(_)) => Some(Each::Ones),
            Given::Each(Calls::Lists(_)) => Some(Each::Lists),
        }
    }
}

/// The constants that can cross, and the others with what they hold.
fn constants_of(function: &Callable, inspection: &mut Inspection) -> (Dynamic, Vec<(String, String)>) {
    let (mut crossing, mut absent) = (Map::new(), Vec::new());
    // They stay here too.
    inspection.copies_only(true);
    if let Some(constants) = &function.global().constants
        && let Ok(constants) = constants.read()
    {
        for (name, value) in constants.iter() {
            match inspection.check(value, "") {
                Ok(()) => _ = crossing.insert(name.as_str().into(), value.clone()),
                Err(refused) => absent.push((name.to_string(), refused.what)),
            }
        }
    }
    (crossing.into(), absent)
}

fn unpack(host: &Host, packed: &Packed) -> Result<Work, String> {
    let form: Form = rmp_serde::from_slice(&packed.bytes).map_err(|error| error.to_string())?;
    let engine = host.engine();
    let mut global = engine.new_global_runtime_state();
    for library in &form.libraries {
        let library = host.library(library).ok_or_else(|| format!("there is no source {library:?}"))?;
        global.lib.push(library);
    }
    for (name, path) in form.imports {
        let module = engine.module_resolver().resolve(engine, None, &path, Position::NONE);
        global.push_import(name, module.map_err(|error| error.to_string())?);
    }
    for (name, what) in form.absent {
        host.is_absent(name, what);
    }
    let constants = decode(&form.constants, &packed.luggage)?.try_cast::<Map>().unwrap_or_default();
    if !constants.is_empty() {
        let named = constants.into_iter().map(|(name, value)| (ImmutableString::from(name.as_str()), value));
        global.constants = Some(Arc::new(RwLock::new(named.collect())));
    }
    global.source = form.source.map(Into::into);
    let call = decode(&form.call, &packed.luggage)?.try_cast::<Array>().unwrap_or_default();
    let [function, this] = <[Dynamic; 2]>::try_from(call).map_err(|_| "it is no call".to_string())?;
    let function = function.try_cast::<FnPtr>().ok_or("it has no function")?;
    let line = u16::try_from(form.line).unwrap_or(0);
    let position =
        if line == 0 { Position::NONE } else { Position::new(line, u16::try_from(form.column).unwrap_or(0)) };
    let function = Callable::arrived(function, global, position);
    if let Some(Each::Lists) = form.each {
        let lists = decode_arrays(&form.args, &packed.luggage)?;
        return Ok(Work::Each(function, Calls::Lists(lists.into_iter())));
    }
    let args = decode(&form.args, &packed.luggage)?.try_cast::<Array>().unwrap_or_default();
    if let Some(Each::Ones) = form.each {
        return Ok(Work::Each(function, Calls::Ones(args.into_iter())));
    }
    let manner = if form.quiet { Manner::Quietly } else { Manner::Once };
    Ok(Work::Once(Job { function, this: (!this.is_unit()).then_some(this), args }, manner))
}

impl Work {
    fn function(&self) -> &Callable {
        match self {
            Work::Once(job, _) => &job.function,
            Work::Each(function, _) => function,
        }
    }
}

/// What became of an errand, with what belongs to it.
pub struct Answer {
    /// What became of it.
    pub reply: Reply,
    /// What belongs to it.
    pub luggage: Luggage,
}

impl Answer {
    /// The failure of something whose answer the function did not wait for.
    pub fn late(failure: Letter<ByteBuf>) -> Answer {
        Answer { reply: Reply::Failed(failure.message), luggage: Luggage::of(failure.descriptors) }
    }

    fn of(packed: Packed, as_reply: fn(ByteBuf) -> Reply) -> Answer {
        Answer { reply: as_reply(ByteBuf::from(packed.bytes)), luggage: packed.luggage }
    }
}

/// What came of an errand in the process.
pub enum Performed {
    /// Something to be sent back.
    Reply(Answer),
    /// It called `exit`.
    Exit(i32),
    /// The process was told to end.
    Over,
}

impl exec::Outcome for Performed {
    type Errand = ();

    fn from_panic(message: String) -> Performed {
        let failure = Failure::internal(&message);
        Performed::Reply(Answer::of(encode_error(failure.ask()), Reply::Failed))
    }

    fn is_failure(&self) -> bool {
        matches!(self, Performed::Reply(Answer { reply: Reply::Failed(_), .. }))
    }
}

/// Does an errand in the current task, which is the process's own.
pub fn perform(host: &Arc<Host>, packed: Packed) -> Performed {
    exec::run_caught(|| perform_unguarded(host, packed))
}

fn perform_unguarded(host: &Arc<Host>, packed: Packed) -> Performed {
    run_in(host, || {
        let unpacked = unpack(host, &packed);
        // What is big in it is not kept while the function runs.
        drop(packed);
        let work = match unpacked {
            Ok(work) => work,
            Err(why) => {
                return Performed::Reply(not_sent(format!("the function cannot be called in the process: {why}")));
            }
        };
        let source = work.function().source().map(str::to_string);
        let result = match work {
            Work::Each(function, calls) => call_each(function, calls),
            Work::Once(job, Manner::Once) => job.call(),
            Work::Once(job, Manner::Quietly) => job.call().map(|_| Dynamic::UNIT),
        };
        match result {
            Ok(value) => match encode(&value, "the result", host.way_back()) {
                Ok(packed) => Performed::Reply(Answer::of(packed, Reply::Value)),
                Err(refused) => Performed::Reply(not_sent(refused.to_string())),
            },
            Err(error) => failed(error, source.as_deref()),
        }
    })
}

fn call_each(mut function: Callable, calls: Calls) -> Outcome<Dynamic> {
    function.move_here();
    let results = Series::of(&function, &calls).call_all(calls);
    tasks::forget_task();
    results.map(Dynamic::from_array)
}

fn failed(error: Thrown, source: Option<&str>) -> Performed {
    match Ending::of(&error) {
        Some(Ending::Exit(status)) => return Performed::Exit(status),
        Some(Ending::Interrupted(signal)) => return Performed::Exit(128 + i32::try_from(signal).unwrap_or(0)),
        Some(Ending::Over | Ending::Cancelled) | None => {}
    }
    let answer = |failure: &Failure, as_reply| Performed::Reply(Answer::of(encode_error(failure.ask()), as_reply));
    match tasks::failed(error, source) {
        Done::Failed(failure) => answer(&failure, Reply::Failed),
        Done::Cancelled(failure) => answer(&failure, Reply::Cancelled),
        Done::Value(_) | Done::Over => Performed::Over,
    }
}

fn not_sent(message: String) -> Answer {
    reply_of("SendError", message)
}

/// What a function has put into queues may not have come there.
pub fn unknown() -> Answer {
    let why = "what was put into a queue may not be there: one of the two processes may have too many files open";
    reply_of("IoError", format!("the way to the process that started this one is lost, and {why}"))
}

fn reply_of(kind: &str, message: String) -> Answer {
    let error = super::iterate::Place::of_loop("return").call(|ctx| Problem::new(ctx, kind, message).thrown());
    let failure = Failure::of(error, None);
    Answer::of(encode_error(failure.ask()), Reply::Failed)
}

/// The error in an answer.
pub fn error_in(answer: &Answer) -> Option<Map> {
    match &answer.reply {
        Reply::Value(_) => None,
        Reply::Failed(bytes) | Reply::Cancelled(bytes) => decode(bytes, &answer.luggage).ok()?.try_cast::<Map>(),
    }
}

/// What the current task, which asked for an errand, makes of the answer. What was returned will be held by the outside, as
/// long as nobody has asked for it.
pub fn received(host: &Arc<Host>, answer: &Answer) -> Done {
    run_in(host, || match &answer.reply {
        Reply::Value(bytes) => match decode(bytes, &answer.luggage) {
            Ok(mut value) => {
                super::parcel::make_content_over(&mut value, &Holder::Outside);
                Done::Value(Parcel::plain(value))
            }
            Err(why) => Done::Failed(Failure::internal(&format!("a process returned what nobody can read: {why}"))),
        },
        Reply::Failed(_) => Done::Failed(Failure::arrived(error_here(host, answer), false)),
        Reply::Cancelled(_) => Done::Cancelled(Failure::arrived(error_here(host, answer), true)),
    })
}

fn error_here(host: &Host, answer: &Answer) -> Map {
    let mut map = error_in(answer).unwrap_or_default();
    // Under simulated time the task that asked has done it, and has put this there already.
    if !host.kernel().is_sim() {
        let mut stack = map.remove("stack").and_then(|stack| stack.try_cast::<Array>()).unwrap_or_default();
        stack.extend(birth_frame(host));
        map.insert("stack".into(), stack.into());
    }
    map
}

/// A process has ended without a reply, with this exit code (negative for a signal), at the last of so many tries.
pub fn died(host: &Arc<Host>, what: &str, task: &str, code: i32, tries: usize) -> Done {
    run_in(host, || {
        let me = current();
        let signal = crate::signals::Signal::numbered(-code).filter(|_| code < 0).map(|signal| signal.name);
        let how = match signal {
            Some("KILL") if !host.kernel().is_sim() && memory::has_run_out() => {
                "was killed by KILL, perhaps for want of memory: the system has ended a process for that".into()
            }
            Some(name) => format!("was killed by {name}"),
            None => format!("ended with exit code {code} before it was done"),
        };
        let again = if tries > 1 {
            format!("; given up after {tries} tries, each of which ended its process")
        } else {
            String::new()
        };
        let site = me.born();
        let map = Map::from([
            ("kind".into(), "WorkerDied".into()),
            ("message".into(), format!("{what} {how}{again}").into()),
            ("tries".into(), i64::try_from(tries).unwrap_or(i64::MAX).into()),
            ("exit_code".into(), i64::from(code).into()),
            ("signal".into(), signal.map_or(Dynamic::UNIT, Into::into)),
            ("task".into(), task.into()),
            ("line".into(), i64::from(site.line()).into()),
            ("column".into(), i64::from(site.column()).into()),
            ("source".into(), host.kernel().source(site.source()).to_string().into()),
        ]);
        Done::Failed(Failure::arrived(map, false))
    })
}
