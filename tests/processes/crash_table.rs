//! Every place at which a worker of a pool can be, times everything that can happen to it there: the job fails with the right
//! error, in time; the pool keeps its size; the other worker's job lives on; and nobody is left.
//!
//! The table is made in full from two lists. What happens comes from outside, to the worker as it is built for everybody:
//! signals by its number, and for its socket a copy of the descriptor (`pidfd_getfd`), on which this test closes the
//! connection or writes half a message.

#[path = "crash_table/broker.rs"]
mod broker;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};

use crate::whole;
use crate::whole::family::eventually;
use crate::whole::live::Live;
use crate::whole::program::Program;

/// Where the worker is, and which side is at what.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// orch makes the bytes of the job.
    Encode,
    /// orch has written half of the job, the worker reads none of it.
    Write,
    /// The worker has the job and makes values of it.
    WorkerDecodes,
    /// The function runs.
    Call,
    /// The worker makes bytes of the result.
    WorkerEncodes,
    /// The worker has written half of the result, orch reads none of it.
    WorkerWrites,
    /// orch has the result and makes values of it.
    Decode,
    /// The worker was told that no more comes, and waits for its threads.
    Shutdown,
}

const PLACES: [Place; 8] = [
    Place::Encode,
    Place::Write,
    Place::WorkerDecodes,
    Place::Call,
    Place::WorkerEncodes,
    Place::WorkerWrites,
    Place::Decode,
    Place::Shutdown,
];

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The script fails there, or has what cannot cross.
    Error,
    /// The process ends as one in which nothing can be trusted any more.
    Abort,
    /// It calls `exit`.
    Exit,
    Kill,
    /// It stops; whoever waits has a timeout, and then wants it stopped.
    Stop,
    /// The connection is closed.
    Closed,
    /// Half a message comes, then the connection is closed.
    Half,
    /// What is sent is larger than any pipe holds, and nothing else happens.
    Large,
}

const FAULTS: [Fault; 8] =
    [Fault::Error, Fault::Abort, Fault::Exit, Fault::Kill, Fault::Stop, Fault::Closed, Fault::Half, Fault::Large];

const PRELUDE: &str = r#"
fn large() { let text = ""; text.pad(1000, 'x'); let all = []; for i in 0..1500 { all.push(text) } all }
fn wait_for(file) { while !cmd("test", "-e", file).unchecked().run().ok { sleep(0.01) } }
fn said(job, limit) {
    try { let value = if limit == () { job.result() } else { job.result(limit) }; return if type_of(value) == "array" { `${value.len()} items` } else { value.to_string() } }
    catch (e) { return if e.kind == "WorkerDied" { `WorkerDied ${e.signal} ${e.exit_code}` } else { e.kind } }
}
"#;

impl Place {
    /// What the worker that is to be hit does; `act` is what it does by itself at the right moment.
    fn job(self, act: &str, strikes: bool) -> String {
        let ready = "print(`ready ${getpid()}`);";
        match self {
            Place::Encode | Place::Write | Place::WorkerDecodes => format!("|all| {{ {act}; all.len() }}"),
            // It is there until it is hit, if anybody hits it.
            Place::Call => format!("|| {{ {ready} {act}; sleep({}); \"called\" }}", if strikes { 1000 } else { 0 }),
            Place::WorkerEncodes | Place::Decode => format!("|| {{ let all = large(); {ready} {act}; all }}"),
            Place::WorkerWrites => {
                format!("|| {{ let all = large(); {ready} wait_for(\"go\"); {act}; all }}")
            }
            Place::Shutdown => format!("|| {{ spawn_thread(|| {{ {ready} wait_for(\"go\"); {act} }}); \"done\" }}"),
        }
    }

    /// True when it is certain that the worker is at this place when it is hit from outside. A job that has not begun may go to
    /// another one.
    fn is_certain(self) -> bool {
        matches!(self, Place::Call | Place::WorkerWrites | Place::Shutdown)
    }
}

/// The script of one cell. It prints what came of the job, of another one, how many workers there are then, and `end`.
fn script(place: Place, fault: Fault) -> String {
    let act = match fault {
        Fault::Error if place == Place::WorkerEncodes || place == Place::WorkerWrites => "all.push(Timer(1, || 1))",
        Fault::Error => "throw \"fault\"",
        Fault::Exit => "exit(3)",
        _ => "",
    };
    let argument = match place {
        Place::Encode | Place::Write | Place::WorkerDecodes => {
            let error = if fault == Fault::Error && place == Place::Encode { "[Timer(1, || 1)]" } else { "large()" };
            format!("[{error}]")
        }
        _ => "[]".to_string(),
    };
    let strikes = !matches!(fault, Fault::Error | Fault::Exit | Fault::Large);
    let (job, limit) = (place.job(act, strikes), if fault == Fault::Stop { "1" } else { "()" });
    // The worker that is to be hit is known before the job comes.
    let announce = match place {
        Place::Encode | Place::Write | Place::WorkerDecodes => {
            "print(`ready ${pool.apply(|| getpid(), [])}`); wait_for(\"go\");"
        }
        _ => "",
    };
    format!(
        r#"{PRELUDE}
        let pool = Pool(2);
        {announce}
        let came = "";
        let job = ();
        try {{ job = pool.apply_async({job}, {argument}) }} catch (e) {{ came = e.kind }}
        let other = pool.apply_async(|| {{ sleep(0.3); "other" }}, []);
        if job != () {{
            came = said(job, {limit});
            if came == "TimeoutError" {{ came = if job.stop() {{ "stopped, " + said(job, ()) }} else {{ "over" }} }}
        }}
        print("job: " + came);
        print("other: " + said(other, ()));
        let pids = #{{}};
        while pids.len() < 2 {{
            for pid in pool.map(|x| {{ sleep(0.05); getpid() }}, 0..2, #{{chunksize: 1}}) {{ pids[pid.to_string()] = 1 }}
        }}
        let now = pool.map(|x| {{ sleep(0.05); x }}, 0..4, #{{chunksize: 1}});
        print("pool: " + now.len());
        {end}
        pool.join();
        print("end");
        "#,
        end = if place == Place::Shutdown && fault == Fault::Stop {
            "sleep(0.1); pool.terminate();"
        } else {
            "pool.close();"
        }
    )
}

/// What may come of the job.
fn wanted(place: Place, fault: Fault) -> Vec<&'static str> {
    let value = match place {
        Place::Encode | Place::Write | Place::WorkerDecodes => "1500",
        Place::Call => "called",
        Place::WorkerEncodes | Place::WorkerWrites | Place::Decode => "1500 items",
        Place::Shutdown => "done",
    };
    let came = match (fault, place) {
        // What happens later is no matter of the job's.
        (_, Place::Shutdown) | (Fault::Large, _) => return vec![value],
        (Fault::Error, Place::Encode | Place::WorkerEncodes | Place::WorkerWrites) => return vec!["SendError"],
        (Fault::Error, _) => return vec!["Thrown"],
        (Fault::Exit, _) => return vec!["WorkerDied  3"],
        // What has not begun is done by the next worker.
        (Fault::Abort | Fault::Kill | Fault::Closed | Fault::Half, Place::Write) => return vec![value],
        (Fault::Abort, _) => "WorkerDied ABRT -6",
        (Fault::Kill, _) => "WorkerDied KILL -9",
        (Fault::Stop, _) => "stopped, Cancelled",
        // It leaves when nobody is there; orch ends whoever speaks another language.
        (Fault::Closed | Fault::Half, _) => "WorkerDied",
    };
    // A signal that makes a core comes to one thread; the others may go on for a moment.
    let is_late = fault == Fault::Abort && place == Place::WorkerWrites;
    if place.is_certain() && !is_late { vec![came] } else { vec![came, value] }
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    // One that has ended by itself meanwhile needs none.
    let _gone = kill_process(pid, signal);
}

/// A copy of the socket by which a worker talks to orch.
fn socket_of(pid: u32) -> Option<UnixStream> {
    let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
    let numbers: BTreeSet<i32> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    let copy = pidfd_getfd(process.as_fd(), *numbers.first()?, PidfdGetfdFlags::empty()).ok()?;
    Some(UnixStream::from(copy))
}

/// Does to a worker what does not come from the script.
fn strike(fault: Fault, pid: u32) {
    match fault {
        Fault::Error | Fault::Exit | Fault::Large => {}
        Fault::Abort => signal(pid, Signal::ABORT),
        Fault::Kill => signal(pid, Signal::KILL),
        Fault::Stop => signal(pid, Signal::STOP),
        Fault::Closed | Fault::Half => {
            let Some(mut socket) = socket_of(pid) else {
                return;
            };
            if fault == Fault::Half {
                // So many bytes are announced, and few come.
                drop(socket.set_nonblocking(true));
                drop(socket.write_all(&[100, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]));
            }
            drop(socket.shutdown(std::net::Shutdown::Both));
        }
    }
}

/// Brings about one cell; what is wrong with it.
fn cell(place: Place, fault: Fault) -> Result<(), String> {
    let mark = format!("{place:?}-{fault:?}-{}", std::process::id());
    let mut live = Live::start(Program::script(&script(place, fault)).env("ORCH_TEST_MARK", &mark));
    let announced = fault != Fault::Error || !matches!(place, Place::Decode);
    if announced {
        let line = live.line_with("ready ");
        let pid: u32 = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let a_while = || thread::sleep(Duration::from_millis(100));
        match place {
            Place::Call => strike(fault, pid),
            Place::Encode => {
                live.put_file("go");
                strike(fault, pid);
            }
            Place::Write | Place::WorkerDecodes => {
                signal(pid, Signal::STOP);
                live.put_file("go");
                a_while();
                if place == Place::WorkerDecodes {
                    signal(pid, Signal::CONT);
                }
                strike(fault, pid);
                if fault != Fault::Stop {
                    signal(pid, Signal::CONT);
                }
            }
            Place::WorkerEncodes => strike(fault, pid),
            Place::Decode => {
                a_while();
                strike(fault, pid);
            }
            Place::WorkerWrites => {
                signal(live.pid(), Signal::STOP);
                live.put_file("go");
                a_while();
                strike(fault, pid);
                signal(live.pid(), Signal::CONT);
            }
            Place::Shutdown => {
                live.says("pool: ");
                strike(fault, pid);
                live.put_file("go");
            }
        }
    }
    if fault == Fault::Stop && announced && !live.line_with("job: ").contains("stopped") {
        // It was stopped too late for this job, and is not to do another one so.
        let pid: u32 = live.line_with("ready ").trim().rsplit(' ').next().unwrap().parse().unwrap();
        signal(pid, Signal::CONT);
    }
    let seen = live.end();
    let said =
        |what: &str| seen.stdout.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("nothing").to_string();
    let came = said("job: ");
    let wanted = wanted(place, fault);
    let right = wanted.iter().any(|wanted| came.starts_with(wanted));
    // It met the other job, where the first one was over already.
    let met_other = wanted.len() == 2 && came == wanted[1] && said("other: ").starts_with(wanted[0]);
    let other_is_right = said("other: ") == "other" || met_other;
    let rest = (other_is_right, said("pool: "), seen.stdout.ends_with("end\n"), seen.status);
    eventually(|| marked(&mark).is_empty().then_some(()), || format!("left of {mark}: {:?}", marked(&mark)));
    if right && rest == (true, "4".into(), true, 0) {
        return Ok(());
    }
    Err(format!("{place:?} x {fault:?}: wanted {wanted:?}\n{}", seen.for_people()))
}

/// Who has this mark in its environment.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("ORCH_TEST_MARK={mark}");
    let has_it = |pid: u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    whole::family::processes().into_iter().filter(|(pid, _)| has_it(*pid)).map(|(_, line)| line).collect()
}

#[test]
fn every_place_and_every_fault() {
    let cells: Vec<(Place, Fault)> =
        FAULTS.iter().rev().flat_map(|fault| PLACES.iter().map(|place| (*place, *fault))).collect();
    // Those that wait for a grace first.
    let (waiting, others): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(_, fault)| *fault == Fault::Stop);
    let todo = Mutex::new(waiting.into_iter().chain(others));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                loop {
                    let Some((place, fault)) = todo.lock().unwrap().next() else { return };
                    let hung = |_| Err(format!("{place:?} x {fault:?}: it panicked, as told above"));
                    if let Err(why) = std::panic::catch_unwind(|| cell(place, fault)).unwrap_or_else(hung) {
                        failed.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cells:\n{}", failed.len(), PLACES.len() * FAULTS.len(), failed.join("\n"));
}
