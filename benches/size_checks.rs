//! Times the look at every blob of a store, as a build with nothing to do looks at its outputs, and prints the median in
//! microseconds: `cargo bench --bench size_checks -- STORE ROUNDS`. `benches/ninja.sh` takes it off a build's time.
#![allow(clippy::unwrap_used)] // A bench may stop where the machine does.

use std::time::Instant;

use camino::Utf8Path;
use exp::digest::BlobId;
use exp::store::{Access, Conclusion, Store};

fn blobs(store: &Utf8Path) -> Vec<(BlobId, u64)> {
    let shards = store.join("blobs").read_dir_utf8().unwrap().map(|shard| shard.unwrap());
    let files = shards.flat_map(|shard| {
        let files = shard.path().read_dir_utf8().unwrap().map(|file| file.unwrap());
        let blob = |file: camino::Utf8DirEntry| {
            let id = BlobId::parse(&format!("{}{}", shard.file_name(), file.file_name())).unwrap();
            (id, file.metadata().unwrap().len())
        };
        files.map(blob).collect::<Vec<_>>()
    });
    files.collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let [dir, rounds] = args.as_slice() else {
        println!("size_checks: names a store and a number of rounds, and got neither");
        return;
    };
    let store = Store::open(Utf8Path::new(dir), Access::ReadOnly).unwrap();
    let conclusion = Conclusion::new(String::new(), blobs(Utf8Path::new(dir)));
    let mut times: Vec<u128> = (0..rounds.parse::<usize>().unwrap() + 2)
        .map(|_| {
            let start = Instant::now();
            assert!(store.holds_all(&conclusion));
            start.elapsed().as_micros()
        })
        .skip(2)
        .collect();
    times.sort_unstable();
    println!("{}", times[times.len() / 2]);
}
