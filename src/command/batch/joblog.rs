//! The job log: what has been run, in GNU parallel's columns, so that its tools and habits work here too.
//!
//! Tab-separated, with a header: Seq, Host (`:`), Starttime, JobRuntime, Send (0), Receive (bytes of standard output),
//! Exitval, Signal, Command. A newline within a command is written as a NUL, which no command can hold; tabs need
//! nothing, since the command is the last column. A job that orch ended (its time was up, Ctrl-C, `halt`) has Exitval -1.
//!
//! Each line is one `write(2)` at the end of the file, when the job is over. So whatever ends orch, the log holds whole
//! lines but for the last, and that only where the system wrote half of it (a full disk). A last line without a newline
//! counts as not written, and is cut off before anything is added: with a newline behind it, it could be taken for
//! another, shorter command.
//!
//! What a resumed run skips is decided by the text of the command, never by its number alone: a list that has changed
//! in the meantime skips nothing that was not run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// Why the job log cannot be read or written.
#[derive(Debug)]
pub struct LogFault {
    /// The log.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job log {}: {}", self.path.display(), self.error)
    }
}

/// One line: a job that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The number of the job, from 1.
    pub seq: usize,
    /// When it was started, in seconds since 1970.
    pub started: f64,
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// How many bytes it wrote to its standard output.
    pub received: u64,
    /// Its exit code; -1 where orch ended it.
    pub exitval: i32,
    /// The signal that killed it, or 0.
    pub signal: i32,
    /// What was run.
    pub command: &'a str,
}

/// A job log that is written.
#[derive(Debug)]
pub struct JobLog {
    file: File,
    path: PathBuf,
    line: Vec<u8>,
}

impl JobLog {
    /// Begins a log, in place of an older one.
    ///
    /// # Errors
    /// Those of the system; another run that writes to it; a file that is no job log and would be lost.
    pub fn create(path: &Path) -> Result<JobLog, LogFault> {
        JobLog::open(path, false).map(|(log, _)| log)
    }

    /// Goes on with a log, if there is one: what it holds, and the log to be written to.
    ///
    /// # Errors
    /// As [`JobLog::create`].
    pub fn resume(path: &Path) -> Result<(JobLog, Record), LogFault> {
        JobLog::open(path, true)
    }

    fn open(path: &Path, keeps: bool) -> Result<(JobLog, Record), LogFault> {
        let fault = |error: io::Error| LogFault { path: path.to_path_buf(), error };
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(fault)?;
        let mut log = JobLog { file, path: path.to_path_buf(), line: Vec::new() };
        let record = log.prepare(keeps).map_err(fault)?;
        Ok((log, record))
    }

    /// Locks the file, reads what it holds, and sees to it that the next line is written behind a whole one.
    fn prepare(&mut self, keeps: bool) -> io::Result<Record> {
        if !self.file.metadata()?.is_file() {
            self.put(HEADER.as_bytes())?;
            return Ok(Record::default());
        }
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another run is writing to it")),
            // Some file systems know no locks; then nobody is kept away.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut held = Vec::new();
        File::open(&self.path)?.read_to_end(&mut held)?;
        let header = held.len().min(HEADER.len());
        if held[..header] != HEADER.as_bytes()[..header] {
            return Err(io::Error::other("is not a job log, and is left as it is"));
        }
        if !keeps {
            held.clear();
        }
        let whole = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.file.set_len(whole as u64)?;
        if whole == 0 {
            self.put(HEADER.as_bytes())?;
        }
        Ok(Record::read(&held[..whole]))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Those of the system; the log is then as it was before, if the system lets it.
    pub fn write(&mut self, entry: &Entry<'_>) -> Result<(), LogFault> {
        let Entry { seq, started, seconds, received, exitval, signal, command } = entry;
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let head = write!(line, "{seq}\t:\t{started:.3}\t{seconds:10.3}\t0\t{received}\t{exitval}\t{signal}\t");
        line.extend(command.bytes().map(|byte| if byte == b'\n' { 0 } else { byte }));
        line.push(b'\n');
        let written = head.and_then(|()| self.put(&line));
        self.line = line;
        written.map_err(|error| LogFault { path: self.path.clone(), error })
    }

    /// One write; what was written only in part is taken back.
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let written = loop {
            match self.file.write(line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        if written == line.len() {
            return Ok(());
        }
        let length = self.file.metadata()?.len();
        self.file.set_len(length.saturating_sub(written as u64))?;
        Err(io::Error::new(io::ErrorKind::StorageFull, "there is no room for another line"))
    }
}

impl Drop for JobLog {
    fn drop(&mut self) {
        // Closing is not enough: a child that is being started at this moment holds the file for a little while too. Where
        // there was no lock, there is none to give back.
        let _unlocked = self.file.unlock();
    }
}

/// What a job log says has been run.
#[derive(Debug, Default)]
pub struct Record {
    /// By command and number: the last line was a success.
    done: BTreeMap<String, BTreeMap<usize, bool>>,
}

impl Record {
    /// What a log holds, without touching it; nothing where there is none.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of_log(path: &Path) -> Result<Record, LogFault> {
        match std::fs::read(path) {
            Ok(log) => Ok(Record::read(&log)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(LogFault { path: path.to_path_buf(), error }),
        }
    }

    /// Reads the lines of a log; those that are none are passed over.
    pub fn read(log: &[u8]) -> Record {
        let mut record = Record::default();
        let whole = log.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        for line in log[..whole].split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let columns: Vec<&str> = line.splitn(9, '\t').collect();
            let [seq, _, _, _, _, _, exitval, signal, command] = columns[..] else { continue };
            let numbers = (seq.parse(), exitval.parse::<i64>(), signal.parse::<i64>());
            if let (Ok(seq), Ok(exitval), Ok(signal)) = numbers {
                let done = (exitval, signal) == (0, 0);
                record.done.entry(command.replace('\0', "\n")).or_default().insert(seq, done);
            }
        }
        record
    }

    /// Which of these jobs, given by number and command in the order of their numbers, are done.
    ///
    /// Of several equal commands as many count as done as the log says: first those with their own number in the log, then,
    /// where the list has changed, whichever come first.
    pub fn done(&self, jobs: &[(usize, &str)]) -> Vec<bool> {
        let is_own =
            |seq: &usize, command: &str| self.done.get(command).is_some_and(|by_seq| by_seq.get(seq) == Some(&true));
        let mut done: Vec<bool> = jobs.iter().map(|(seq, command)| is_own(seq, command)).collect();
        let mut spare: BTreeMap<&str, usize> = BTreeMap::new();
        for (command, by_seq) in &self.done {
            spare.insert(command, by_seq.values().filter(|done| **done).count());
        }
        for ((_, command), _) in jobs.iter().zip(&done).filter(|(_, done)| **done) {
            if let Some(spare) = spare.get_mut(command) {
                *spare -= 1;
            }
        }
        for ((_, command), done) in jobs.iter().zip(&mut done).filter(|(_, done)| !**done) {
            if let Some(spare) = spare.get_mut(command).filter(|spare| **spare > 0) {
                *spare -= 1;
                *done = true;
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entry<'a>(seq: usize, exitval: i32, command: &'a str) -> Entry<'a> {
        Entry { seq, started: 1795388999.5281, seconds: 0.0034, received: 3, exitval, signal: 0, command }
    }

    fn record(lines: &[(usize, i32, &str)]) -> Record {
        let mut text = HEADER.to_string();
        for (seq, exitval, command) in lines {
            text += &format!("{seq}\t:\t1.0\t     0.003\t0\t0\t{exitval}\t0\t{command}\n");
        }
        Record::read(text.as_bytes())
    }

    fn done(lines: &[(usize, i32, &str)], jobs: &[&str]) -> Vec<usize> {
        let jobs: Vec<(usize, &str)> = jobs.iter().enumerate().map(|(i, job)| (i + 1, *job)).collect();
        let done = record(lines).done(&jobs);
        done.iter().zip(1..).filter(|(done, _)| **done).map(|(_, seq)| seq).collect()
    }

    #[test]
    fn lines_have_the_columns_of_gnu_parallel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = JobLog::create(&path).unwrap();
        log.write(&entry(1, 0, "echo hi")).unwrap();
        log.write(&Entry { signal: 9, seconds: 12345.5, received: 0, ..entry(2, 0, "kill -9 $$") }).unwrap();
        log.write(&entry(3, -1, "echo \"a\nb\"\tc")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let wanted = "1\t:\t1795388999.528\t     0.003\t0\t3\t0\t0\techo hi\n\
            2\t:\t1795388999.528\t 12345.500\t0\t0\t0\t9\tkill -9 $$\n\
            3\t:\t1795388999.528\t     0.003\t0\t3\t-1\t0\techo \"a\0b\"\tc\n";
        assert_eq!(text, format!("{HEADER}{wanted}"));
        let read = Record::read(text.as_bytes());
        assert_eq!(read.done(&[(1, "echo hi"), (2, "kill -9 $$")]), [true, false]);
        assert!(read.done.contains_key("echo \"a\nb\"\tc"));
    }

    #[test]
    fn a_log_cut_anywhere_is_mended_and_loses_only_its_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = JobLog::create(&path).unwrap();
        log.write(&entry(1, 0, "first")).unwrap();
        let one = fs::read(&path).unwrap();
        log.write(&entry(2, 0, "second and more")).unwrap();
        drop(log);
        let whole = fs::read(&path).unwrap();
        let jobs = [(1, "first"), (2, "second and more"), (3, "second"), (4, "second and")];
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut log, read) = JobLog::resume(&path).unwrap();
            let all = [cut >= one.len(), cut == whole.len(), false, false];
            assert_eq!(read.done(&jobs), all, "cut at {cut}");
            log.write(&entry(2, 0, "second and more")).unwrap();
            let again = Record::read(&fs::read(&path).unwrap());
            assert_eq!(again.done(&jobs), [cut >= one.len(), true, false, false], "mended at {cut}");
        }
    }

    #[test]
    fn what_failed_runs_again_and_what_is_done_does_not() {
        assert_eq!(done(&[(1, 0, "a"), (2, 1, "b")], &["a", "b", "c"]), [1]);
        assert_eq!(done(&[(1, 1, "a"), (1, 0, "a")], &["a"]), [1]);
        assert_eq!(done(&[(1, 0, "a"), (1, 1, "a")], &["a"]), [0usize; 0]);
    }

    #[test]
    fn the_text_decides_and_not_the_number() {
        assert_eq!(done(&[(1, 0, "a"), (2, 0, "b")], &["b", "new", "a"]), [1, 3]);
        assert_eq!(done(&[(1, 0, "a")], &["A"]), [0usize; 0]);
    }

    #[test]
    fn equal_commands_are_counted() {
        assert_eq!(done(&[(1, 0, "a")], &["a", "a"]), [1]);
        assert_eq!(done(&[(2, 0, "a")], &["a", "a"]), [2]);
        assert_eq!(done(&[(1, 1, "a"), (2, 0, "a")], &["a", "a"]), [2]);
        assert_eq!(done(&[(1, 0, "a"), (2, 0, "a")], &["x", "a", "a", "a"]), [2, 3]);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let log = b"x\n1\t:\t1\t1\t0\t0\t0\t0\n\0\0\0\n2\t:\t1\t1\t0\t0\tno\t0\tb\n3\t:\t1\t1\t0\t0\t0\t0\tc\xff\n4\t:\t1\t1\t0\t0\t0\t0\td\n";
        assert_eq!(Record::read(log).done(&[(1, ""), (2, "b"), (4, "d")]), [false, false, true]);
        assert_eq!(Record::read(b"").done(&[(1, "")]), [false]);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/log");
        let fault = JobLog::create(&missing).unwrap_err();
        assert_eq!(fault.path, missing);
        assert!(fault.to_string().contains("no/log: No such file"), "{fault}");
        let fault = JobLog::resume(Path::new("/dev/full")).unwrap_err();
        assert_eq!(fault.error.kind(), io::ErrorKind::StorageFull, "{fault}");
    }

    #[test]
    fn another_file_is_not_overwritten_and_two_runs_do_not_share_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        fs::write(&path, "Dear all").unwrap();
        assert!(JobLog::create(&path).unwrap_err().to_string().contains("not a job log"));
        assert!(JobLog::resume(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"Dear all");
        let path = folder.path().join("log");
        let first = JobLog::create(&path).unwrap();
        assert!(JobLog::resume(&path).unwrap_err().to_string().contains("another run"));
        drop(first);
        assert!(JobLog::resume(&path).is_ok());
    }

    #[test]
    fn a_new_run_begins_a_new_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        JobLog::create(&path).unwrap().write(&entry(1, 0, "a")).unwrap();
        drop(JobLog::create(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), HEADER);
    }
}
