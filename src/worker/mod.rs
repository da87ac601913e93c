//! Worker processes: orch started again, to call functions of the script.
//!
//! This room moves bytes and knows nothing of Rhai; `script/` says what they mean.
//!
//! ```text
//!   main process                                             worker (`orch __worker`)
//!
//!   a task ── tell ──► Outgoing ══ ToWorker ══► Incoming ── its reader, a task ──► queue of errands, cancellations
//!      ▲                        one Unix socket                                         │
//!      └──── hear ─── Incoming ◄══ FromWorker ══ Outgoing ◄── say ─── its main task, which calls the functions
//! ```
//!
//! Both ends never block outside the kernel's door: what the socket does not take waits in memory, and a task that waits
//! for the other side polls the socket and, in the main process, the worker's pidfd. Nothing is read or written by a thread
//! that nobody asked for. The end of a worker is told by its pidfd; what it wrote before is read first. The end of the main
//! process is told to the worker by the end of the socket.
//!
//! A worker that was given a handle has a second socket, for what it asks about the object behind it:
//!
//! ```text
//!   broker's task ◄── [`switchboard`] ◄══ Ask ══ [`link`] ◄── any task of the worker that calls a function of a stand-in
//!        └───────────────────────────── Told ══════► whoever waits there takes in all that comes, and wakes those it is for
//! ```
//!
//! The first worker is a program that starts; those after it are copies of one that waits for that ([`fork_server`]).
//!
//! Connections are beside all that: two ends that scripts speak through, in this program ([`pair`], [`connection`]), in
//! two processes of it (an end goes there as a descriptor), or in two programs ([`listener`], [`client`]).

pub mod address;
pub mod answering;
pub mod ask;
pub mod client;
pub mod connection;
pub mod desk;
pub mod far_object;
pub mod fork_server;
pub mod handshake;
pub mod link;
pub mod listener;
pub mod memory;
pub mod pair;
pub mod pipe;
pub mod simulated;
pub mod switchboard;
pub mod wire;
pub mod workman;

/// The word that makes orch a worker.
pub const WORD: &str = "__worker";
