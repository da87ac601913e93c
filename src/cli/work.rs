//! `orch __worker`: a process of a script, started by orch itself.

use std::sync::Arc;

use super::see::Seeing;
use super::terminal::Terminal;
use crate::kernel::{Kernel, Setup};
use crate::script::identity::Identity;
use crate::script::{Host, Nobody, Origin, remote};
use crate::worker::desk::{Desk, Papers};
use crate::worker::fork_server;

/// Runs the worker whose socket is the standard input: its status.
pub fn serve() -> i32 {
    serve_as(Nobody::prepare())
}

/// Runs the process that copies itself when orch wants a worker, and each of its copies: its status, or that of the copy.
pub fn serve_forks() -> i32 {
    let nobody = Nobody::prepare();
    match fork_server::serve() {
        Ok(Some(())) => serve_as(nobody),
        Ok(None) => 0,
        Err(error) => {
            eprintln!("error: orch starts this itself: {error}");
            2
        }
    }
}

fn serve_as(nobody: Nobody) -> i32 {
    let mut papers = match Papers::receive() {
        Ok(papers) => papers,
        Err(error) => {
            eprintln!("error: this is no worker of orch's: {error}");
            return 2;
        }
    };
    let kernel = Kernel::new(Setup::Real);
    let name = papers.name.clone();
    let recording = papers.recording.take();
    let host = Host::of_worker(kernel.clone(), Box::new(Terminal::default()), papers.args.clone(), nobody);
    host.comes_from(Origin { script: papers.script.clone(), folder: papers.folder.clone(), path: papers.path.clone() });
    host.is(Identity { name: name.clone(), daemon: papers.daemon, parent: Some(papers.parent.clone()) });
    let desk = Desk::new(&kernel, papers);
    let started = Seeing::in_worker(&kernel, &name, recording, Arc::new(|note| eprint!("{note}"))).and_then(|seeing| {
        super::run::watch_signals(&host)?;
        remote::start(&host, desk.clone(), &name)?;
        Ok(seeing)
    });
    let seeing = match started {
        Ok(seeing) => seeing,
        Err(error) => {
            host.say(&format!("error: cannot start: {error}\n"));
            return 1;
        }
    };
    let status = seeing.until_over(&kernel);
    // Threads whose commands are ended with the worker have nothing to say about that.
    kernel.end_others();
    super::run::clear_up(&kernel, |note| eprint!("{note}"));
    seeing.finish(&kernel);
    if host.signals().asked_with().is_some_and(|signal| signal.status() == status) {
        // Whoever waits for it is told what ended it.
        host.signals().end_by_it();
    }
    desk.leave();
    status
}
