use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::args::Global;
use super::problem::printable;
use crate::store::Store;

/// Prints: the only place that does. Results go to standard output, all else to standard error.
#[allow(clippy::struct_excessive_bools)] // Each is a wish of the command line.
pub struct Output {
    /// Whether one JSON document is wanted.
    pub json: bool,
    quiet: bool,
    verbose: u8,
    /// Whether standard error is a terminal that can redraw a line.
    pub live: bool,
    /// Whether results are told by the way, because others will follow.
    is_aside: bool,
    /// The documents of the parts of a command that prints one for all of them.
    gathered: Option<Mutex<Vec<serde_json::Value>>>,
    watched: Mutex<Vec<Store>>,
    pulse: Arc<Mutex<Pulse>>,
}

/// Is what is being done, and when something was last said on standard error.
struct Pulse {
    doing: &'static str,
    said: Instant,
}

impl Output {
    /// Takes the wishes of the command line.
    pub fn new(global: &Global) -> Self {
        let live = std::io::stderr().is_terminal() && !global.quiet;
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            live,
            is_aside: false,
            gathered: None,
            watched: Mutex::default(),
            pulse: Arc::new(Mutex::new(Pulse { doing: "", said: Instant::now() })),
        }
    }

    /// Returns the output of a part of a command whose results are only told by the way, and print no document.
    pub fn aside(&self) -> Self {
        let Self { json, quiet, verbose, live, .. } = *self;
        Self {
            json,
            quiet,
            verbose,
            live,
            is_aside: true,
            gathered: None,
            watched: Mutex::default(),
            pulse: self.pulse.clone(),
        }
    }

    /// Returns the output of a part of a command that prints one document for all its parts: this one's is kept.
    pub fn gathering(&self) -> Self {
        Self { is_aside: self.is_aside, gathered: Some(Mutex::default()), ..self.aside() }
    }

    /// Takes the documents that were kept.
    pub fn take_gathered(&self) -> Vec<serde_json::Value> {
        let gathered = self.gathered.as_ref().and_then(|gathered| gathered.lock().ok());
        gathered.map(|mut gathered| std::mem::take(&mut *gathered)).unwrap_or_default()
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is being done, to be said where it takes long; nothing where it is empty. Returns what was done before.
    pub fn doing(&self, what: &'static str) -> &'static str {
        std::mem::replace(&mut self.pulse().doing, what)
    }

    /// Returns for how long nothing was said on standard error.
    pub fn quiet_for(&self) -> Duration {
        self.pulse().said.elapsed()
    }

    /// Says what is being done, where something is and nothing was said for so long.
    pub fn beat(&self, quiet: Duration) {
        let doing = {
            let mut pulse = self.pulse();
            if pulse.doing.is_empty() || pulse.said.elapsed() < quiet {
                return;
            }
            pulse.said = Instant::now();
            pulse.doing
        };
        if self.live { self.progress(doing) } else { self.note(&format!("{doing} …")) }
    }

    /// Remembers a store, to tell at the end what it found damaged or mended.
    pub fn watch(&self, store: &Store) {
        if let Ok(mut watched) = self.watched.lock() {
            watched.push(store.clone());
        }
    }

    /// Tells what the stores found.
    pub fn tell_notices(&self) {
        for store in self.watched.lock().map(|mut watched| std::mem::take(&mut *watched)).unwrap_or_default() {
            for notice in store.take_notices() {
                write_err(&format!("store: {notice}"));
            }
        }
    }

    /// Says whether more is wanted.
    pub fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Prints a result; nothing when JSON is wanted.
    pub fn line(&self, text: &str) {
        if self.is_aside {
            self.note(text);
        } else if !self.json {
            write_out(text);
        }
    }

    /// Prints the JSON document, when it is wanted.
    pub fn document(&self, value: &serde_json::Value) {
        if let Some(mut gathered) = self.gathered.as_ref().and_then(|gathered| gathered.lock().ok()) {
            gathered.push(value.clone());
        } else if self.json && !self.is_aside {
            write_out(&serde_json::to_string_pretty(value).unwrap_or_default());
        }
    }

    /// Prints a document or a text exactly, whatever the wishes.
    pub fn exact(text: &str) {
        write_out(text.strip_suffix('\n').unwrap_or(text));
    }

    /// Tells something by the way.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.pulse().said = Instant::now();
            write_err(text);
        }
    }

    /// Tells of an error.
    pub fn error(text: &str) {
        write_err(text);
    }

    /// Redraws the progress line of a terminal.
    pub fn progress(&self, text: &str) {
        if self.live {
            self.pulse().said = Instant::now();
            let mut err = std::io::stderr().lock();
            drop(write!(err, "\r\x1b[2K{}", printable(text)));
            drop(err.flush());
        }
    }
}

/// A reader that went away (`exp list | head`) is no error.
fn write_out(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", lines(text)));
}

fn write_err(text: &str) {
    let mut err = std::io::stderr().lock();
    drop(writeln!(err, "{}", lines(text)));
}

fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
