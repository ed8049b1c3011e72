//! The language of the config, described once: unknown keys, wrong types and the JSON Schema all come from this.

mod check;
mod nearest;
mod schema;
mod scorer_tables;
mod shape;
mod tables;

pub(super) use check::check;
pub(super) use nearest::nearest;
pub use schema::json_schema;
pub(super) use shape::{Field, Shape, Table};
pub(super) use tables::{PROVIDER_KINDS, ROOT};
