//! Stand-ins: what a process holds of an object that lives in the process that it got the handle from.
//!
//! A stand-in has the type's name and all its functions, and each of them is a call on the way to where the object lives,
//! made in the name of the current task. So there is one implementation of every function, and one place where it is known
//! who owns what and who waits for whom. The functions that call script code back are put together from smaller ones, since
//! script code runs where it was written: see [`super::callbacks`].

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use rhai::{Array, Dynamic, Engine, FnAccess, FuncRegistration, Map, Module, NativeCallContext, RhaiFunc, Shared};

use super::callbacks;
use super::decode::decode;
use super::encode::{Inspection, Way, write, write_array};
use super::handles::{self, Kind, far_object};
use super::host::mark;
use super::luggage::Luggage;
use super::number;
use super::parcel::is_plain;
use super::throw::{Ending, IntoThrown, Outcome, Problem, throw};
use crate::kernel::{Stop, Waitable, current, door, sleep, with_current};
use crate::sync::Fault;
use crate::worker::answering::Answering;
use crate::worker::ask::{Answer, Exported, Spot};
use crate::worker::far_object::FarObject;
use crate::worker::link::{Answered, Asking, Link};
use crate::worker::wire::{Descriptors, Letter};

/// Longer texts go as the arguments of a call, which has other ways for them.
const LONGEST_POST: usize = 4096;

/// How long it takes at most until a process hears of the end of the one that it gets its handles from.
const UNTIL_THE_END: Duration = Duration::from_secs(2);

/// What stands in for a handle of type `T`.
pub struct Far<T> {
    object: Arc<FarObject>,
    of: PhantomData<fn() -> T>,
}

impl<T> Far<T> {
    /// Stands in for `object`.
    pub fn of(object: Arc<FarObject>) -> Far<T> {
        Far { object, of: PhantomData }
    }

    /// What it stands in for.
    pub fn object(&self) -> &Arc<FarObject> {
        &self.object
    }
}

impl<T> Clone for Far<T> {
    fn clone(&self) -> Self {
        Self::of(self.object.clone())
    }
}

/// Registers for the stand-ins what `vocabulary` has for handles.
pub fn register(engine: &mut Engine, vocabulary: &Shared<Module>) {
    let mut module = Module::new();
    handles::register_far(&mut module);
    for (name, kind, count) in functions_of_handles(vocabulary) {
        let mut types = vec![TypeId::of::<Dynamic>(); count];
        types[0] = kind.far_type();
        // The vocabulary lives as long as the program, so this is no more than its names.
        let name: &'static str = name.leak();
        FuncRegistration::new(name).set_into_module_raw(&mut module, types, forwarded(name, kind));
    }
    engine.register_global_module(module.into());
}

/// The functions whose first argument is a handle: name, kind of handle and number of arguments.
fn functions_of_handles(vocabulary: &Shared<Module>) -> Vec<(String, &'static Kind, usize)> {
    let mut engine = Engine::new_raw();
    engine.register_global_module(vocabulary.clone());
    engine.collect_fn_metadata(
        None::<&NativeCallContext>,
        |f| {
            let types = &f.metadata.param_types;
            let kind = Kind::of_type(*types.first()?)?;
            (f.metadata.access == FnAccess::Public).then(|| (f.metadata.name.to_string(), kind, types.len()))
        },
        false,
    )
}

/// What may be done here, without a call: the function, on these arguments. `None` when it has to be a call.
type Shortcut = fn(&NativeCallContext, &str, &Arc<FarObject>, &[&mut Dynamic]) -> Option<Outcome<Dynamic>>;

fn forwarded(name: &'static str, kind: &'static Kind) -> RhaiFunc {
    let shortcut: Option<Shortcut> = match kind.name {
        "Lock" => Some(without_a_call),
        "Queue" => Some(|ctx, name, queue, args| match (name, args) {
            ("get", []) => on_loan(ctx, queue),
            ("put", [item]) => put_plain(ctx, queue, item),
            _ => None,
        }),
        "Value" => Some(in_shared_memory),
        _ => None,
    };
    RhaiFunc::Method {
        func: Shared::new(move |ctx: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let ctx = ctx.expect("invariant: it is registered with a context");
            let done = shortcut.and_then(|shortcut| shortcut(&ctx, name, &kind.object(args[0])?, &args[1..]));
            if let Some(done) = done {
                return done;
            }
            let args: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
            callbacks::call(&ctx, name, args)
        }),
        has_context: true,
        is_pure: true,
        is_volatile: true,
    }
}

/// Calls a function where the first of `args` lives.
///
/// # Errors
/// What it throws there; `SendError`, when an argument or the result cannot cross.
pub fn call(ctx: &NativeCallContext, name: &'static str, args: Vec<Dynamic>) -> Outcome<Dynamic> {
    let about = about(&args);
    call_about(ctx, name, args, &about)
}

/// The same for a function that is none of a stand-in's.
///
/// # Errors
/// As [`call`].
pub fn call_above(
    ctx: &NativeCallContext,
    link: &Arc<Link>,
    name: &'static str,
    args: Vec<Dynamic>,
) -> Outcome<Dynamic> {
    call_about(ctx, name, args, &link.itself())
}

fn call_about(
    ctx: &NativeCallContext,
    name: &'static str,
    args: Vec<Dynamic>,
    about: &Arc<FarObject>,
) -> Outcome<Dynamic> {
    let link = about.link();
    let asking = prepare(ctx, name, &args, about)?;
    if name == "put" && args.len() == 2 && about.takes_posts() {
        door::enter().map_err(|stop| stop.into_thrown(ctx, None))?;
        return if link.post(asking) { Ok(Dynamic::UNIT) } else { unanswered(ctx, about) };
    }
    let Answered { answer, descriptors, stop } = match link.call(asking) {
        Ok(answered) => answered,
        Err(Stop::Ended) => return unanswered(ctx, about),
        Err(stop) => return Err(stop.into_thrown(ctx, None)),
    };
    drop(args);
    match stop {
        Some(stop) if answer == Answer::Stopped => return Err(stop.into_thrown(ctx, None)),
        // It was done before it could be given up, so the next call hears of it.
        Some(Stop::Cancelled) => current().cancel(),
        Some(Stop::Interrupted(signal)) => current().interrupt(signal),
        Some(Stop::Handler(error)) => current().kernel().handling().fail(&current(), error),
        _ => {}
    }
    arrived(ctx, link, answer, descriptors)
}

/// A call whose answer is waited for beside other things. It does nothing but look.
pub struct Question {
    about: Arc<FarObject>,
    /// The answer, as something to wait for.
    pub answering: Answering,
}

/// Asks something where the first of the stand-ins in `args` lives.
///
/// # Errors
/// As [`call`], but for what the function throws.
pub fn ask(ctx: &NativeCallContext, name: &'static str, args: &[Dynamic]) -> Outcome<Question> {
    let about = about(args);
    let answering = about.link().ask_for(prepare(ctx, name, args, &about)?);
    Ok(Question { about, answering })
}

impl Question {
    /// What the answer says.
    ///
    /// # Errors
    /// As [`call`].
    pub fn answered(&self, ctx: &NativeCallContext, answer: Result<Letter<Answer>, Stop>) -> Outcome<Dynamic> {
        match answer {
            Ok(Letter { message, descriptors }) => arrived(ctx, self.about.link(), message, descriptors),
            Err(_) => unanswered(ctx, &self.about),
        }
    }
}

fn about(args: &[Dynamic]) -> Arc<FarObject> {
    args.iter().find_map(first_in).expect("invariant: functions of stand-ins are called with one")
}

fn prepare<'a>(
    ctx: &NativeCallContext,
    function: &'static str,
    args: &[Dynamic],
    about: &'a Arc<FarObject>,
) -> Outcome<Asking<'a>> {
    mark(ctx);
    let link = about.link();
    let (args, luggage) = pack_up(ctx, link, args)?;
    let handles = entries(&luggage);
    let descriptors = luggage.into_descriptors();
    if let Some(Letter { message, descriptors }) = link.take_failure() {
        // Of something that was put into a queue before.
        let told = arrived(ctx, link, Answer::Failed(message), descriptors);
        return Err(told.err().unwrap_or_else(|| Ending::Over.thrown(ctx.call_position())));
    }
    Ok(Asking { function, args, descriptors, handles, spot: spot(ctx), about })
}

/// Nobody answers any more. That is nearly always because the program ends, of which this process is about to hear.
fn unanswered(ctx: &NativeCallContext, about: &FarObject) -> Outcome<Dynamic> {
    match sleep(Some(UNTIL_THE_END)) {
        Err(stop) => Err(stop.into_thrown(ctx, None)),
        Ok(()) => {
            let what = about.core().label();
            let why = "one of the two may have too many files open";
            throw(ctx, "IoError", format!("{}(): the way to where {what} lives is lost: {why}", ctx.fn_name()))
        }
    }
}

/// What `with` and the like call: as from a script.
///
/// # Errors
/// As [`call`].
pub fn tell_lock(ctx: &NativeCallContext, name: &'static str, lock: &Dynamic) -> Outcome<()> {
    match far_object(lock).and_then(|object| without_a_call(ctx, name, &object, &[])) {
        Some(done) => done.map(drop),
        None => tell(ctx, name, vec![lock.clone()]),
    }
}

/// What can be done with a lock whose state lies in shared memory, when nobody else has to hear of it.
fn without_a_call(
    ctx: &NativeCallContext,
    name: &str,
    about: &Arc<FarObject>,
    args: &[&mut Dynamic],
) -> Option<Outcome<Dynamic>> {
    match (name, args) {
        ("release", []) => about.give_lock_back().then_some(Ok(Dynamic::UNIT)),
        ("acquire" | "try_acquire", []) => {
            mark(ctx);
            if let Err(stop) = door::enter() {
                return Some(Err(stop.into_thrown(ctx, None)));
            }
            let was_lost = about.take_lock(ctx.call_source().unwrap_or(""), with_current(|task| task.site()))?;
            Some(match was_lost {
                true => Err(Fault::Abandoned(about.core().label()).into_thrown(ctx, None)),
                false if name == "acquire" => Ok(Dynamic::UNIT),
                false => Ok(true.into()),
            })
        }
        _ => None,
    }
}

/// What can be done with a value that is a number, where that lies.
fn in_shared_memory(
    ctx: &NativeCallContext,
    name: &str,
    about: &Arc<FarObject>,
    args: &[&mut Dynamic],
) -> Option<Outcome<Dynamic>> {
    let word = about.number()?;
    if let ("get$value" | "get", []) = (name, args) {
        return number::get(word).map(Ok);
    }
    mark(ctx);
    // Whoever sees what is written finds what this process has put into queues before.
    if !about.link().posts_are_done() {
        return None;
    }
    match (name, args) {
        ("set$value" | "set", [new]) => number::set(word, new).map(Dynamic::from),
        ("swap", [new]) => number::swap(word, new),
        ("add", [more]) => number::add(word, more),
        ("compare_and_set", [old, new]) => number::compare_and_set(word, old, new).map(Dynamic::from),
        _ => None,
    }
    .map(Ok)
}

/// Puts a plain value into a queue that takes all.
fn put_plain(ctx: &NativeCallContext, queue: &Arc<FarObject>, item: &Dynamic) -> Option<Outcome<Dynamic>> {
    let is_short = item.read_lock::<rhai::ImmutableString>().is_none_or(|text| text.len() <= LONGEST_POST);
    if !is_short || !is_plain(item) || item.is_shared() {
        return None;
    }
    let bytes = write(item, &mut Luggage::default()).ok()?;
    mark(ctx);
    if let Err(stop) = door::enter() {
        return Some(Err(stop.into_thrown(ctx, None)));
    }
    match queue.post_item(bytes, ctx.call_source().unwrap_or(""), with_current(|task| task.site()))? {
        true => Some(Ok(Dynamic::UNIT)),
        false => Some(unanswered(ctx, queue)),
    }
}

/// The next item of a queue, when it lies here already.
///
/// # Errors
/// When the task is told to stop; nothing is taken then.
pub fn on_loan(ctx: &NativeCallContext, queue: &FarObject) -> Option<Outcome<Dynamic>> {
    mark(ctx);
    if let Err(stop) = door::enter() {
        return Some(Err(stop.into_thrown(ctx, None)));
    }
    let item = queue.take_lent()?;
    Some(
        decode(&item, &Luggage::default()).or_else(|why| {
            throw(ctx, "SendError", format!("{}() returned what nobody can read: {why}", ctx.fn_name()))
        }),
    )
}

/// The first stand-in in a value.
pub fn first_in(value: &Dynamic) -> Option<Arc<FarObject>> {
    match value.read_lock::<Array>() {
        Some(items) => items.iter().find_map(first_in),
        None => far_object(value),
    }
}

/// The same for a function that returns nothing.
///
/// # Errors
/// As [`call`].
pub fn tell(ctx: &NativeCallContext, name: &'static str, args: Vec<Dynamic>) -> Outcome<()> {
    call(ctx, name, args).map(drop)
}

fn arrived(ctx: &NativeCallContext, link: &Arc<Link>, answer: Answer, descriptors: Descriptors) -> Outcome<Dynamic> {
    match answer {
        Answer::Value(bytes, exported) => match decode(&bytes, &luggage_of(link, &exported, descriptors)) {
            Ok(value) => Ok(value),
            Err(why) => throw(ctx, "SendError", format!("{}() returned what nobody can read: {why}", ctx.fn_name())),
        },
        Answer::Failed(bytes) => match decode(&bytes, &Luggage::of(descriptors)).map(Dynamic::try_cast::<Map>) {
            Ok(Some(map)) => Err(Problem::again(ctx, map).thrown()),
            _ => throw(ctx, "SendError", format!("{}() failed with what nobody can read", ctx.fn_name())),
        },
        // Only somebody who has stopped is told so, and that one does not come here.
        Answer::Stopped | Answer::Settled => Err(Ending::Over.thrown(ctx.call_position())),
    }
}

/// Arguments, for the process at the other end of `link`.
fn pack_up(ctx: &NativeCallContext, link: &Arc<Link>, args: &[Dynamic]) -> Outcome<(Vec<u8>, Luggage)> {
    let refused = |what: String| Problem::new(ctx, "SendError", format!("{}(): {what}", ctx.fn_name())).thrown();
    // The first is what the function belongs to, or a list of such.
    let mut inspection = Inspection::of(Way::Up(Some(link)));
    for (i, arg) in args.iter().enumerate() {
        let path = if i == 0 { "the list".to_string() } else { format!("args[{}]", i - 1) };
        inspection.check(arg, &path).map_err(|found| refused(found.to_string()))?;
    }
    let mut luggage = Luggage::default();
    let bytes = write_array(args, &mut luggage).map_err(refused)?;
    Ok((bytes, luggage))
}

fn spot(ctx: &NativeCallContext) -> Spot {
    let number = |n: Option<usize>| n.and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let at = ctx.call_position();
    Spot { source: ctx.call_source().unwrap_or("").to_string(), line: number(at.line()), column: number(at.position()) }
}

/// The entries of handles that go back to where they come from.
pub fn entries(luggage: &Luggage) -> Vec<u64> {
    luggage.handles().iter().filter_map(far_object).map(|object| object.entry()).collect()
}

/// The stand-ins for what was exported, and the descriptors that came with it.
pub fn luggage_of(link: &Arc<Link>, exported: &[Exported], descriptors: Descriptors) -> Luggage {
    let stand_in = |exported: &Exported| {
        let kind = Kind::named(&exported.kind)?;
        Some(kind.stand_in(link.stand_in(exported, kind.name)))
    };
    Luggage::with_handles(descriptors, exported.iter().filter_map(stand_in).collect())
}
