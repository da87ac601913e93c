//! In which order the outputs of many jobs are passed on, so that they do not end up in each other.
//!
//! | order | what is passed on, and when |
//! |---|---|
//! | group | the whole output of a job, then its whole standard error, as soon as it is over |
//! | input | the same, but in the order of the jobs |
//! | line | each line as soon as it is whole |
//! | mixed | whatever comes, at once |
//!
//! Invariants: in "line", what is passed on ends with a newline, so no line is ever torn, however long it is: a line is kept
//! until its newline comes, the first mebibyte in memory and the rest in a file; a job's last line gets a newline where it
//! has none. With tags, every line begins with the tag, and the same holds. Without tags, "group" and "input" change no byte.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use crate::command::completed::Completed;
use crate::command::store::Store;
use crate::command::stream::Which;

/// How much of a line that has not ended, or of an output that has to wait for its turn, is kept in memory.
const IN_MEMORY: usize = 1 << 20;

/// What is passed on at once is no more than about this.
const PIECE: usize = 256 << 10;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Whole outputs as jobs finish.
    #[default]
    Group,
    /// Whole outputs in the order of the jobs.
    Input,
    /// Whole lines as they come.
    Line,
    /// As it comes.
    Mixed,
}

/// Where outputs go.
pub trait Sink {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Those of the system.
    fn put(&mut self, which: Which, bytes: &[u8]) -> io::Result<()>;
}

/// Passes outputs on in order.
pub struct Arranger<S> {
    order: Order,
    tagged: bool,
    sink: S,
    buffer: Vec<u8>,
    /// Lines that have not ended, by job.
    open: HashMap<usize, [Store; 2]>,
    /// Whose turn it is, and what came too early; nothing of a job that was not run.
    turn: usize,
    early: BTreeMap<usize, Option<[Store; 2]>>,
}

const BOTH: [Which; 2] = [Which::Stdout, Which::Stderr];

fn place(which: Which) -> usize {
    match which {
        Which::Stdout => 0,
        Which::Stderr => 1,
    }
}

impl<S: Sink> Arranger<S> {
    /// Passes on to `sink`.
    pub fn new(order: Order, tagged: bool, sink: S) -> Arranger<S> {
        Arranger { order, tagged, sink, buffer: Vec::new(), open: HashMap::new(), turn: 0, early: BTreeMap::new() }
    }

    /// True when it wants what jobs write while they run.
    pub fn is_live(&self) -> bool {
        matches!(self.order, Order::Line | Order::Mixed)
    }

    /// A running job has written this.
    ///
    /// # Errors
    /// Those of the sink, and of the file for lines that are very long.
    pub fn chunk(&mut self, job: usize, tag: &str, which: Which, bytes: &[u8]) -> io::Result<()> {
        if self.order == Order::Mixed {
            return self.sink.put(which, bytes);
        }
        let lines = self.open.entry(job).or_insert_with(|| [(); 2].map(|()| Store::with_cap(IN_MEMORY)));
        let line = &mut lines[place(which)];
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return line.push(bytes);
        };
        let mut writer = Writer::new(&mut self.sink, &mut self.buffer, which, self.tagged.then_some(tag));
        if !line.is_empty() {
            line.copy_to(|piece| writer.write(piece))?;
            *line = Store::with_cap(IN_MEMORY);
        }
        writer.write(&bytes[..=end])?;
        writer.finish(false)?;
        line.push(&bytes[end + 1..])
    }

    /// A running job has ended that is going to be run again: its last line is over.
    ///
    /// # Errors
    /// As [`Arranger::chunk`].
    pub fn interrupted(&mut self, job: usize, tag: &str) -> io::Result<()> {
        let Some(lines) = self.open.remove(&job) else {
            return Ok(());
        };
        for which in BOTH {
            let line = &lines[place(which)];
            let mut writer = Writer::new(&mut self.sink, &mut self.buffer, which, self.tagged.then_some(tag));
            line.copy_to(|piece| writer.write(piece))?;
            writer.finish(true)?;
        }
        Ok(())
    }

    /// A job is over, with all that it wrote; or it is not going to be run.
    ///
    /// # Errors
    /// As [`Arranger::chunk`].
    pub fn over(&mut self, job: usize, tag: &str, done: Option<&Arc<Completed>>) -> io::Result<()> {
        match (self.order, done) {
            (Order::Mixed, _) | (Order::Group, None) => Ok(()),
            (Order::Line, _) => self.interrupted(job, tag),
            (Order::Group, Some(done)) => self.whole(tag, done),
            (Order::Input, done) if job == self.turn => {
                if let Some(done) = done {
                    self.whole(tag, done)?;
                }
                self.turn += 1;
                while let Some(waited) = self.early.remove(&self.turn) {
                    for (which, store) in BOTH.into_iter().zip(waited.into_iter().flatten()) {
                        let mut writer = Writer::new(&mut self.sink, &mut self.buffer, which, None);
                        store.copy_to(|piece| writer.write(piece))?;
                        writer.finish(false)?;
                    }
                    self.turn += 1;
                }
                Ok(())
            }
            (Order::Input, done) => {
                // A copy: a script may take what the job wrote before its turn comes.
                let kept = done.map(|done| rendered(done, self.tagged.then_some(tag))).transpose()?;
                self.early.insert(job, kept);
                Ok(())
            }
        }
    }

    fn whole(&mut self, tag: &str, done: &Completed) -> io::Result<()> {
        for which in BOTH {
            let mut writer = Writer::new(&mut self.sink, &mut self.buffer, which, self.tagged.then_some(tag));
            done.captured(which).copy_to(|piece| writer.write(piece))?;
            writer.finish(self.tagged)?;
        }
        Ok(())
    }
}

/// What a job wrote, as it is going to be passed on.
fn rendered(done: &Completed, tag: Option<&str>) -> io::Result<[Store; 2]> {
    let mut stores = [(); 2].map(|()| Store::with_cap(IN_MEMORY));
    for (which, store) in BOTH.into_iter().zip(&mut stores) {
        let mut buffer = Vec::new();
        let mut writer = Writer::new(store, &mut buffer, which, tag);
        done.captured(which).copy_to(|piece| writer.write(piece))?;
        writer.finish(tag.is_some())?;
    }
    Ok(stores)
}

impl Sink for Store {
    fn put(&mut self, _which: Which, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes)
    }
}

/// Writes with tags and in few pieces.
struct Writer<'a, S> {
    sink: &'a mut S,
    buffer: &'a mut Vec<u8>,
    which: Which,
    tag: Option<&'a str>,
    at_start: bool,
}

impl<'a, S> Writer<'a, S> {
    fn new(sink: &'a mut S, buffer: &'a mut Vec<u8>, which: Which, tag: Option<&'a str>) -> Self {
        buffer.clear();
        Writer { sink, buffer, which, tag, at_start: true }
    }
}

impl<S: Sink> Writer<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.tag {
            None if self.buffer.is_empty() && bytes.len() >= PIECE => self.sink.put(self.which, bytes)?,
            None => self.buffer.extend_from_slice(bytes),
            Some(tag) => {
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    if self.at_start {
                        self.buffer.extend_from_slice(tag.as_bytes());
                        self.buffer.push(b'\t');
                    }
                    self.buffer.extend_from_slice(line);
                    self.at_start = line.ends_with(b"\n");
                }
            }
        }
        if let Some(last) = bytes.last() {
            self.at_start = *last == b'\n';
        }
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// With `whole_lines`, the last one gets a newline where it has none.
    fn finish(mut self, whole_lines: bool) -> io::Result<()> {
        if whole_lines && !self.at_start {
            self.buffer.push(b'\n');
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.sink.put(self.which, self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::completed::{Captured, End, StageEnd};

    /// What was passed on; standard error in brackets.
    #[derive(Default)]
    struct Written(String);

    impl Sink for &mut Written {
        fn put(&mut self, which: Which, bytes: &[u8]) -> io::Result<()> {
            assert!(!bytes.is_empty());
            let text = String::from_utf8_lossy(bytes);
            match which {
                Which::Stdout => self.0.push_str(&text),
                Which::Stderr => self.0.push_str(&format!("[{text}]")),
            }
            Ok(())
        }
    }

    fn completed(stdout: &str, stderr: &str) -> Arc<Completed> {
        let captured = |text: &str| {
            let mut store = Store::default();
            store.push(text.as_bytes()).unwrap();
            Captured::new(store)
        };
        let stage = StageEnd { command: "x".into(), pid: 1, end: End::Code(0), unchecked: false, seconds: 0.0 };
        Arc::new(Completed {
            command: "x".into(),
            stages: vec![stage],
            seconds: 0.0,
            timed_out: false,
            note: None,
            stdout: captured(stdout),
            stderr: captured(stderr),
        })
    }

    #[test]
    fn groups_are_whole_and_untouched() {
        let mut written = Written::default();
        let mut arranger = Arranger::new(Order::Group, false, &mut written);
        arranger.over(2, "", Some(&completed("two", "e"))).unwrap();
        arranger.over(1, "", None).unwrap();
        arranger.over(0, "", Some(&completed("a\nb\n", ""))).unwrap();
        assert_eq!(written.0, "two[e]a\nb\n");
    }

    #[test]
    fn tags_begin_every_line_and_lines_end() {
        let mut written = Written::default();
        let mut arranger = Arranger::new(Order::Group, true, &mut written);
        arranger.over(0, "x y", Some(&completed("a\n\nb", "e"))).unwrap();
        assert_eq!(written.0, "x y\ta\nx y\t\nx y\tb\n[x y\te\n]");
    }

    #[test]
    fn the_order_of_the_input_is_kept() {
        let mut written = Written::default();
        let mut arranger = Arranger::new(Order::Input, true, &mut written);
        arranger.over(3, "d", Some(&completed("D", "e"))).unwrap();
        let second = completed("B\n", "");
        arranger.over(1, "b", Some(&second)).unwrap();
        second.stdout.take().unwrap(); // by a callback of the script
        arranger.over(2, "c", None).unwrap();
        arranger.over(0, "a", Some(&completed("A\n", ""))).unwrap();
        arranger.over(4, "e", Some(&completed("E\n", ""))).unwrap();
        assert_eq!(written.0, "a\tA\nb\tB\nd\tD\n[d\te\n]e\tE\n");
    }

    #[test]
    fn lines_are_never_torn() {
        let mut written = Written::default();
        let mut arranger = Arranger::new(Order::Line, false, &mut written);
        arranger.chunk(0, "", Which::Stdout, b"zero ").unwrap();
        arranger.chunk(1, "", Which::Stdout, b"one\nand ").unwrap();
        arranger.chunk(0, "", Which::Stderr, b"err").unwrap();
        arranger.chunk(0, "", Which::Stdout, b"goes on").unwrap();
        arranger.chunk(1, "", Which::Stdout, b"more\n\nlast").unwrap();
        arranger.chunk(0, "", Which::Stdout, b"\n").unwrap();
        arranger.over(1, "", Some(&completed("", ""))).unwrap();
        arranger.over(0, "", Some(&completed("", ""))).unwrap();
        assert_eq!(written.0, "one\nand more\n\nzero goes on\nlast\n[err\n]");
    }

    #[test]
    fn lines_with_tags_and_a_second_try() {
        let mut written = Written::default();
        let mut arranger = Arranger::new(Order::Line, true, &mut written);
        arranger.chunk(0, "a", Which::Stdout, b"1\n2").unwrap();
        arranger.interrupted(0, "a").unwrap();
        arranger.chunk(0, "a", Which::Stdout, b"3").unwrap();
        arranger.over(0, "a", None).unwrap();
        assert_eq!(written.0, "a\t1\na\t2\na\t3\n");
    }

    /// Counts without keeping.
    #[derive(Default)]
    struct Counted {
        bytes: usize,
        largest: usize,
        tabs: usize,
    }

    impl Sink for &mut Counted {
        fn put(&mut self, _which: Which, bytes: &[u8]) -> io::Result<()> {
            self.bytes += bytes.len();
            self.largest = self.largest.max(bytes.len());
            self.tabs += bytes.iter().filter(|byte| **byte == b'\t').count();
            Ok(())
        }
    }

    #[test]
    fn a_very_long_line_waits_in_a_file() {
        let mut counted = Counted::default();
        let mut arranger = Arranger::new(Order::Line, true, &mut counted);
        let piece = vec![b'x'; 60_000];
        for _ in 0..500 {
            arranger.chunk(0, "long", Which::Stdout, &piece).unwrap();
        }
        assert_eq!(arranger.sink.bytes, 0, "it has not ended");
        arranger.chunk(1, "short", Which::Stdout, b"in between\n").unwrap();
        arranger.chunk(0, "long", Which::Stdout, b"\n").unwrap();
        assert_eq!(counted.bytes, "short\tin between\n".len() + "long\t\n".len() + 500 * piece.len());
        assert_eq!(counted.tabs, 2);
        assert!(counted.largest < 4 << 20, "{}", counted.largest);
    }
}
