/// Says why an export could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A row does not fit the table.
    #[error("the table cannot be written")]
    Csv(#[from] csv::Error),
    /// A file does not fit a zip file.
    #[error("the zip file cannot be written")]
    Zip(#[from] rawzip::Error),
    /// Something could not be compressed.
    #[error("it cannot be compressed")]
    Compression(#[from] std::io::Error),
    /// One text is longer than a page of Parquet can be.
    #[error("{name} holds a text of more than 2 GiB")]
    TooLong {
        /// The column.
        name: String,
    },
}
