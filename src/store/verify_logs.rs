//! Whether every line of the logs holds, and every record of a run.

use std::collections::HashMap;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::folder::{Folder, read_whole};
use super::layout::{Layout, is_name};
use super::line::{Line, checked};
use super::segment::scan;
use super::verify::{stray, words};
use super::{Flaw, FlawPart, StoreError, Verified, batches, draw_log, runs, session};
use crate::digest::DrawId;

type Result<T> = std::result::Result<T, StoreError>;

/// Is where answers stand in the log.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    /// Whole answers, by segment and start: which draw, and the length.
    pub(super) answers: HashMap<(String, u64), (DrawId, u64)>,
    /// Damaged lines, by segment and start.
    pub(super) damaged: HashMap<String, Vec<u64>>,
    /// Segments whose session lives: they grow meanwhile.
    pub(super) live: Vec<String>,
}

#[derive(Default)]
struct Segment {
    name: String,
    answers: Vec<(u64, DrawId, u64)>,
    damaged: Vec<u64>,
    is_live: bool,
    lines: u64,
    bytes: u64,
    flaws: Vec<Flaw>,
}

const ANSWER: &str = "the answer is not served; `exp verify --repair` takes it from what was made of it, where that is whole, and `--repair --spend` asks for it again where it is not";

/// Checks the draw log, the logs of batches and the records of runs.
pub(super) fn check(layout: &Layout, verified: &mut Verified) -> Result<LogLines> {
    let lines = check_draws(layout, verified)?;
    check_batches(layout, verified)?;
    check_runs(layout, verified)?;
    for (folder, what) in [("quarantine", "damaged files are kept in"), ("trash", "files on their way out are left in")]
    {
        match layout.root().folder(folder).and_then(|folder| folder.names()) {
            Ok(names) if !names.is_empty() => verified.notes.push(format!("{} {what} `{folder}/`", names.len())),
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

fn check_draws(layout: &Layout, verified: &mut Verified) -> Result<LogLines> {
    let names = match layout.draws().and_then(super::folder::Folder::names) {
        Err(error) if error.is_not_found() => return Ok(LogLines::default()),
        other => other?,
    };
    let segments: Result<Vec<Segment>> = names.into_par_iter().map(|name| look_at_segment(layout, &name)).collect();
    let mut lines = LogLines::default();
    for segment in segments? {
        verified.lines += segment.lines;
        verified.answers += segment.answers.len() as u64;
        verified.bytes += segment.bytes;
        verified.flaws.extend(segment.flaws);
        if segment.is_live {
            lines.live.push(segment.name.clone());
        }
        for (start, id, length) in segment.answers {
            lines.answers.insert((segment.name.clone(), start), (id, length));
        }
        if !segment.damaged.is_empty() {
            lines.damaged.insert(segment.name, segment.damaged);
        }
    }
    Ok(lines)
}

fn look_at_segment(layout: &Layout, name: &str) -> Result<Segment> {
    let mut segment = Segment { name: name.to_owned(), ..Segment::default() };
    let path = format!("draws/{name}");
    let Some(owner) = draw_log::session_of(name) else {
        segment.flaws.push(stray(path));
        return Ok(segment);
    };
    // Asked before the file is read: one that ends meanwhile leaves a whole file.
    segment.is_live = session::is_alive(layout, owner)?;
    let draws = layout.draws()?;
    let opened = draws.open(name);
    let mut bad = Vec::new();
    let scanned = match opened.and_then(|(file, _)| {
        scan(&file, 0, &draws.path().join(name), |found| {
            segment.lines += 1;
            // Where a newline is damaged, the lines on both sides of it are still found: it shows in the bytes between.
            if found.follows_damage {
                bad.push((found.start, "the newline before it is damaged"));
            }
            let line = if found.good { Line::parse(found.line) } else { None };
            let is_head = matches!(&line, Some(Line::Head { session, .. }) if session == owner);
            match line {
                None => {
                    segment.damaged.push(found.start);
                    bad.push((found.start, "its checksum does not hold"));
                }
                _ if (found.start == 0) != is_head => bad.push((found.start, "not the line that should stand there")),
                Some(Line::Draw(draw)) => {
                    segment.answers.push((found.start, draw.address.id(), found.line.len() as u64));
                }
                Some(_) => {}
            }
        })
    }) {
        Ok(scanned) => scanned,
        Err(error) if error.is_not_found() => return Ok(segment),
        Err(error) => {
            let remedy = "see to the disk and its permissions";
            segment.flaws.push(Flaw::new(FlawPart::Stray, path, "a file that can be read", words(&error), remedy));
            return Ok(segment);
        }
    };
    segment.bytes = scanned.size;
    for (start, why) in bad {
        let subject = format!("{path} at byte {start}");
        let part = FlawPart::DrawLog { segment: name.to_owned(), start, draws: Vec::new() };
        segment.flaws.push(Flaw::new(part, subject, "a line of the draw log", why, ANSWER));
    }
    if scanned.complete < scanned.size && !segment.is_live {
        let subject = format!("{path} at byte {}", scanned.complete);
        let actual = format!("{} bytes of an unfinished line", scanned.size - scanned.complete);
        let remedy = "the next build, and `exp verify --repair`, keep a copy and mend it";
        segment.flaws.push(Flaw::new(FlawPart::Tail, subject, "the end of the file", actual, remedy));
    }
    Ok(segment)
}

fn check_batches(layout: &Layout, verified: &mut Verified) -> Result<()> {
    let folder = match layout.root().folder("batches") {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    for name in folder.names()? {
        if name.strip_suffix(".log").or_else(|| name.strip_suffix(".done")).is_none_or(|name| !is_name(name)) {
            if !name.starts_with("known-") {
                verified.flaws.push(stray(format!("batches/{name}")));
            }
            continue;
        }
        let Some(mut bytes) = read_log(&folder, &name)? else { continue };
        // A line may be on its way while this is read: it is there by the second look.
        if bytes.last() != Some(&b'\n') {
            let Some(again) = read_log(&folder, &name)? else { continue };
            bytes = again;
        }
        verified.batches += 1;
        verified.bytes += bytes.len() as u64;
        let before = verified.flaws.len();
        let flaw = |at: String, actual: &str| {
            let remedy = "`exp jobs` lists what the provider knows; put the file back from a backup";
            Flaw::new(FlawPart::Batch, at, "a line of a batch's log", actual, remedy)
        };
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_good = line.strip_suffix(b"\n").is_some_and(|line| checked(line).is_some());
            if !is_good {
                let actual = "its checksum does not hold, or it is unfinished";
                verified.flaws.push(flaw(format!("batches/{name} at byte {start}"), actual));
            }
            start += line.len();
        }
        if verified.flaws.len() == before && !batches::is_whole(&bytes) {
            verified.flaws.push(flaw(format!("batches/{name}"), "lines that do not make a batch"));
        }
    }
    Ok(())
}

fn read_log(folder: &Folder, name: &str) -> Result<Option<Vec<u8>>> {
    match folder.open(name) {
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
        Ok((file, stat)) => read_whole(&file, stat.st_size as u64, folder.path()).map(Some),
    }
}

fn check_runs(layout: &Layout, verified: &mut Verified) -> Result<()> {
    let folder = match layout.root().folder("runs") {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    for name in folder.names()? {
        if !is_name(&name) {
            verified.flaws.push(stray(format!("runs/{name}")));
            continue;
        }
        match runs::read(layout, &name) {
            Ok(Some(_)) => verified.runs += 1,
            Ok(None) => {}
            Err(error) => verified.flaws.push(Flaw::new(
                FlawPart::Run(name.clone()),
                format!("runs/{name}"),
                "a run's record whose hash holds",
                words(&error),
                "`exp verify --repair` sets it aside; `exp build` makes a run of the same results, an archive brings this one back",
            )),
        }
    }
    Ok(())
}
