//! Reading files that people and benchmarks wrote, row by row: what [`prepare`](super::prepare) reads datasets with, and
//! [`build`](super::build) recordings, examples and messages.
//!
//! [`each_row`] hides the layout of a file; a row is an [`Origin`] and a [`Json`] value that keeps the text of numbers.
//! [`Mapping`] makes an [`Item`] of a row. What is wrong goes to [`Problems`], with line, column, source line and remedy,
//! and reading goes on, so that the first twenty faults are shown together.

mod condition;
mod delimited;
mod item;
mod json;
mod json_parser;
mod json_stream;
mod lines;
mod mapping;
mod nearest;
mod origin;
mod part;
mod problems;
mod rows;
mod spool;
mod squad;

pub use part::{part_count, part_hash, part_name};

pub(super) use condition::{describe, holds};
pub(super) use item::Item;
pub(super) use json::{Found, Json, Member, write_text};
pub(super) use json_parser::{JsonProblem, Surrogates, parse_json, parse_json_with};
pub(super) use lines::check;
pub(super) use mapping::{ANSWER_NAMES, CONTEXT_NAMES, Mapping, QUESTION_NAMES};
pub(super) use nearest::{listed, nearest};
pub(super) use origin::{Origin, clip};
pub(super) use problems::Problems;
pub(super) use rows::{Layout, Row, each_row};
pub(super) use spool::Spool;
pub(super) use squad::each_question;

use delimited::each_delimited;
use lines::{Line, Lines};
