//! The program `orch`: hands the command line to [`orch::cli`].

// Without huge pages: each thread would have a page of 2 MiB cleared for itself (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(orch::cli::main(std::env::args_os()));
}
