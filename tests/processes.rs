//! Processes: what they do as threads do, pools of them, what they share and what connects them, and what becomes of it all
//! when one dies.

#[path = "processes/alike.rs"]
mod alike;
#[path = "processes/crash_table.rs"]
mod crash_table;
#[path = "processes/forks.rs"]
mod forks;
#[path = "processes/pipes.rs"]
mod pipes;
#[path = "processes/pools.rs"]
mod pools;
#[path = "processes/shared_memory.rs"]
mod shared_memory;
mod whole;
