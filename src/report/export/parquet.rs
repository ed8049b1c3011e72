use super::ExportError;
use super::parquet_meta::{ThriftStruct, varint};

/// Is one column of a table.
pub(super) struct Column<'t> {
    /// Its name.
    pub(super) name: &'t str,
    /// Its cells, a row each.
    pub(super) cells: Cells<'t>,
}

/// Are the cells of one column.
pub(super) enum Cells<'t> {
    /// Texts; none is null.
    Texts(Vec<Option<&'t str>>),
    /// Lists of texts.
    Lists(Vec<&'t [String]>),
    /// Whole numbers.
    Wholes(Vec<Option<i64>>),
    /// Numbers.
    Numbers(Vec<Option<f64>>),
}

/// Are the physical types.
const INT64: i32 = 2;
const DOUBLE: i32 = 5;
const BYTE_ARRAY: i32 = 6;
/// Are the repetitions of a field.
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 2;
/// Are the encodings in use.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
/// Is the codec in use.
const ZSTD: i32 = 6;

/// Is where one column of a row group stands.
struct Chunk {
    offset: i64,
    values: i64,
    plain: i64,
    compressed: i64,
}

/// Is one row group.
struct Group {
    rows: i64,
    chunks: Vec<Chunk>,
}

/// Writes Parquet, version 1 of the format: a data page for each column of each row group, plainly encoded, compressed by zstd.
///
/// `groups` are the row groups; all have the columns of the first. Format: <https://github.com/apache/parquet-format>.
/// Errors: [`ExportError::TooLong`] where the texts of one group and column do not fit a page (2 GiB).
pub(super) fn parquet<'t>(
    created_by: &str,
    groups: impl Iterator<Item = Vec<Column<'t>>>,
) -> Result<Vec<u8>, ExportError> {
    const MAGIC: &[u8] = b"PAR1";
    let mut out = MAGIC.to_vec();
    let mut schema: Vec<Column<'t>> = Vec::new();
    let mut written = Vec::new();
    for columns in groups {
        let rows = columns.first().map_or(0, |column| column.cells.len()) as i64;
        let chunks = columns.iter().map(|column| chunk(&mut out, column)).collect::<Result<_, _>>()?;
        written.push(Group { rows, chunks });
        if schema.is_empty() {
            schema = columns;
        }
    }
    let start = out.len();
    footer(&mut out, created_by, &schema, &written);
    let length = (out.len() - start) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(MAGIC);
    Ok(out)
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Texts(cells) => cells.len(),
            Self::Lists(cells) => cells.len(),
            Self::Wholes(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
        }
    }

    fn physical(&self) -> i32 {
        match self {
            Self::Texts(_) | Self::Lists(_) => BYTE_ARRAY,
            Self::Wholes(_) => INT64,
            Self::Numbers(_) => DOUBLE,
        }
    }

    /// Writes the levels that say which cells are there, and the values; returns how many entries there are.
    fn page(&self, page: &mut Vec<u8>) -> usize {
        fn optional<T: Copy>(page: &mut Vec<u8>, cells: &[Option<T>], write: impl Fn(&mut Vec<u8>, T)) -> usize {
            levels(page, cells.iter().map(Option::is_some));
            for value in cells.iter().flatten() {
                write(page, *value);
            }
            cells.len()
        }
        match self {
            Self::Texts(cells) => optional(page, cells, text),
            Self::Wholes(cells) => optional(page, cells, |page, value| page.extend_from_slice(&value.to_le_bytes())),
            Self::Numbers(cells) => optional(page, cells, |page, value| page.extend_from_slice(&value.to_le_bytes())),
            Self::Lists(cells) => {
                // An empty list is one entry without a value; every entry but a list's first repeats it.
                levels(page, cells.iter().flat_map(|list| (0..list.len().max(1)).map(|at| at > 0)));
                levels(page, cells.iter().flat_map(|list| (0..list.len().max(1)).map(|at| at < list.len())));
                for value in cells.iter().copied().flatten() {
                    text(page, value);
                }
                cells.iter().map(|list| list.len().max(1)).sum()
            }
        }
    }
}

fn text(page: &mut Vec<u8>, value: &str) {
    page.extend_from_slice(&(value.len() as u32).to_le_bytes());
    page.extend_from_slice(value.as_bytes());
}

/// Writes levels of one bit as runs, their length in bytes before them.
fn levels(page: &mut Vec<u8>, levels: impl Iterator<Item = bool>) {
    let mut runs = Vec::new();
    let mut run: Option<(bool, u64)> = None;
    let mut end = |run: Option<(bool, u64)>| {
        if let Some((level, length)) = run {
            varint(&mut runs, length << 1);
            runs.push(u8::from(level));
        }
    };
    for level in levels {
        run = match run {
            Some((known, length)) if known == level => Some((level, length + 1)),
            other => {
                end(other);
                Some((level, 1))
            }
        };
    }
    end(run);
    page.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    page.extend_from_slice(&runs);
}

/// Writes one column of one row group.
fn chunk(out: &mut Vec<u8>, column: &Column<'_>) -> Result<Chunk, ExportError> {
    let mut page = Vec::new();
    let entries = column.cells.page(&mut page);
    let compressed = zstd::bulk::compress(&page, zstd::DEFAULT_COMPRESSION_LEVEL)?;
    let too_long = |_| ExportError::TooLong { name: column.name.to_owned() };
    let size = |bytes: usize| i32::try_from(bytes).map_err(too_long);
    let (plain_size, compressed_size, entry_count) = (size(page.len())?, size(compressed.len())?, size(entries)?);
    let offset = out.len();
    let mut header = ThriftStruct::begin(out);
    header.i32(1, 0);
    header.i32(2, plain_size);
    header.i32(3, compressed_size);
    header.nested(5, |data| {
        data.i32(1, entry_count);
        data.i32(2, PLAIN);
        data.i32(3, RLE);
        data.i32(4, RLE);
    });
    header.end();
    let header_length = out.len() - offset;
    out.extend_from_slice(&compressed);
    Ok(Chunk {
        offset: offset as i64,
        values: entries as i64,
        plain: (header_length + page.len()) as i64,
        compressed: (header_length + compressed.len()) as i64,
    })
}

/// Is one node of the schema.
struct Element<'t> {
    name: &'t str,
    physical: Option<i32>,
    repetition: Option<i32>,
    children: usize,
    is_list: bool,
}

fn elements<'t>(columns: &[Column<'t>]) -> Vec<Element<'t>> {
    let root = Element { name: "schema", physical: None, repetition: None, children: columns.len(), is_list: false };
    let mut all = vec![root];
    for Column { name, cells } in columns {
        let physical = Some(cells.physical());
        if let Cells::Lists(_) = cells {
            let node = |name, repetition, is_list| Element {
                name,
                physical: None,
                repetition: Some(repetition),
                children: 1,
                is_list,
            };
            all.push(node(name, REQUIRED, true));
            all.push(node("list", REPEATED, false));
            let repetition = Some(REQUIRED);
            all.push(Element { name: "element", physical, repetition, children: 0, is_list: false });
        } else {
            all.push(Element { name, physical, repetition: Some(OPTIONAL), children: 0, is_list: false });
        }
    }
    all
}

fn footer(out: &mut Vec<u8>, created_by: &str, schema: &[Column<'_>], groups: &[Group]) {
    /// Is `UTF8` and `LIST` in the older way of saying what a column means, and the ids of `STRING` and `LIST` in the newer.
    const TEXT: (i32, i16) = (0, 1);
    const LIST: (i32, i16) = (3, 3);
    let mut meta = ThriftStruct::begin(out);
    meta.i32(1, 1);
    meta.structs(2, &elements(schema), |out, element| {
        if let Some(physical) = element.physical {
            out.i32(1, physical);
        }
        if let Some(repetition) = element.repetition {
            out.i32(3, repetition);
        }
        out.text(4, element.name);
        if element.children > 0 {
            out.i32(5, element.children as i32);
        }
        let meaning = if element.is_list { Some(LIST) } else { (element.physical == Some(BYTE_ARRAY)).then_some(TEXT) };
        if let Some((old, new)) = meaning {
            out.i32(6, old);
            out.nested(10, |meaning| meaning.nested(new, |_| {}));
        }
    });
    meta.i64(3, groups.iter().map(|group| group.rows).sum());
    meta.structs(4, groups, |out, group| {
        let columns: Vec<(&Column<'_>, &Chunk)> = schema.iter().zip(&group.chunks).collect();
        out.structs(1, &columns, |out, (column, chunk)| {
            out.i64(2, chunk.offset);
            out.nested(3, |out| {
                out.i32(1, column.cells.physical());
                out.i32s(2, &[PLAIN, RLE]);
                match column.cells {
                    Cells::Lists(_) => out.texts(3, &[column.name, "list", "element"]),
                    _ => out.texts(3, &[column.name]),
                }
                out.i32(4, ZSTD);
                out.i64(5, chunk.values);
                out.i64(6, chunk.plain);
                out.i64(7, chunk.compressed);
                out.i64(9, chunk.offset);
            });
        });
        out.i64(2, group.chunks.iter().map(|chunk| chunk.plain).sum());
        out.i64(3, group.rows);
    });
    meta.text(6, created_by);
    meta.end();
}
