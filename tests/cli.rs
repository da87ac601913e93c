//! What a person meets: the command line, the reports of errors, and what the README shows.

#[path = "cli/line.rs"]
mod line;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/reports.rs"]
mod reports;
mod whole;
