//! Output that was captured: in memory up to a cap, past that in a file without a name, which is gone with the process.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, open};

/// How much of one output is kept in memory, unless it is said otherwise.
pub const IN_MEMORY: usize = 256 << 20;

/// The least and the most that is read at once.
const LEAST: usize = 16 << 10;
const MOST: usize = 1 << 20;

/// Up to here the memory is as large as what it holds.
const LITTLE: usize = 4 << 10;

/// How much is read back at once.
const PIECE: usize = 256 << 10;

/// The sizes that the memory grows through.
const SIZES: [usize; 4] = [64 << 10, MOST, 16 << 20, IN_MEMORY + 2 * MOST];

thread_local! {
    /// Where little is read.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What one attempt to read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// Some bytes.
    Some,
    /// Nothing just now.
    Nothing,
    /// The end.
    End,
}

/// Bytes in the order in which they came.
#[derive(Debug)]
pub struct Store {
    /// How much is kept in memory.
    cap: usize,
    memory: Vec<u8>,
    /// What came first, where it was too much for the memory.
    file: Option<File>,
    in_file: u64,
    /// How much of `memory` has been taken by lines.
    taken: usize,
    /// How far `memory` has been searched for the end of a line.
    searched: usize,
    step: usize,
    /// The pipe has been made larger.
    is_wide: bool,
}

impl Default for Store {
    fn default() -> Store {
        Store::with_cap(IN_MEMORY)
    }
}

impl Store {
    /// An empty one that keeps so many bytes in memory.
    pub fn with_cap(cap: usize) -> Store {
        Store { cap, memory: Vec::new(), file: None, in_file: 0, taken: 0, searched: 0, step: 0, is_wide: false }
    }

    /// These bytes.
    pub fn of_bytes(memory: Vec<u8>) -> Store {
        Store { memory, ..Store::default() }
    }

    /// What a file holds now.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of_file(file: File) -> io::Result<Store> {
        let in_file = file.metadata()?.len();
        Ok(Store { file: Some(file), in_file, ..Store::default() })
    }

    /// Keeps so many bytes in memory from now on.
    pub fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
    }

    /// How many bytes it holds.
    pub fn len(&self) -> u64 {
        self.in_file + (self.memory.len() - self.taken) as u64
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads once from a descriptor that does not block.
    ///
    /// # Errors
    /// Those of the file that holds what is too much for the memory, say a full disk.
    pub fn read_from(&mut self, from: impl AsFd) -> io::Result<Got> {
        if self.taken > 0 && self.taken == self.memory.len() {
            self.memory.clear();
            (self.taken, self.searched) = (0, 0);
        }
        let room = self.step.clamp(LEAST, MOST);
        // Most commands write little or nothing, and room for it would be memory that is touched for each.
        let by_way = room == LEAST && self.memory.capacity() - self.memory.len() < LEAST;
        if !by_way {
            self.make_room(room);
        }
        loop {
            let read = match by_way {
                true => self.read_little(&from),
                false => rustix::io::read(&from, spare_capacity(&mut self.memory)),
            };
            return match read {
                Ok(0) => Ok(Got::End),
                Ok(n) => {
                    // More at once where there is much.
                    self.step = if n >= room { room * 2 } else { room };
                    if n >= LEAST && !std::mem::replace(&mut self.is_wide, true) {
                        // Fewer turns between writer and reader. Where the system grants no more, it stays as it is.
                        let _refused = rustix::pipe::fcntl_setpipe_size(&from, MOST);
                    }
                    self.spill().map(|()| Got::Some)
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => Ok(Got::Nothing),
                // A pseudo-terminal whose last user is gone.
                Err(rustix::io::Errno::IO) => Ok(Got::End),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Reads into the buffer of the thread, and takes from there what came.
    fn read_little(&mut self, from: impl AsFd) -> rustix::io::Result<usize> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            buffer.reserve_exact(LEAST);
            let n = rustix::io::read(from, spare_capacity(buffer))?;
            if self.memory.len() + n > LITTLE {
                self.make_room(n);
            }
            self.memory.extend_from_slice(buffer);
            Ok(n)
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// As [`Store::read_from`].
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_some() && bytes.len() >= PIECE {
            self.move_to_file()?;
            if let Some(file) = &mut self.file {
                file.write_all(bytes)?;
                self.in_file += bytes.len() as u64;
            }
            return Ok(());
        }
        self.memory.extend_from_slice(bytes);
        self.spill()
    }

    /// Doubling would copy what is there again and again. Addresses cost nothing until they are written to.
    fn make_room(&mut self, room: usize) {
        let wanted = self.memory.len() + room;
        if wanted > self.memory.capacity() {
            let size = SIZES.into_iter().find(|size| *size >= wanted).unwrap_or(wanted);
            self.memory.reserve_exact(size - self.memory.len());
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let held = self.memory.len() - self.taken;
        if held <= self.cap && (self.file.is_none() || held < MOST) {
            return Ok(());
        }
        self.move_to_file()
    }

    fn move_to_file(&mut self) -> io::Result<()> {
        let held = self.memory.len() - self.taken;
        if self.file.is_none() {
            self.file = Some(nameless_file("captured output")?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory[self.taken..])?;
        }
        self.in_file += held as u64;
        self.memory.clear();
        self.memory.shrink_to(MOST);
        (self.taken, self.searched) = (0, 0);
        Ok(())
    }

    /// Moves all of it to the end of `into`. What memory that had is used for what comes next, where it was empty.
    ///
    /// # Errors
    /// Those of the file.
    pub fn move_to(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        if into.is_empty() && self.file.is_none() && self.taken == 0 {
            std::mem::swap(into, &mut self.memory);
            self.searched = 0;
        } else {
            into.extend_from_slice(&self.take()?);
        }
        Ok(())
    }

    /// Takes all of it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn take(&mut self) -> io::Result<Vec<u8>> {
        let memory = std::mem::take(&mut self.memory);
        let (taken, file) = (std::mem::take(&mut self.taken), self.file.take());
        self.searched = 0;
        let in_file = std::mem::take(&mut self.in_file);
        let Some(mut file) = file else {
            return Ok(if taken == 0 { fitted(memory) } else { memory[taken..].to_vec() });
        };
        let mut all = Vec::with_capacity(usize::try_from(in_file).unwrap_or(0) + memory.len());
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut all)?;
        all.extend_from_slice(&memory[taken..]);
        Ok(all)
    }

    /// Takes the next line without its newline, or `longest` bytes of it where it has not ended by then. With `ended`, the
    /// rest counts as a line too.
    ///
    /// Whoever reads lines from the beginning never has any of it in a file; what lies there comes back to memory.
    ///
    /// # Errors
    /// Those of the file.
    pub fn take_line(&mut self, longest: usize, ended: bool) -> io::Result<Option<Vec<u8>>> {
        if self.file.is_some() {
            self.memory = self.take()?;
        }
        Ok(self.line_in_memory(longest, ended))
    }

    fn line_in_memory(&mut self, longest: usize, ended: bool) -> Option<Vec<u8>> {
        let from = self.searched.max(self.taken);
        let found = self.memory[from..].iter().position(|b| *b == b'\n').map(|at| from + at);
        let (end, next) = match found {
            Some(end) if end - self.taken <= longest => (end, end + 1),
            _ if self.memory.len() - self.taken > longest => (self.taken + longest, self.taken + longest),
            _ if ended && self.taken < self.memory.len() => (self.memory.len(), self.memory.len()),
            _ => {
                self.searched = self.memory.len();
                return None;
            }
        };
        let line = self.memory[self.taken..end].to_vec();
        (self.taken, self.searched) = (next, next);
        if self.taken > MOST && self.taken > self.memory.len() / 2 {
            self.memory.drain(..self.taken);
            (self.taken, self.searched) = (0, 0);
        }
        Some(line)
    }

    /// Gives all of it, piece by piece, and keeps it.
    ///
    /// # Errors
    /// Those of the file, and of `put`.
    pub fn copy_to(&self, mut put: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(file) = &self.file {
            let mut piece = vec![0; PIECE];
            let mut at = 0;
            while at < self.in_file {
                let wanted = usize::try_from(self.in_file - at).unwrap_or(PIECE).min(PIECE);
                file.read_exact_at(&mut piece[..wanted], at)?;
                put(&piece[..wanted])?;
                at += wanted as u64;
            }
        }
        match &self.memory[self.taken..] {
            [] => Ok(()),
            rest => put(rest),
        }
    }

    /// The last bytes, at most `most`, those in a file included.
    ///
    /// # Errors
    /// Those of the file.
    pub fn last(&self, most: usize) -> io::Result<Vec<u8>> {
        let in_memory = self.tail(most);
        let missing = self.in_file.min((most - in_memory.len()) as u64);
        let Some(file) = self.file.as_ref().filter(|_| missing > 0) else {
            return Ok(in_memory);
        };
        let mut last = vec![0; usize::try_from(missing).unwrap_or(0)];
        file.read_exact_at(&mut last, self.in_file - missing)?;
        last.extend_from_slice(&in_memory);
        Ok(last)
    }

    /// The last bytes, at most `most`, as far as they are in memory.
    pub fn tail(&self, most: usize) -> Vec<u8> {
        let rest = &self.memory[self.taken..];
        rest[rest.len().saturating_sub(most)..].to_vec()
    }
}

/// Without the addresses that it does not need, where it is small enough to be moved.
fn fitted(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < MOST {
        bytes.shrink_to_fit();
    }
    bytes
}

/// A file that nobody else can open, and that is gone with the process, for `what` is too much for the memory.
///
/// # Errors
/// Those of the system, with the folder.
pub fn nameless_file(what: &str) -> io::Result<File> {
    let folder = std::env::temp_dir();
    let made = open(&folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    let named = |error: rustix::io::Errno| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("cannot keep {what} in {}: {error}", folder.display()))
    };
    made.map(File::from).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_too_long_ones_in_pieces() -> io::Result<()> {
        let mut store = Store::default();
        store.push(b"one\n\ntwo")?;
        assert_eq!(store.take_line(10, false)?.as_deref(), Some(&b"one"[..]));
        assert_eq!(store.take_line(10, false)?.as_deref(), Some(&b""[..]));
        assert_eq!(store.take_line(10, false)?, None);
        store.push(b" and more\n")?;
        assert_eq!(store.take_line(5, false)?.as_deref(), Some(&b"two a"[..]));
        assert_eq!(store.take_line(10, false)?.as_deref(), Some(&b"nd more"[..]));
        store.push(b"rest")?;
        assert_eq!(store.take_line(10, false)?, None);
        assert_eq!(store.take_line(10, true)?.as_deref(), Some(&b"rest"[..]));
        assert_eq!(store.take_line(10, true)?, None);
        assert!(store.is_empty());
        Ok(())
    }

    #[test]
    fn little_takes_little_memory_and_comes_whole_when_it_becomes_much() -> io::Result<()> {
        let (reader, mut writer) = io::pipe()?;
        let (mut store, mut all) = (Store::default(), Vec::new());
        for n in 0..100u8 {
            let piece = [n; 1000];
            writer.write_all(&piece)?;
            all.extend_from_slice(&piece);
            assert_eq!(store.read_from(&reader)?, Got::Some);
            assert!(all.len() > LITTLE || store.memory.capacity() <= 2 * LITTLE);
        }
        drop(writer);
        assert_eq!(store.read_from(&reader)?, Got::End);
        assert_eq!(store.take()?, all);
        Ok(())
    }

    #[test]
    fn what_is_too_much_for_the_memory_comes_back_from_the_file() -> io::Result<()> {
        let mut store = Store::default();
        let block = vec![7u8; IN_MEMORY / 2];
        for _ in 0..3 {
            store.push(&block)?;
        }
        store.push(b"end")?;
        assert!(store.file.is_some() && store.len() == (block.len() * 3 + 3) as u64);
        let all = store.take()?;
        assert_eq!(all.len(), block.len() * 3 + 3);
        assert!(all.ends_with(b"end") && store.is_empty());
        Ok(())
    }

    #[test]
    fn what_lies_in_a_file_can_be_read_and_is_kept() -> io::Result<()> {
        let mut store = Store::with_cap(1000);
        let all: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        for piece in all.chunks(700_001) {
            store.push(piece)?;
        }
        store.push(b"end")?;
        assert!(store.file.is_some() && store.memory.len() < 2 * MOST);
        let mut copy = Vec::new();
        store.copy_to(|piece| {
            copy.extend_from_slice(piece);
            Ok(())
        })?;
        assert!(copy.len() == all.len() + 3 && copy.starts_with(&all));
        assert_eq!(store.last(5)?, copy[copy.len() - 5..]);
        assert_eq!(store.last(usize::MAX)?, copy);
        assert_eq!(store.take()?, copy);
        Ok(())
    }
}
