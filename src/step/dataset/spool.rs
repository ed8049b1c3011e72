use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Keeps bytes until they are wanted in another order: in memory up to a bound, beyond it in an unnamed file.
pub struct Spool {
    memory: String,
    bound: usize,
    file: Option<File>,
    /// How many bytes the file holds; what is in memory comes after them.
    filed: u64,
}

impl Spool {
    /// Starts empty; about `bound` bytes are held in memory.
    pub fn new(bound: usize) -> Self {
        Self { memory: String::new(), bound, file: None, filed: 0 }
    }

    /// Appends what `write` writes and returns its offset.
    pub fn append(&mut self, write: impl FnOnce(&mut String)) -> io::Result<u64> {
        if self.memory.len() >= self.bound {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.write_all(self.memory.as_bytes())?;
            self.filed += self.memory.len() as u64;
            self.memory.clear();
        }
        let at = self.filed + self.memory.len() as u64;
        write(&mut self.memory);
        Ok(at)
    }

    /// Appends the `len` bytes at an offset to `out`.
    pub fn read(&mut self, at: u64, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if at >= self.filed {
            let start = (at - self.filed) as usize;
            out.extend_from_slice(&self.memory.as_bytes()[start..start + len]);
            return Ok(());
        }
        // An append is never divided between file and memory.
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        file.seek(SeekFrom::Start(at))?;
        let start = out.len();
        out.resize(start + len, 0);
        file.read_exact(&mut out[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_bytes_come_back_from_a_file() {
        let mut spool = Spool::new(10);
        let texts: Vec<String> = (0..40).map(|n| format!("<{n}>")).collect();
        let places: Vec<u64> = texts.iter().map(|t| spool.append(|out| out.push_str(t)).unwrap()).collect();
        assert!(spool.filed > 0);
        let mut out = Vec::new();
        for (at, text) in places.iter().zip(&texts).rev() {
            spool.read(*at, text.len(), &mut out).unwrap();
        }
        let expected: String = texts.iter().rev().map(String::as_str).collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
