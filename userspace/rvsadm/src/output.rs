// SPDX-License-Identifier: GPL-2.0

//! Tables for people.

use std::io::{self, Write};

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

/// Says something beside the output, if anybody listens: with nobody there it is still to be done what
/// was asked for.
pub fn say(words: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// How a column is aligned.
#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
}

/// Columns with a heading each; numbers are right-aligned.
pub struct Table {
    builder: Builder,
    aligns: Vec<Align>,
    heading: Vec<&'static str>,
}

impl Table {
    /// A table whose columns `text` are followed by the columns `numbers`.
    pub fn new(text: &[&'static str], numbers: &[&'static str]) -> Self {
        let mut table = Self {
            builder: Builder::new(),
            aligns: vec![Align::Left; text.len()],
            heading: text.to_vec(),
        };
        table.numbers(numbers);
        table
    }

    /// More columns of numbers.
    pub fn numbers(&mut self, headings: &[&'static str]) {
        self.heading.extend(headings);
        self.aligns.resize(self.heading.len(), Align::Right);
    }

    /// A row; a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.builder.push_record(cells);
    }

    /// Prints it; without a row, only the heading.
    pub fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.builder.insert_record(0, self.heading);
        let mut table = self.builder.build();
        table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
        for (column, align) in self.aligns.into_iter().enumerate() {
            let align = match align {
                Align::Left => Alignment::left(),
                Align::Right => Alignment::right(),
            };
            table.modify(Columns::one(column), align);
        }
        for line in table.to_string().lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A cell with what may be unknown.
pub fn cell<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Milliseconds as seconds with one decimal.
pub fn seconds(milliseconds: u32) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned() {
        let mut table = Table::new(&["NAME"], &["COUNT"]);
        table.row(["a".to_owned(), "5".to_owned()]);
        table.row(["longer".to_owned(), "1234567".to_owned()]);
        let mut printed = Vec::new();
        table.write(&mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(
            printed,
            "NAME      COUNT\na             5\nlonger  1234567\n"
        );
    }
}
