//! The command line: what a person touches.

pub mod args;
pub mod doc;
pub mod dump;
pub mod family;
pub mod helper;
pub mod leaving;
pub mod map;
pub mod map_args;
pub mod repl;
pub mod run;
pub mod see;
pub mod terminal;
pub mod top;
pub mod work;

use std::ffi::OsString;

use args::{Command, Parsed};

/// Runs the program of this command line and returns its exit status.
pub fn main(words: impl IntoIterator<Item = OsString>) -> i32 {
    let words: Vec<OsString> = words.into_iter().collect();
    // Before anything else is set up: these have to be quick.
    if let Some(status) = helper::serve(&words) {
        return status;
    }
    helper::announce();
    let (command, script_args) = match args::parse(words) {
        Ok(Parsed { command, script_args }) => (command, script_args),
        Err(message) => return message.show(),
    };
    match command {
        Command::Run(options) => run::file(&options, script_args),
        Command::Eval(options) => run::code(&options),
        Command::Repl(options) => repl::run(&options),
        Command::Map(options) => map::run(&options),
        Command::Dump(options) => dump::show(&options),
        Command::Top(options) => top::watch(&options),
        Command::Doc(options) => doc::show(&options),
        Command::Man => doc::write_out(&args::manual()),
        Command::Completions { shell } => doc::write_out(&args::completions(shell)),
    }
}
