//! What a query has found: in memory up to a cap, past that in a file without a name.
//!
//! A query is read to its end before its first row is given. So it holds no lock and no snapshot while the script goes
//! through the rows, the script may write what it likes meanwhile, and what it sees is the state of one moment.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};

use super::cell::Cell;
use crate::command::store::nameless_file;

/// How much is kept in memory.
const IN_MEMORY: usize = 8 << 20;

/// The values of one row, in the order of the columns.
pub type Row = Vec<Cell>;

/// Rows in the order in which they were found.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<String>,
    memory: VecDeque<Row>,
    file: Option<BufReader<File>>,
    in_file: u64,
}

impl Rows {
    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// Those of the file.
    pub fn take(&mut self) -> io::Result<Option<Row>> {
        if let Some(row) = self.memory.pop_front() {
            return Ok(Some(row));
        }
        let Some(file) = self.file.as_mut().filter(|_| self.in_file > 0) else {
            return Ok(None);
        };
        self.in_file -= 1;
        rmp_serde::from_read(file).map(Some).map_err(io::Error::other)
    }
}

/// Rows while they are found.
pub(super) struct Gathered {
    columns: Vec<String>,
    memory: VecDeque<Row>,
    weight: usize,
    cap: usize,
    file: Option<BufWriter<File>>,
    in_file: u64,
}

impl Gathered {
    /// None yet, of these columns.
    pub fn new(columns: Vec<String>) -> Gathered {
        Gathered { columns, memory: VecDeque::new(), weight: 0, cap: IN_MEMORY, file: None, in_file: 0 }
    }

    /// One more.
    ///
    /// # Errors
    /// Those of the file, say a full disk.
    pub fn push(&mut self, row: Row) -> io::Result<()> {
        if self.weight < self.cap {
            self.weight += row.iter().map(Cell::weight).sum::<usize>();
            self.memory.push_back(row);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::with_capacity(256 << 10, nameless_file("the rows of a query")?)),
        };
        self.in_file += 1;
        rmp_serde::encode::write(file, &row).map_err(io::Error::other)
    }

    /// All are found.
    ///
    /// # Errors
    /// As [`Gathered::push`].
    pub fn finish(self) -> io::Result<Rows> {
        let Gathered { columns, memory, file, in_file, .. } = self;
        let file = match file {
            Some(mut file) => {
                file.flush()?;
                let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.rewind()?;
                Some(BufReader::with_capacity(256 << 10, file))
            }
            None => None,
        };
        Ok(Rows { columns, memory, file, in_file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_the_memory_comes_back_in_order() -> io::Result<()> {
        let mut gathered = Gathered { cap: 1000, ..Gathered::new(vec!["n".into(), "text".into()]) };
        let row = |n: i64| {
            vec![
                Cell::Int(n),
                Cell::Text("ü".repeat(n as usize % 7)),
                Cell::Null,
                Cell::Float(0.5),
                Cell::Blob(vec![0, 255]),
            ]
        };
        for n in 0..500 {
            gathered.push(row(n))?;
        }
        assert!(gathered.in_file > 400, "{}", gathered.in_file);
        let mut rows = gathered.finish()?;
        for n in 0..500 {
            assert_eq!(rows.take()?, Some(row(n)));
        }
        assert_eq!(rows.take()?, None);
        assert_eq!(rows.take()?, None);
        Ok(())
    }
}
