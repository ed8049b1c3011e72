use super::output::Output;
use super::problem::printable;

/// Is a table for a terminal: each column is as wide as its widest cell, so that a long name runs into nothing.
pub struct TextTable {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// Starts a table; a column whose heading starts with `>` is set to the right.
    pub fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = |heading: &&str| heading.trim_start_matches('>').to_owned();
        Self { right, rows: vec![headings.iter().map(heading).collect()] }
    }

    /// Adds a row. What a terminal would obey is shown as a mark.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Prints it, its lines indented by two; nothing where it has no row.
    pub fn print(&self, out: &Output) {
        if self.rows.len() > 1 {
            self.lines().iter().for_each(|line| out.line(line));
        }
    }

    fn lines(&self) -> Vec<String> {
        let extent = |cell: &String| cell.chars().count();
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(extent).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&self.right).zip(&widths).map(|((cell, is_right), width)| {
                if *is_right { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") }
            });
            cells.collect::<String>().trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_runs_into_nothing() {
        let mut table = TextTable::new(&["dataset", ">n", "flips"]);
        table.row(["a_name_of_some_length".to_owned(), "3".to_owned(), "0->1: 2".to_owned()]);
        table.row(["d\u{1b}".to_owned(), "12345".to_owned(), String::new()]);
        let expected = [
            "  dataset                    n  flips",
            "  a_name_of_some_length      3  0->1: 2",
            "  d\u{fffd}                     12345",
        ];
        assert_eq!(table.lines(), expected);
    }
}
