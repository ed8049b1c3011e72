//! Mutations of the seeds in `fuzz/corpus/`, for `tests/fuzzed.rs` and for the tests beside what nobody outside can reach.
//!
//! `EXP_FUZZ` says how many executions a target of cost 1 gets (3000 unless set), `EXP_FUZZ_SEED` where to begin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

/// Is a small stream of numbers (splitmix64).
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Are pieces that mean something to one reader or another.
const TOKENS: [&[u8]; 24] = [
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"&a [*a]",
    b"<<: *a",
    b"---\n",
    b"!!binary ",
    b"  ",
    b"\t",
    b",",
    b": ",
    b"../",
    b"\x1b[2J",
];

fn mutate(seeds: &[Vec<u8>], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = seeds[stream.below(seeds.len())].clone();
    for _ in 0..=stream.below(6) {
        let at = stream.below(bytes.len() + 1);
        let to = (at + stream.below(1 + bytes.len() / 4)).min(bytes.len());
        match stream.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << stream.below(8),
            1 if at < bytes.len() => bytes[at] = stream.next() as u8,
            2 => drop(bytes.drain(at..to)),
            3 => drop(bytes.splice(at..at, TOKENS[stream.below(TOKENS.len())].iter().copied())),
            4 => {
                let piece = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            5 => {
                let other = &seeds[stream.below(seeds.len())];
                let from = stream.below(other.len() + 1);
                let end = (from + stream.below(200)).min(other.len());
                drop(bytes.splice(at..at, other[from..end].iter().copied()));
            }
            6 => bytes.truncate(at),
            _ => drop(bytes.splice(at..to, TOKENS[stream.below(TOKENS.len())].iter().copied())),
        }
        bytes.truncate(1 << 20);
    }
    bytes
}

/// Returns the seeds of a corpus, unpacked.
fn seeds(corpus: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        if path.extension().is_some_and(|end| end == "zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
    };
    paths.iter().map(read).collect()
}

/// Runs a target on its seeds and on mutations of them.
///
/// `corpus` names the seeds, `cost` says how many times longer an execution takes than of the others.
pub fn fuzz(corpus: &str, cost: usize, run: impl Fn(&[u8])) {
    let executions = std::env::var("EXP_FUZZ").map_or(3000, |text| text.parse::<usize>().unwrap()) / cost;
    let seed = std::env::var("EXP_FUZZ_SEED").map_or(1, |text| text.parse().unwrap());
    let (seeds, mut stream) = (seeds(corpus), Stream(seed));
    for n in 0..executions + seeds.len() {
        // The seeds themselves first.
        let bytes = seeds.get(n).cloned().unwrap_or_else(|| mutate(&seeds, &mut stream));
        let since = Instant::now();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&bytes)));
        let took = since.elapsed();
        if done.is_err() || took > Duration::from_secs(20) {
            let path = std::env::temp_dir().join(format!("fuzzed-{corpus}-{seed}-{n}"));
            std::fs::write(&path, &bytes).unwrap();
            panic!("{corpus} failed or took {took:?} on {}, {} bytes", path.display(), bytes.len());
        }
    }
    println!("{corpus}: {} executions, seed {seed}", executions + seeds.len());
}
