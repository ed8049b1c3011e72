//! Thrift's compact protocol, as far as Parquet's headers and footer need it.

/// Writes the fields of one struct; they are written in ascending order of their ids.
pub(super) struct ThriftStruct<'o> {
    out: &'o mut Vec<u8>,
    last: i16,
}

/// Are the types of fields and of lists' elements.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl<'o> ThriftStruct<'o> {
    /// Begins a struct at the end of `out`.
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        Self { out, last: 0 }
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.out.push(0);
    }

    /// Writes a whole number of 32 bits, or an enum.
    pub(super) fn i32(&mut self, id: i16, value: i32) {
        self.head(id, I32);
        varint(self.out, zigzag(i64::from(value)));
    }

    /// Writes a whole number of 64 bits.
    pub(super) fn i64(&mut self, id: i16, value: i64) {
        self.head(id, I64);
        varint(self.out, zigzag(value));
    }

    /// Writes a text.
    pub(super) fn text(&mut self, id: i16, value: &str) {
        self.head(id, BINARY);
        binary(self.out, value);
    }

    /// Writes a list of enums.
    pub(super) fn i32s(&mut self, id: i16, values: &[i32]) {
        self.list(id, I32, values.len());
        for value in values {
            varint(self.out, zigzag(i64::from(*value)));
        }
    }

    /// Writes a list of texts.
    pub(super) fn texts(&mut self, id: i16, values: &[&str]) {
        self.list(id, BINARY, values.len());
        for value in values {
            binary(self.out, value);
        }
    }

    /// Writes a struct, by what `write` writes into it.
    pub(super) fn nested(&mut self, id: i16, write: impl FnOnce(&mut ThriftStruct<'_>)) {
        self.head(id, STRUCT);
        let mut inner = ThriftStruct::begin(self.out);
        write(&mut inner);
        inner.end();
    }

    /// Writes a list of structs, each by what `write` writes into it.
    pub(super) fn structs<T>(&mut self, id: i16, values: &[T], write: impl Fn(&mut ThriftStruct<'_>, &T)) {
        self.list(id, STRUCT, values.len());
        for value in values {
            let mut inner = ThriftStruct::begin(self.out);
            write(&mut inner, value);
            inner.end();
        }
    }

    fn list(&mut self, id: i16, kind: u8, length: usize) {
        self.head(id, LIST);
        if let Ok(short @ 0..=14) = u8::try_from(length) {
            self.out.push(short << 4 | kind);
        } else {
            self.out.push(0xf0 | kind);
            varint(self.out, length as u64);
        }
    }

    /// Writes a field's head: ids are at most 15 apart in all structs of Parquet.
    fn head(&mut self, id: i16, kind: u8) {
        let delta = (id - self.last) as u8;
        self.out.push(delta << 4 | kind);
        self.last = id;
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Writes a whole number, seven bits a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn binary(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lists_and_numbers_are_those_of_the_protocol() {
        let mut out = Vec::new();
        let mut all = ThriftStruct::begin(&mut out);
        all.i32(1, -3);
        all.i64(4, 300);
        all.text(5, "ab");
        all.i32s(6, &[0, 3]);
        all.structs(7, &[(); 15], |_, ()| {});
        all.nested(8, |inner| inner.i32(1, 1));
        all.end();
        let mut expected = vec![0x15, 5, 0x36, 0xd8, 4, 0x18, 2, b'a', b'b', 0x19, 0x25, 0, 6, 0x19, 0xfc, 15];
        expected.extend([0; 15]);
        expected.extend([0x1c, 0x15, 2, 0, 0]);
        assert_eq!(out, expected);
    }
}
