use std::io::Write as _;

use crate::digest::{Digest, RequestKey};
use crate::request::{Answer, Circumstances, DrawAddress, FailureCode};

/// Is one answer as it stands in the draw log: the value, how it came about, and the body of the response as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDraw {
    /// Where the answer stands for ever.
    pub address: DrawAddress,
    /// The value.
    pub answer: Answer,
    /// What happened on the way.
    pub circumstances: Circumstances,
    /// The raw body of the response; empty for embedded providers, which have none.
    pub raw: Vec<u8>,
}

/// Is one attempt that gave no answer, as it stands in the draw log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFailure {
    /// Which draw was wanted.
    pub address: DrawAddress,
    /// Why there is no answer.
    pub code: FailureCode,
    /// What happened on the way.
    pub circumstances: Circumstances,
    /// What was received, if anything, for diagnosis.
    pub raw: Vec<u8>,
}

/// Is one line of a draw-log segment.
///
/// A segment is text: lines that end in a newline, each
///
/// ```text
/// <sum> <json>
/// ```
///
/// where `<json>` is one JSON document without a newline and `<sum>` the first 16 lower-case hexadecimal digits of the
/// BLAKE3 hash of its bytes. The first field names the kind; fields stand in this order, with no space between tokens:
///
/// | kind | document |
/// |---|---|
/// | head, the first line | `{"segment":1,"session":"<id>","number":<n>}` |
/// | claim: these draws are about to be asked for | `{"claim":<n>,"addresses":["<address>",…]}` |
/// | intent: these are handed to the wire, once for each attempt | `{"intent":<n>,"addresses":["<address>",…]}` |
/// | release: these will not be after all | `{"release":["<address>",…]}` |
/// | answer | `{"draw":"<address>","answer":{…},"circumstances":{…},"raw":"…"}` |
/// | a second value for an address, never served | `{"surplus":"<address>",` and the rest as for an answer |
/// | attempt without an answer | `{"failure":"<address>","code":"…","circumstances":{…},"raw":"…"}` |
/// | these were erased on purpose | `{"forgotten":["<address>",…]}` |
///
/// An address is `<64 hex of the request key>/<generation>/<number>`. `raw` is absent when there was no body; a body that
/// is not UTF-8 stands as `raw_hex`, in hexadecimal. Claims and intents are numbered within
/// their session. A reader passes over a
/// kind that it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Head { session: String, number: u32 },
    Claim { number: u32, addresses: Vec<DrawAddress> },
    Intent { number: u32, addresses: Vec<DrawAddress> },
    Release(Vec<DrawAddress>),
    Draw(Box<LoggedDraw>),
    Surplus(Box<LoggedDraw>),
    Failure(Box<LoggedFailure>),
    Unknown,
}

/// Is the length of a line's checksum and the space after it.
const PREFIX: usize = 17;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadWire {
    segment: u32,
    session: String,
    number: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimWire<'a> {
    claim: u32,
    #[serde(borrow)]
    addresses: Vec<&'a str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentWire<'a> {
    intent: u32,
    #[serde(borrow)]
    addresses: Vec<&'a str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseWire<'a> {
    #[serde(borrow)]
    release: Vec<&'a str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawWire<'a> {
    #[serde(alias = "surplus")]
    draw: &'a str,
    answer: Answer,
    circumstances: Circumstances,
    raw: Option<String>,
    raw_hex: Option<&'a str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureWire<'a> {
    failure: &'a str,
    code: FailureCode,
    circumstances: Circumstances,
    raw: Option<String>,
    raw_hex: Option<&'a str>,
}

impl Line {
    /// Reads a line without its newline; `None` unless its checksum holds and the document is what its kind says.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let json = checked(line)?;
        match kind(json) {
            Kind::Head => {
                let wire: HeadWire = serde_json::from_slice(json).ok()?;
                Some(if wire.segment == 1 {
                    Self::Head { session: wire.session, number: wire.number }
                } else {
                    Self::Unknown
                })
            }
            Kind::Claim => {
                let wire: ClaimWire<'_> = serde_json::from_slice(json).ok()?;
                Some(Self::Claim { number: wire.claim, addresses: read_addresses(&wire.addresses)? })
            }
            Kind::Intent => {
                let wire: IntentWire<'_> = serde_json::from_slice(json).ok()?;
                Some(Self::Intent { number: wire.intent, addresses: read_addresses(&wire.addresses)? })
            }
            Kind::Release => {
                let wire: ReleaseWire<'_> = serde_json::from_slice(json).ok()?;
                Some(Self::Release(read_addresses(&wire.release)?))
            }
            kind @ (Kind::Draw | Kind::Surplus) => {
                let wire: DrawWire<'_> = serde_json::from_slice(json).ok()?;
                let draw = Box::new(LoggedDraw {
                    address: read_address(wire.draw)?,
                    answer: wire.answer,
                    circumstances: wire.circumstances,
                    raw: read_raw(wire.raw, wire.raw_hex)?,
                });
                Some(if kind == Kind::Draw { Self::Draw(draw) } else { Self::Surplus(draw) })
            }
            Kind::Failure => {
                let wire: FailureWire<'_> = serde_json::from_slice(json).ok()?;
                Some(Self::Failure(Box::new(LoggedFailure {
                    address: read_address(wire.failure)?,
                    code: wire.code,
                    circumstances: wire.circumstances,
                    raw: read_raw(wire.raw, wire.raw_hex)?,
                })))
            }
            Kind::Unknown => Some(Self::Unknown),
        }
    }

    /// Returns the address of a checked answer line without parsing the rest of it.
    pub(super) fn draw_address(line: &[u8]) -> Option<DrawAddress> {
        let rest = line.get(PREFIX..)?.strip_prefix(b"{\"draw\":\"")?;
        let end = rest.iter().position(|b| *b == b'"')?;
        read_address(str::from_utf8(&rest[..end]).ok()?)
    }
}

/// Appends the first line of a segment.
pub(super) fn put_head(out: &mut Vec<u8>, session: &str, number: u32) {
    framed(out, |out| {
        // A session id holds nothing that JSON would escape.
        let _ = write!(out, "{{\"segment\":1,\"session\":\"{session}\",\"number\":{number}}}");
    });
}

/// Appends a claim.
pub(super) fn put_claim(out: &mut Vec<u8>, number: u32, addresses: &[DrawAddress]) {
    framed(out, |out| {
        let _ = write!(out, "{{\"claim\":{number},\"addresses\":");
        put_addresses(out, addresses);
        out.push(b'}');
    });
}

/// Appends an intent.
pub(super) fn put_intent(out: &mut Vec<u8>, number: u32, addresses: &[DrawAddress]) {
    framed(out, |out| {
        let _ = write!(out, "{{\"intent\":{number},\"addresses\":");
        put_addresses(out, addresses);
        out.push(b'}');
    });
}

/// Appends a release.
pub(super) fn put_release(out: &mut Vec<u8>, addresses: &[DrawAddress]) {
    framed(out, |out| {
        out.extend_from_slice(b"{\"release\":");
        put_addresses(out, addresses);
        out.push(b'}');
    });
}

/// Appends which draws were erased on purpose; readers pass over it.
pub(super) fn put_forgotten(out: &mut Vec<u8>, addresses: &[DrawAddress]) {
    framed(out, |out| {
        out.extend_from_slice(b"{\"forgotten\":");
        put_addresses(out, addresses);
        out.push(b'}');
    });
}

/// Appends an answer, or a second value for an address.
pub(super) fn put_draw(out: &mut Vec<u8>, draw: &LoggedDraw, surplus: bool) {
    framed(out, |out| {
        out.extend_from_slice(if surplus { b"{\"surplus\":" } else { b"{\"draw\":" });
        put_address(out, &draw.address);
        out.extend_from_slice(b",\"answer\":");
        put_json(out, &draw.answer);
        put_rest(out, &draw.circumstances, &draw.raw);
    });
}

/// Appends an attempt without an answer.
pub(super) fn put_failure(out: &mut Vec<u8>, failure: &LoggedFailure) {
    framed(out, |out| {
        out.extend_from_slice(b"{\"failure\":");
        put_address(out, &failure.address);
        out.extend_from_slice(b",\"code\":");
        put_json(out, &failure.code);
        put_rest(out, &failure.circumstances, &failure.raw);
    });
}

/// Returns the JSON of a line whose checksum holds.
pub(super) fn checked(line: &[u8]) -> Option<&[u8]> {
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    (prefix[PREFIX - 1] == b' ' && prefix[..PREFIX - 1] == sum(json)).then_some(json)
}

/// Tells whether a line could start here: a checksum, a space, an object.
pub(super) fn looks_like_start(bytes: &[u8]) -> bool {
    bytes.len() > PREFIX
        && bytes[PREFIX - 1] == b' '
        && bytes[PREFIX] == b'{'
        && bytes[..PREFIX - 1].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Head,
    Claim,
    Intent,
    Release,
    Draw,
    Surplus,
    Failure,
    Unknown,
}

fn kind(json: &[u8]) -> Kind {
    let kinds: [(&[u8], Kind); 7] = [
        (b"{\"draw\":", Kind::Draw),
        (b"{\"claim\":", Kind::Claim),
        (b"{\"intent\":", Kind::Intent),
        (b"{\"release\":", Kind::Release),
        (b"{\"failure\":", Kind::Failure),
        (b"{\"surplus\":", Kind::Surplus),
        (b"{\"segment\":", Kind::Head),
    ];
    kinds.iter().find(|(start, _)| json.starts_with(start)).map_or(Kind::Unknown, |(_, kind)| *kind)
}

fn sum(json: &[u8]) -> [u8; PREFIX - 1] {
    let hash = blake3::hash(json);
    let mut hex = [0; PREFIX - 1];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.as_bytes()) {
        pair.copy_from_slice(&hex_pair(*byte));
    }
    hex
}

fn hex_pair(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

pub(super) fn framed(out: &mut Vec<u8>, json: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + PREFIX, b' ');
    json(out);
    let sum = sum(&out[start + PREFIX..]);
    out[start..start + PREFIX - 1].copy_from_slice(&sum);
    out.push(b'\n');
}

pub(super) fn put_json(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // These types hold text, numbers and named variants only: serialising them into memory cannot fail.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

fn put_rest(out: &mut Vec<u8>, circumstances: &Circumstances, raw: &[u8]) {
    out.extend_from_slice(b",\"circumstances\":");
    put_json(out, circumstances);
    if !raw.is_empty() {
        if let Ok(text) = str::from_utf8(raw) {
            out.extend_from_slice(b",\"raw\":");
            put_json(out, &text);
        } else {
            out.extend_from_slice(b",\"raw_hex\":\"");
            out.extend(raw.iter().flat_map(|byte| hex_pair(*byte)));
            out.push(b'"');
        }
    }
    out.push(b'}');
}

fn put_address(out: &mut Vec<u8>, address: &DrawAddress) {
    out.push(b'"');
    out.extend(address.request.digest().as_bytes().iter().flat_map(|byte| hex_pair(*byte)));
    let _ = write!(out, "/{}/{}\"", address.generation, address.number);
}

pub(super) fn put_addresses(out: &mut Vec<u8>, addresses: &[DrawAddress]) {
    out.push(b'[');
    for (i, address) in addresses.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put_address(out, address);
    }
    out.push(b']');
}

pub(super) fn read_address(text: &str) -> Option<DrawAddress> {
    let mut parts = text.split('/');
    let (key, generation, number) = (parts.next()?, parts.next()?, parts.next()?);
    if key.len() != 64 || parts.next().is_some() {
        return None;
    }
    Some(DrawAddress {
        request: RequestKey::new(Digest::parse(key).ok()?),
        generation: generation.parse().ok()?,
        number: number.parse().ok()?,
    })
}

pub(super) fn read_addresses(texts: &[&str]) -> Option<Vec<DrawAddress>> {
    texts.iter().map(|text| read_address(text)).collect()
}

fn read_raw(text: Option<String>, hex: Option<&str>) -> Option<Vec<u8>> {
    let Some(hex) = hex else { return Some(text.map(String::into_bytes).unwrap_or_default()) };
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::request::{AnswerStatus, Usage};
    use proptest::prelude::*;

    pub(crate) fn address(n: u32) -> DrawAddress {
        DrawAddress { request: RequestKey::new(Digest::of(&n.to_le_bytes())), generation: n % 3, number: n }
    }

    pub(crate) fn draw(n: u32, text: &str) -> LoggedDraw {
        let answer = Answer {
            status: AnswerStatus::Stop,
            text: text.into(),
            reasoning: None,
            finish_reason: Some("stop".into()),
            served_model: None,
            usage: Usage { input_tokens: Some(12), output_tokens: Some(u64::from(n)), reasoning_tokens: None },
        };
        let circumstances = Circumstances { bought: Some("embedded".into()), ..Circumstances::default() };
        LoggedDraw { address: address(n), answer, circumstances, raw: Vec::new() }
    }

    fn lines(out: &[u8]) -> Vec<Line> {
        out.split_inclusive(|b| *b == b'\n').map(|line| Line::parse(&line[..line.len() - 1]).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn every_line_reads_back(text in ".*", reasoning in prop::option::of(".*"), n in any::<u32>(),
                                 raw in prop::collection::vec(any::<u8>(), 0..40), note in prop::option::of(".*")) {
            let mut written = draw(n, &text);
            written.answer.reasoning = reasoning;
            written.circumstances.note = note;
            written.raw = raw.clone();
            let failure = LoggedFailure {
                address: address(n), code: FailureCode::Malformed, circumstances: Circumstances::default(), raw,
            };
            let mut out = Vec::new();
            put_head(&mut out, "s1", n);
            put_claim(&mut out, n, &[address(1), address(n)]);
            put_intent(&mut out, n, &[address(n), address(n)]);
            put_draw(&mut out, &written, false);
            put_draw(&mut out, &written, true);
            put_failure(&mut out, &failure);
            put_release(&mut out, &[address(n)]);
            prop_assert_eq!(lines(&out), vec![
                Line::Head { session: "s1".into(), number: n },
                Line::Claim { number: n, addresses: vec![address(1), address(n)] },
                Line::Intent { number: n, addresses: vec![address(n), address(n)] },
                Line::Draw(Box::new(written.clone())),
                Line::Surplus(Box::new(written)),
                Line::Failure(Box::new(failure)),
                Line::Release(vec![address(n)]),
            ]);
        }

        #[test]
        fn any_bytes_are_no_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Line::parse(&bytes), None);
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut good = Vec::new();
        put_draw(&mut good, &draw(7, "text"), false);
        good.pop();
        assert_eq!(Line::draw_address(&good), Some(address(7)));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Line::parse(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_kind_is_passed_over() {
        let mut out = Vec::new();
        framed(&mut out, |out| out.extend_from_slice(b"{\"tombstone\":1}"));
        assert_eq!(lines(&out), [Line::Unknown]);
    }

    #[test]
    fn the_format_stands() {
        let mut out = Vec::new();
        put_head(&mut out, "s0123456789abcdef", 0);
        put_claim(&mut out, 1, &[address(2)]);
        let mut paid = draw(2, "\u{1}ä\"");
        paid.raw = vec![0xff, 0];
        put_draw(&mut out, &paid, false);
        let key = "f03bf86f79d121cbfd774dec4a65912e99f5f17c33852bbc45e819160e62b53b";
        let expected = format!(
            r#"69dd34cb06373e40 {{"segment":1,"session":"s0123456789abcdef","number":0}}
c62ee2b0fdeacd73 {{"claim":1,"addresses":["{key}/2/2"]}}
8ea3e87f9c2b555b {{"draw":"{key}/2/2","answer":{{"status":"stop","text":"\u0001ä\"","finish_reason":"stop","usage":{{"input_tokens":12,"output_tokens":2}}}},"circumstances":{{"bought":"embedded"}},"raw_hex":"ff00"}}
"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
