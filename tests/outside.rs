//! What lies outside: servers, databases, and the crawler that puts both to use. All with real sockets and files, since what
//! can go wrong there is what these tests are about.

mod whole;

#[path = "outside/crawler.rs"]
mod crawler;
#[path = "outside/html.rs"]
mod html;
#[path = "outside/http.rs"]
mod http;
#[path = "outside/server.rs"]
mod server;
#[path = "outside/sqlite.rs"]
mod sqlite;

use std::process::{Child, Command};

use whole::program::Program;

/// Starts a program that is to be disturbed while it runs.
fn start(program: &Program) -> Child {
    program.command().spawn().unwrap()
}

/// Sends a signal to it.
fn signal(child: &Child, name: &str) {
    drop(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status());
}
