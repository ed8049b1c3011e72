use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};

use super::{Row, temperature_label};
use crate::plan::MergeParams;
use crate::step::StepError;
use crate::step::parsed_draw::ParsedDraw;

/// The columns: the first thirteen are those that scripts know, the rest are ours.
const COLUMNS: [&str; 17] = [
    "custom_id",
    "dataset",
    "item_id",
    "condition",
    "temp",
    "sample_index",
    "type",
    "request_id",
    "finish_reason",
    "response_text",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "status",
    "answer",
    "reasoning_tokens",
    "served_model",
];

/// Starts a CSV table: RFC 4180 with CRLF, quotes only where they are needed.
pub(super) fn table() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new())
}

/// Ends a CSV table.
pub(super) fn finished(name: &str, table: Writer<Vec<u8>>) -> Result<Vec<u8>, StepError> {
    table
        .into_inner()
        .map_err(|source| StepError::Write { output: name.to_owned(), source: source.into_error().into() })
}

/// Appends a row to a CSV table.
pub(super) fn add_row<T: AsRef<[u8]>>(
    name: &str,
    table: &mut Writer<Vec<u8>>,
    cells: impl IntoIterator<Item = T>,
) -> Result<(), StepError> {
    table.write_record(cells).map_err(|source| StepError::Write { output: name.to_owned(), source: source.into() })
}

const NAME: &str = "predictions.csv";

/// Builds `predictions.csv`: one row a draw.
pub(super) struct PredictionsTable {
    table: Writer<Vec<u8>>,
    temperature: String,
}

impl PredictionsTable {
    /// Starts the table.
    pub(super) fn new(params: &MergeParams) -> Result<Self, StepError> {
        let mut table = table();
        add_row(NAME, &mut table, COLUMNS)?;
        Ok(Self { table, temperature: temperature_label(params.temperature) })
    }

    /// Adds the draws of one item under one arm.
    pub(super) fn add(&mut self, row: &Row<'_>, draws: &[ParsedDraw<'_>]) -> Result<(), StepError> {
        let number = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
        let temp = &self.temperature;
        for draw in draws {
            let custom_id = format!("{}|{}|{}|{temp}|{}|{}", row.label, row.item, row.condition, draw.n, row.kind());
            let usage = &draw.usage;
            let total = usage.input_tokens.zip(usage.output_tokens).map(|(input, output)| input + output);
            let cells: [&str; 17] = [
                &custom_id,
                row.label,
                row.item,
                row.condition,
                temp,
                &draw.n.to_string(),
                row.kind(),
                "",
                draw.finish_reason.as_deref().unwrap_or_default(),
                draw.text.as_deref().unwrap_or_default(),
                &number(usage.input_tokens),
                &number(usage.output_tokens),
                &number(total),
                &draw.status.to_string(),
                draw.answer.as_deref().unwrap_or_default(),
                &number(usage.reasoning_tokens),
                draw.served_model.as_deref().unwrap_or_default(),
            ];
            add_row(NAME, &mut self.table, cells)?;
        }
        Ok(())
    }

    /// Ends the table.
    pub(super) fn finish(self) -> Result<Vec<u8>, StepError> {
        finished(NAME, self.table)
    }
}
