//! The same operations as a script and as a Python program: what comes of them is the same. Without `python3` in the
//! path there is nothing to compare with, and the test says so.

use std::process::Command;

use crate::harness::{run_in, sim};
use crate::whole::program::Program;
use orch::kernel::Setup;

/// What both programs may call: prints the kind of error of `f`, or what it returns.
const OURS: &str = "fn shown(x) { if x == () { \"None\" } else if x == true { \"True\" } else if x == false { \"False\" } else { `${x}` } } \
    fn attempt(f) { try { print(shown(f.call())); } catch (e) { print(if type_of(e) == \"map\" { e.kind } else { e }); } }\n";
const PYTHONS: &str = r#"
import threading, queue, time
from concurrent.futures import *
import concurrent.futures as cf
sleep = time.sleep
KINDS = {"RuntimeError": "misuse", "ValueError": "misuse", "Full": "Full", "Empty": "Empty",
         "BrokenBarrierError": "BrokenBarrierError", "TimeoutError": "TimeoutError", "CancelledError": "Cancelled",
         "EOFError": "EndOfFile", "BrokenPipeError": "EndOfFile", "AuthenticationError": "AuthenticationError",
         "IndexError": "IndexError", "TypeError": "TypeError", "CalledProcessError": "CommandError", "TimeoutExpired": "TimeoutError",
         "FileNotFoundError": "NotFound", "PermissionError": "IoError", "NotADirectoryError": "IoError", "OSError": "IoError"}
def attempt(f):
    try:
        print(f())
    except Exception as e:
        name = type(e).__name__
        print(KINDS.get(name, e) if name != "Exception" else e)
"#;

/// Each row: what is compared, the script, the program.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "locks",
        r#"
            let l = Lock();
            attempt(|| l.try_acquire()); attempt(|| l.locked()); attempt(|| l.try_acquire());
            attempt(|| { try { l.acquire(0.01); return true; } catch { return false; } });
            attempt(|| l.release()); attempt(|| l.locked()); attempt(|| l.release());
        "#,
        r#"
l = threading.Lock()
attempt(lambda: l.acquire(False)); attempt(lambda: l.locked()); attempt(lambda: l.acquire(False))
attempt(lambda: l.acquire(timeout=0.01))
attempt(lambda: l.release()); attempt(lambda: l.locked()); attempt(lambda: l.release())
"#,
    ),
    (
        "rlocks",
        r#"
            let l = RLock();
            attempt(|| l.try_acquire()); attempt(|| l.try_acquire());
            attempt(|| spawn_thread(|| l.try_acquire()).join());
            attempt(|| l.release());
            attempt(|| spawn_thread(|| l.try_acquire()).join());
            attempt(|| spawn_thread(|| l.release()).join());
            attempt(|| l.release());
            attempt(|| spawn_thread(|| { let got = l.try_acquire(); l.release(); got }).join());
            attempt(|| l.release());
        "#,
        r#"
l = threading.RLock()
pool = ThreadPoolExecutor(1)
there = lambda f: pool.submit(f).result()
attempt(lambda: l.acquire(False)); attempt(lambda: l.acquire(False))
attempt(lambda: there(lambda: l.acquire(False)))
attempt(lambda: l.release())
attempt(lambda: there(lambda: l.acquire(False)))
attempt(lambda: there(lambda: l.release()))
attempt(lambda: l.release())
attempt(lambda: there(lambda: [l.acquire(False), l.release()][0]))
attempt(lambda: l.release())
"#,
    ),
    (
        "semaphores",
        r#"
            let s = Semaphore(2);
            for i in 0..3 { attempt(|| s.try_acquire()); }
            attempt(|| s.release(2)); attempt(|| s.try_acquire()); attempt(|| s.release());
            let b = BoundedSemaphore(1);
            attempt(|| b.try_acquire()); attempt(|| b.release()); attempt(|| b.release());
            attempt(|| Semaphore(-1)); attempt(|| s.release(0));
            attempt(|| { try { Semaphore(0).acquire(0.01); return true; } catch { return false; } });
        "#,
        r#"
s = threading.Semaphore(2)
for i in range(3): attempt(lambda: s.acquire(False))
attempt(lambda: s.release(2)); attempt(lambda: s.acquire(False)); attempt(lambda: s.release())
b = threading.BoundedSemaphore(1)
attempt(lambda: b.acquire(False)); attempt(lambda: b.release()); attempt(lambda: b.release())
attempt(lambda: threading.Semaphore(-1)); attempt(lambda: s.release(0))
attempt(lambda: threading.Semaphore(0).acquire(timeout=0.01))
"#,
    ),
    (
        "events and conditions",
        r#"
            let e = Event();
            attempt(|| e.is_set()); attempt(|| e.wait(0.01)); attempt(|| e.set()); attempt(|| e.wait()); attempt(|| e.wait(0));
            attempt(|| e.clear()); attempt(|| e.is_set());
            let c = Condition();
            attempt(|| c.notify()); attempt(|| c.notify_all()); attempt(|| c.wait());
            with c {
                attempt(|| c.wait(0.01)); attempt(|| c.wait_for(|| false, 0.01)); attempt(|| c.wait_for(|| true));
                attempt(|| c.wait_for(|| true, 0)); attempt(|| c.notify()); attempt(|| c.notify(5)); attempt(|| c.notify_all());
            }
            let woken = Value(0);
            for i in 0..5 { spawn_thread(|| { with c { c.wait(); woken.value += 1; } }); }
            sleep(0.1);
            for n in [1, 2, 9] { with c { c.notify(n); } sleep(0.1); attempt(|| woken.value); }
        "#,
        r#"
e = threading.Event()
attempt(lambda: e.is_set()); attempt(lambda: e.wait(0.01)); attempt(lambda: e.set()); attempt(lambda: e.wait()); attempt(lambda: e.wait(0))
attempt(lambda: e.clear()); attempt(lambda: e.is_set())
c = threading.Condition()
attempt(lambda: c.notify()); attempt(lambda: c.notify_all()); attempt(lambda: c.wait())
with c:
    attempt(lambda: c.wait(0.01)); attempt(lambda: c.wait_for(lambda: False, 0.01)); attempt(lambda: c.wait_for(lambda: True))
    attempt(lambda: c.wait_for(lambda: True, 0)); attempt(lambda: c.notify()); attempt(lambda: c.notify(5)); attempt(lambda: c.notify_all())
woken = 0
def waiter():
    global woken
    with c:
        c.wait()
        woken += 1
def until(n):
    for i in range(500):
        if woken >= n: break
        sleep(0.01)
for i in range(5): threading.Thread(target=waiter).start()
while len(c._waiters) < 5: sleep(0.01)
for n, all in [(1, 1), (2, 3), (9, 5)]:
    with c: c.notify(n)
    until(all)
    attempt(lambda: woken)
"#,
    ),
    (
        "barriers",
        r#"
            let b = Barrier(3);
            let seen = SharedList();
            let ts = []; for i in 0..3 { ts.push(spawn_thread(|| { for r in 0..3 { seen.push(b.wait()); } })); }
            for t in ts { t.join(); }
            seen.sort();
            print(seen.snapshot()); attempt(|| b.parties); attempt(|| b.n_waiting); attempt(|| b.broken);
            attempt(|| b.wait(0.01)); attempt(|| b.broken); attempt(|| b.wait()); attempt(|| b.reset()); attempt(|| b.broken);
            attempt(|| b.abort()); attempt(|| b.broken); attempt(|| b.wait(1)); attempt(|| b.reset());
            let t = spawn_thread(|| attempt(|| b.wait())); while b.n_waiting == 0 { sleep(0.01); } attempt(|| b.n_waiting); b.reset(); t.join();
            attempt(|| b.broken);
            let ran = Value(0); let one = Barrier(1, #{action: || ran.add(1)});
            attempt(|| one.wait()); attempt(|| one.wait()); attempt(|| ran.value);
            let bad = Barrier(1, #{action: || throw "action"});
            attempt(|| bad.wait()); attempt(|| bad.broken); attempt(|| bad.wait());
            let late = Barrier(2, #{timeout: 0.01}); attempt(|| late.wait());
        "#,
        r#"
b = threading.Barrier(3)
seen = []
def rounds():
    for r in range(3): seen.append(b.wait())
ts = [threading.Thread(target=rounds) for i in range(3)]
for t in ts: t.start()
for t in ts: t.join()
print(sorted(seen)); attempt(lambda: b.parties); attempt(lambda: b.n_waiting); attempt(lambda: b.broken)
attempt(lambda: b.wait(0.01)); attempt(lambda: b.broken); attempt(lambda: b.wait()); attempt(lambda: b.reset()); attempt(lambda: b.broken)
attempt(lambda: b.abort()); attempt(lambda: b.broken); attempt(lambda: b.wait(1)); attempt(lambda: b.reset())
t = threading.Thread(target=lambda: attempt(lambda: b.wait())); t.start()
while b.n_waiting == 0: sleep(0.01)
attempt(lambda: b.n_waiting); b.reset(); t.join()
attempt(lambda: b.broken)
ran = []; one = threading.Barrier(1, action=lambda: ran.append(1))
attempt(lambda: one.wait()); attempt(lambda: one.wait()); attempt(lambda: len(ran))
def fail(): raise Exception("action")
bad = threading.Barrier(1, action=fail)
attempt(lambda: bad.wait()); attempt(lambda: bad.broken); attempt(lambda: bad.wait())
late = threading.Barrier(2, timeout=0.01); attempt(lambda: late.wait())
"#,
    ),
    (
        "queues",
        r#"
            let q = Queue(2);
            attempt(|| q.put(1)); attempt(|| q.put(2)); attempt(|| q.put(3, 0.01)); attempt(|| q.full()); attempt(|| q.qsize());
            attempt(|| q.get()); attempt(|| q.try_get()); attempt(|| q.try_get()); attempt(|| q.get(0.01)); attempt(|| q.empty());
            attempt(|| q.task_done()); attempt(|| q.task_done()); attempt(|| q.task_done()); attempt(|| q.join());
            attempt(|| q.get(-1));
            let l = LifoQueue(); for i in [3, 1, 2] { l.put(i); }
            for i in 0..3 { attempt(|| l.get()); }
            let p = PriorityQueue(); for x in [[2, 1], [1, 9], [1, 2], [1], [0, 5, 5]] { p.put(x); }
            for i in 0..5 { attempt(|| p.get()); }
            p.put(1); attempt(|| p.put("a"));
        "#,
        r#"
q = queue.Queue(2)
attempt(lambda: q.put(1)); attempt(lambda: q.put(2)); attempt(lambda: q.put(3, timeout=0.01)); attempt(lambda: q.full()); attempt(lambda: q.qsize())
attempt(lambda: q.get()); attempt(lambda: q.get_nowait()); attempt(lambda: q.get_nowait()); attempt(lambda: q.get(timeout=0.01)); attempt(lambda: q.empty())
attempt(lambda: q.task_done()); attempt(lambda: q.task_done()); attempt(lambda: q.task_done()); attempt(lambda: q.join())
attempt(lambda: q.get(timeout=-1))
l = queue.LifoQueue()
for i in [3, 1, 2]: l.put(i)
for i in range(3): attempt(lambda: l.get())
p = queue.PriorityQueue()
for x in [[2, 1], [1, 9], [1, 2], [1], [0, 5, 5]]: p.put(x)
for i in range(5): attempt(lambda: p.get())
p.put(1); attempt(lambda: p.put("a"))
"#,
    ),
    (
        "futures",
        r#"
            let p = ThreadPoolExecutor(1); let open = Event();
            let a = p.submit(|| { open.wait(); 7 }); let b = p.submit(|| 2); let c = p.submit(|| throw "no");
            while !a.running() { sleep(0.01); }
            attempt(|| a.running()); attempt(|| a.done()); attempt(|| b.running()); attempt(|| a.cancel()); attempt(|| b.cancel());
            attempt(|| b.cancel()); attempt(|| b.cancelled()); attempt(|| b.done()); attempt(|| b.result()); attempt(|| b.exception());
            attempt(|| a.result(0.01)); attempt(|| a.exception(0.01));
            let r = wait([a, c], #{timeout: 0.01}); attempt(|| r.done.len());
            open.set();
            attempt(|| a.result()); attempt(|| a.exception()); attempt(|| a.cancel()); attempt(|| a.cancelled());
            attempt(|| { try { return c.result(); } catch (e) { throw e.value } }); attempt(|| c.exception().value); attempt(|| c.cancelled());
            let r = wait([a, b, c]); attempt(|| r.done.len());
            a.add_done_callback(|f| attempt(|| f.result()));
            for f in as_completed([a, a]) { attempt(|| f.result()); }
            p.shutdown();
            attempt(|| { try { p.submit(|| 1) } catch (e) { throw #{kind: "misuse"} } });
        "#,
        r#"
p = ThreadPoolExecutor(1); go = threading.Event()
def no(): raise Exception("no")
a = p.submit(lambda: [go.wait(), 7][1]); b = p.submit(lambda: 2); c = p.submit(no)
while not a.running(): sleep(0.01)
attempt(lambda: a.running()); attempt(lambda: a.done()); attempt(lambda: b.running()); attempt(lambda: a.cancel()); attempt(lambda: b.cancel())
attempt(lambda: b.cancel()); attempt(lambda: b.cancelled()); attempt(lambda: b.done()); attempt(lambda: b.result()); attempt(lambda: b.exception())
attempt(lambda: a.result(0.01)); attempt(lambda: a.exception(0.01))
r = cf.wait([a, c], timeout=0.01); attempt(lambda: len(r.done))
go.set()
attempt(lambda: a.result()); attempt(lambda: a.exception()); attempt(lambda: a.cancel()); attempt(lambda: a.cancelled())
attempt(lambda: c.result()); attempt(lambda: c.exception()); attempt(lambda: c.cancelled())
r = cf.wait([a, b, c]); attempt(lambda: len(r.done))
a.add_done_callback(lambda f: attempt(lambda: f.result()))
for f in as_completed([a, a]): attempt(lambda: f.result())
p.shutdown()
attempt(lambda: p.submit(lambda: 1))
"#,
    ),
    (
        "executor.map and as_completed",
        r#"
            let p = ThreadPoolExecutor(3);
            for x in p.map(|n| { sleep(0.1 * (3 - n)); n * n }, 0..3) { print(x); }
            for x in p.map(|a, b| a + b, [1, 2, 3], [10, 20]) { print(x); }
            let it = p.map(|n| { if n == 1 { throw `bad ${n}` } n }, 0..4);
            attempt(|| it.next()); attempt(|| { try { return it.next(); } catch (e) { throw e.value } });
            print(it.to_array());
            attempt(|| p.map(|n| sleep(n), [0.3], #{timeout: 0.05}).to_array());
            let fs = [1.2, 0.1, 0.5].map(|n| p.submit(|n| { sleep(n); n }, n));
            for f in as_completed(fs) { print(f.result()); }
            attempt(|| { for f in as_completed([p.submit(|| sleep(0.2))], #{timeout: 0.01}) { } });
            attempt(|| { try { p.map(|n| { throw `bad ${n}` }, 0..9).to_array() } catch (e) { throw e.value } });
            let no = p.submit(|| { throw "no" }); let yes = p.submit(|| 1);
            let one = ThreadPoolExecutor(1); one.submit(|| sleep(1)); let never = one.submit(|| 1); never.cancel();
            let r = wait([yes, never, no], #{return_when: "first_error"}); attempt(|| r.done.contains(no));
            let r = wait([yes, never], #{return_when: "first_error"}); attempt(|| r.done.len());
            let r = wait([]); attempt(|| r.done.len()); let r = wait([], #{return_when: "first"}); attempt(|| r.done.len());
            attempt(|| { try { no.result() } catch (e) { throw e.value } });
        "#,
        r#"
p = ThreadPoolExecutor(3)
def square(n):
    sleep(0.1 * (3 - n))
    return n * n
for x in p.map(square, range(3)): print(x)
for x in p.map(lambda a, b: a + b, [1, 2, 3], [10, 20]): print(x)
def bad(n):
    if n == 1: raise Exception(f"bad {n}")
    return n
it = p.map(bad, range(4))
attempt(lambda: next(it)); attempt(lambda: next(it))
print(list(it))
attempt(lambda: list(p.map(sleep, [0.3], timeout=0.05)))
def nap(n):
    sleep(n)
    return n
fs = [p.submit(nap, n) for n in [1.2, 0.1, 0.5]]
for f in as_completed(fs): print(f.result())
def late():
    for f in as_completed([p.submit(sleep, 0.2)], timeout=0.01): pass
attempt(late)
def always(n): raise Exception(f"bad {n}")
attempt(lambda: list(p.map(always, range(9))))
def refuse(): raise Exception("no")
no = p.submit(refuse); yes = p.submit(lambda: 1)
one = ThreadPoolExecutor(1); one.submit(sleep, 1); never = one.submit(lambda: 1); never.cancel()
r = cf.wait([yes, never, no], return_when=cf.FIRST_EXCEPTION); attempt(lambda: no in r.done)
r = cf.wait([yes, never], return_when=cf.FIRST_EXCEPTION); attempt(lambda: len(r.done))
r = cf.wait([]); attempt(lambda: len(r.done)); r = cf.wait([], return_when=cf.FIRST_COMPLETED); attempt(lambda: len(r.done))
attempt(lambda: no.result())
"#,
    ),
    (
        "threads, timers, daemons and locals",
        r#"
            let t = Thread(|| 1);
            attempt(|| t.is_alive()); attempt(|| t.join()); t.start(); t.join(); attempt(|| t.is_alive()); attempt(|| t.start());
            attempt(|| { t.daemon = true; }); attempt(|| current_thread().join()); attempt(|| t.daemon);
            let d = Thread(|| sleep(100)); d.daemon = true; d.start(); attempt(|| d.is_alive());
            let rang = Event(); let timer = Timer(0.05, || rang.set()); timer.start(); attempt(|| rang.wait(5)); timer.join();
            let never = Event(); let timer = Timer(5, || never.set()); timer.start(); timer.cancel(); timer.join(); attempt(|| never.is_set());
            attempt(|| timer.is_alive());
            let mine = Local(); mine.x = 1;
            let other = spawn_thread(|| { let before = mine.x == (); mine.x = 2; before }); attempt(|| other.join()); attempt(|| mine.x);
            attempt(|| active_count()); attempt(|| main_thread().id == current_thread().id);
        "#,
        r#"
t = threading.Thread(target=lambda: 1)
attempt(lambda: t.is_alive()); attempt(lambda: t.join()); t.start(); t.join(); attempt(lambda: t.is_alive()); attempt(lambda: t.start())
def daemon(): t.daemon = True
attempt(daemon) if t.is_alive() else print("misuse")
attempt(lambda: threading.current_thread().join()); attempt(lambda: t.daemon)
d = threading.Thread(target=lambda: sleep(100)); d.daemon = True; d.start(); attempt(lambda: d.is_alive())
rang = threading.Event(); timer = threading.Timer(0.05, rang.set); timer.start(); attempt(lambda: rang.wait(5)); timer.join()
never = threading.Event(); timer = threading.Timer(5, never.set); timer.start(); timer.cancel(); timer.join(); attempt(lambda: never.is_set())
attempt(lambda: timer.is_alive())
mine = threading.local(); mine.x = 1
def there():
    before = not hasattr(mine, "x")
    mine.x = 2
    return before
pool = ThreadPoolExecutor(1); other = pool.submit(there); attempt(lambda: other.result()); attempt(lambda: mine.x)
pool.shutdown()
attempt(lambda: threading.active_count()); attempt(lambda: threading.main_thread() is threading.current_thread())
"#,
    ),
    (
        "signals",
        r#"
            let seen = SharedList(); let q = Queue(); let stop = Event();
            on_signal("USR1", || seen.push(current_thread().name == "main"));
            raise_signal("USR1"); attempt(|| seen.len()); attempt(|| seen[0]);
            spawn_thread(|| raise_signal("USR1")).join(); sleep(0.01); attempt(|| seen.len()); attempt(|| seen[1]);
            ignore_signal("USR1"); raise_signal("USR1"); attempt(|| seen.len());
            on_signal("USR1", || throw "from the handler");
            attempt(|| raise_signal("USR1"));
            let later = || Timer(0.1, || raise_signal("USR1")).start();
            later.call(); attempt(|| sleep(20));
            on_signal("USR1", || seen.push(true));
            later.call(); attempt(|| q.get(3)); attempt(|| seen.len());
            on_signal("USR1", || stop.set());
            later.call(); attempt(|| stop.wait());
            on_signal("USR1", || q.put(7));
            later.call(); attempt(|| q.get(20));
            attempt(|| on_signal("KILL", || 1));
            on_signal("USR1", || { ignore_signal("USR1"); seen.push(1); }); raise_signal("USR1"); raise_signal("USR1");
            attempt(|| seen.len()); raise_signal("WINCH"); raise_signal("CHLD"); raise_signal("PIPE");
        "#,
        r#"
import signal
seen = []; q = queue.SimpleQueue(); stop = threading.Event(); USR1 = signal.SIGUSR1
on_signal = lambda s, f: signal.signal(s, lambda number, frame: f()); raise_signal = signal.raise_signal
def fail(): raise Exception("from the handler")
on_signal(USR1, lambda: seen.append(threading.current_thread() is threading.main_thread()))
raise_signal(USR1); attempt(lambda: len(seen)); attempt(lambda: seen[0])
t = threading.Thread(target=lambda: raise_signal(USR1)); t.start(); t.join(); sleep(0.01); attempt(lambda: len(seen)); attempt(lambda: seen[1])
signal.signal(USR1, signal.SIG_IGN); raise_signal(USR1); attempt(lambda: len(seen))
on_signal(USR1, fail)
attempt(lambda: raise_signal(USR1))
later = lambda: threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident, USR1)).start()
later(); attempt(lambda: sleep(20))
on_signal(USR1, lambda: seen.append(True))
later(); attempt(lambda: q.get(timeout=3)); attempt(lambda: len(seen))
on_signal(USR1, stop.set)
later(); attempt(lambda: stop.wait())
on_signal(USR1, lambda: q.put(7))
later(); attempt(lambda: q.get(timeout=20))
def kill():
    try: on_signal(signal.SIGKILL, lambda: 1)
    except OSError: raise ValueError()
attempt(kill)
def once(): signal.signal(USR1, signal.SIG_IGN); seen.append(1)
on_signal(USR1, once); raise_signal(USR1); raise_signal(USR1)
attempt(lambda: len(seen)); raise_signal(signal.SIGWINCH); raise_signal(signal.SIGCHLD); raise_signal(signal.SIGPIPE)
"#,
    ),
    (
        "commands",
        r#"
            fn text(text) { text.replace("\n", "/"); text }
            for how in ["exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -15 $$", "kill -2 $$", "nope 2>&-"] {
                attempt(|| sh(how).unchecked().run().code);
            }
            attempt(|| text(cmd("echo", "a  b", "*", "$HOME", "").capture().stdout));
            attempt(|| text(cmd("tr", "a-z", "A-Z").stdin("input\n").capture().stdout));
            attempt(|| text(sh("echo out; echo err >&2").capture().stderr));
            attempt(|| text(sh("echo out; echo err >&2").stderr_to_stdout().capture().stdout));
            attempt(|| text(cmd("pwd").dir("/usr").capture().stdout));
            attempt(|| text(sh("echo $A-$B").env("A", 1).env("B", "two words").capture().stdout));
            attempt(|| text(sh("echo ${HOME-none}").env_remove("HOME").capture().stdout));
            attempt(|| cmd("printf", "a\\377b").capture().stdout_bytes.len);
            attempt(|| cmd("false").run());
            attempt(|| cmd("sleep", 600).timeout(0.1).run());
            attempt(|| cmd("/no/such/program").run());
            attempt(|| cmd("no such program").run());
            attempt(|| cmd("/etc/passwd").run());
            attempt(|| cmd("/").run());
            attempt(|| cmd("pwd").dir("/no/such/folder").run());
            attempt(|| cmd("pwd").dir("/etc/passwd").run());
            attempt(|| cmd("echo", "a\x00b").run());
            attempt(|| cmd("echo").env("A=B", 1).run());
            let big = ""; big.pad(200000, "x");
            attempt(|| cmd("true", big).run());
            let child = sh("read line; echo got $line; exit 4").unchecked().start();
            attempt(|| child.poll()); attempt(|| child.wait(0.01));
            let done = child.communicate("words\n");
            attempt(|| text(done.stdout)); attempt(|| done.code); attempt(|| child.poll().code); attempt(|| child.wait().code);
            let sleeper = cmd("sleep", 600).start();
            sleeper.terminate(); attempt(|| sleeper.wait().code); sleeper.terminate(); sleeper.kill();
            let sleeper = cmd("sleep", 600).start();
            sleeper.signal("HUP"); attempt(|| sleeper.wait().code); sleeper.signal("HUP");
            attempt(|| cmd("true").start().communicate(big).code);
            attempt(|| cmd("cat").start().communicate(big).stdout.len);
            attempt(|| text(cmd("printf", "b\na\n").pipe(cmd("sort")).capture().stdout));
        "#,
        r#"
import subprocess, os
from subprocess import run, PIPE, STDOUT, DEVNULL, Popen
text = lambda t: t.replace("\n", "/")
sh = lambda line, **more: run(["/bin/sh", "-c", line], **more)
for how in ["exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -15 $$", "kill -2 $$", "nope 2>&-"]:
    attempt(lambda: sh(how).returncode)
kept = dict(capture_output=True, text=True)
attempt(lambda: text(run(["echo", "a  b", "*", "$HOME", ""], **kept).stdout))
attempt(lambda: text(run(["tr", "a-z", "A-Z"], input="input\n", **kept).stdout))
attempt(lambda: text(sh("echo out; echo err >&2", **kept).stderr))
attempt(lambda: text(sh("echo out; echo err >&2", stdout=PIPE, stderr=STDOUT, text=True).stdout))
attempt(lambda: text(run(["pwd"], cwd="/usr", **kept).stdout))
attempt(lambda: text(sh("echo $A-$B", env=os.environ | {"A": "1", "B": "two words"}, **kept).stdout))
attempt(lambda: text(sh("echo ${HOME-none}", env={k: v for k, v in os.environ.items() if k != "HOME"}, **kept).stdout))
attempt(lambda: len(run(["printf", "a\\377b"], capture_output=True).stdout))
attempt(lambda: run(["false"], check=True))
attempt(lambda: run(["sleep", "600"], timeout=0.1))
attempt(lambda: run(["/no/such/program"]))
attempt(lambda: run(["no such program"]))
attempt(lambda: run(["/etc/passwd"]))
attempt(lambda: run(["/"]))
attempt(lambda: run(["pwd"], cwd="/no/such/folder"))
attempt(lambda: run(["pwd"], cwd="/etc/passwd"))
attempt(lambda: run(["echo", "a\0b"]))
attempt(lambda: run(["echo"], env={"A=B": "1"}))
big = "x" * 200000
attempt(lambda: run(["true", big]))
child = Popen(["/bin/sh", "-c", "read line; echo got $line; exit 4"], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
attempt(lambda: child.poll())
def wait():
    try: child.wait(0.01); return True
    except subprocess.TimeoutExpired: return False
attempt(wait)
out, _ = child.communicate("words\n")
attempt(lambda: text(out)); attempt(lambda: child.returncode); attempt(lambda: child.poll()); attempt(lambda: child.wait())
sleeper = Popen(["sleep", "600"])
sleeper.terminate(); attempt(lambda: sleeper.wait()); sleeper.terminate(); sleeper.kill()
sleeper = Popen(["sleep", "600"])
sleeper.send_signal(1); attempt(lambda: sleeper.wait()); sleeper.send_signal(1)
def feed(words):
    child = Popen(words, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    out, _ = child.communicate(big)
    return child.returncode, len(out)
attempt(lambda: feed(["true"])[0])
attempt(lambda: feed(["cat"])[1])
first = Popen(["printf", "b\na\n"], stdout=PIPE)
attempt(lambda: text(run(["sort"], stdin=first.stdout, **kept).stdout)); first.stdout.close(); first.wait()
"#,
    ),
];

/// Rows with processes, which are compared with the whole program: the test's own process is none of orch's.
const BETWEEN_PROCESSES: &[(&str, &str, &str)] = &[
    (
        "pipes",
        r#"
            let ends = Pipe();
            let a = ends[0];
            let b = ends[1];
            attempt(|| a.poll()); attempt(|| a.send(5)); attempt(|| b.poll()); attempt(|| b.poll(0.01)); attempt(|| b.recv());
            attempt(|| a.poll(0.01)); attempt(|| b.send("x")); attempt(|| b.send([1, 2])); attempt(|| a.recv());
            attempt(|| a.recv()); attempt(|| b.closed); attempt(|| b.send("last")); attempt(|| b.close());
            attempt(|| b.closed); attempt(|| a.poll()); attempt(|| a.recv()); attempt(|| a.poll()); attempt(|| a.recv());
            attempt(|| a.send(1));
            fn answer(c) { let n = c.recv(); c.send(n + 1); c.send(current_process().name); exit(3); }
            let ends = Pipe();
            let mine = ends[0];
            let p = Process(answer, [ends[1]], #{name: "child"});
            p.start();
            attempt(|| active_children().len());
            attempt(|| mine.send(41)); attempt(|| mine.recv()); attempt(|| mine.recv()); attempt(|| mine.recv());
            p.join();
            attempt(|| p.exit_code); attempt(|| active_children().len()); attempt(|| p.close());
            attempt(|| current_process().name); attempt(|| parent_process());
        "#,
        r#"
from multiprocessing import Pipe, active_children, current_process, parent_process, get_context
a, b = Pipe()
attempt(lambda: a.poll()); attempt(lambda: a.send(5)); attempt(lambda: b.poll()); attempt(lambda: b.poll(0.01)); attempt(lambda: b.recv())
attempt(lambda: a.poll(0.01)); attempt(lambda: b.send("x")); attempt(lambda: b.send([1, 2])); attempt(lambda: a.recv())
attempt(lambda: a.recv()); attempt(lambda: b.closed); attempt(lambda: b.send("last")); attempt(lambda: b.close())
attempt(lambda: b.closed); attempt(lambda: a.poll()); attempt(lambda: a.recv()); attempt(lambda: a.poll()); attempt(lambda: a.recv())
attempt(lambda: a.send(1))
def answer(c):
    mine.close(); n = c.recv(); c.send(n + 1); c.send(current_process().name); exit(3)
mine, theirs = Pipe()
p = get_context("fork").Process(target=answer, args=(theirs,), name="child")
p.start(); theirs.close()
attempt(lambda: len(active_children()))
attempt(lambda: mine.send(41)); attempt(lambda: mine.recv()); attempt(lambda: mine.recv()); attempt(lambda: mine.recv())
p.join()
attempt(lambda: p.exitcode); attempt(lambda: len(active_children())); attempt(lambda: p.close())
attempt(lambda: current_process().name); attempt(lambda: parent_process())
"#,
    ),
    (
        "shared arrays and listeners",
        r#"
            let a = SharedArray("i64", 3);
            attempt(|| a.len()); attempt(|| a[0]); attempt(|| { a[1] = 7; a[1] }); attempt(|| a[-2]); attempt(|| a[3]);
            attempt(|| { a[3] = 1; }); attempt(|| { a[0] = 1.5; }); attempt(|| a.extract(0..2)); attempt(|| a.extract(1..9));
            spawn_process(|a| { a[2] = 9; }, [a]).join();
            attempt(|| a.to_array());
            let f = SharedArray("f64", 1);
            attempt(|| { f[0] = 2; f[0] });
            let l = Listener("localhost:0", #{authkey: "k"});
            let at = l.address;
            for key in ["k", "wrong"] {
                let t = spawn_thread(|| {
                    try { let c = Client(at, #{authkey: key}); c.send(key); return c.recv(); } catch (e) { return e.kind; }
                });
                attempt(|| { let c = l.accept(); let x = c.recv(); c.send(x + x); x });
                attempt(|| t.join());
            }
            l.close();
            attempt(|| Client(at, #{authkey: "k"}));
        "#,
        r#"
from multiprocessing import Array, get_context
from multiprocessing.connection import Listener, Client
KINDS["ConnectionRefusedError"] = "IoError"
a = Array("q", 3)
def put(i, x): a[i] = x
attempt(lambda: len(a)); attempt(lambda: a[0]); attempt(lambda: [put(1, 7), a[1]][1]); attempt(lambda: a[-2]); attempt(lambda: a[3])
attempt(lambda: put(3, 1)); attempt(lambda: put(0, 1.5)); attempt(lambda: a[0:2]); attempt(lambda: a[1:9])
p = get_context("fork").Process(target=lambda: put(2, 9)); p.start(); p.join()
attempt(lambda: a[:])
f = Array("d", 1)
def first(): f[0] = 2; return f[0]
attempt(first)
l = Listener(("localhost", 0), authkey=b"k")
for key in ["k", "wrong"]:
    def client(): c = Client(l.address, authkey=key.encode()); c.send(key); return c.recv()
    said = []
    def there():
        try: said.append(client())
        except Exception as e: said.append(KINDS[type(e).__name__])
    t = threading.Thread(target=there); t.start()
    def accept(): c = l.accept(); x = c.recv(); c.send(x + x); return x
    attempt(accept)
    t.join(); print(said[0])
at = l.address
l.close()
attempt(lambda: Client(at, authkey=b"k"))
"#,
    ),
];

/// Python's one name for what has a kind of its own here.
const MISUSE: &[&str] = &["LockError", "ThreadError", "SemaphoreError", "ValueError"];

fn ours(out: &str) -> Vec<String> {
    out.lines().map(|line| if MISUSE.contains(&line) { "misuse".to_string() } else { line.to_string() }).collect()
}

/// What comes of a program in Python, line by line; `None` when there is none in the path.
fn theirs(what: &str, program: &str) -> Option<Vec<String>> {
    let run = |program: &str| Command::new("timeout").args(["60", "python3", "-c", program]).output();
    if !run("pass").is_ok_and(|output| output.status.success()) {
        println!("nothing is compared: there is no python3 in the path");
        return None;
    }
    let output = run(&format!("{PYTHONS}{program}")).expect("it ran before");
    let theirs = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{what}, in Python: {theirs}\n{said}");
    Some(theirs.lines().map(ToString::to_string).collect())
}

/// What comes of something in real time, where sleeps tell who is first: once more, a few times, when the machine may have held
/// somebody up.
fn unless_held_up<T: PartialEq>(wanted: &T, run: impl Fn() -> Option<T>) -> Option<T> {
    let mut came = run();
    for _ in 0..4 {
        match &came {
            Some(it) if it != wanted => came = run(),
            _ => break,
        }
    }
    came
}

#[test]
fn what_comes_of_it_is_what_comes_of_it_in_python() {
    std::thread::scope(|scope| {
        for (what, script, program) in ROWS {
            scope.spawn(move || {
                let script = format!("{OURS}{script}");
                let wanted = ours(&sim(&script));
                let Some(theirs) = unless_held_up(&wanted, || theirs(what, program)) else {
                    return;
                };
                assert_eq!(wanted, theirs, "{what}, in simulated time");
                let real = unless_held_up(&(theirs.clone(), 0), || {
                    let real = run_in(Setup::Real, &script);
                    Some((ours(&real.out), real.status))
                });
                assert_eq!(real, Some((theirs, 0)), "{what}");
            });
        }
    });
}

#[test]
fn what_comes_of_processes_is_what_comes_of_them_in_python() {
    for (what, script, program) in BETWEEN_PROCESSES {
        let Some(theirs) = theirs(what, program) else {
            return;
        };
        let script = format!("{OURS}{script}");
        for program in [Program::script(&script), Program::sim(&script)] {
            let seen = program.run();
            assert_eq!((ours(&seen.stdout), seen.status), (theirs.clone(), 0), "{what}: {}", seen.for_people());
        }
    }
}
