use camino::{Utf8Path, Utf8PathBuf};

use super::super::tree::Node;
use super::super::{
    ArmConfig, Budget, Config, ConfigFile, Diagnostic, FileKind, Files, Parts, SourceFile, Span, Views,
};
use super::template;

/// Is the state of a load: what the caller gave, and what was found so far.
pub(super) struct Loader<'a> {
    pub root: &'a Utf8Path,
    pub files: &'a dyn Files,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub found: Vec<Diagnostic>,
    /// Where the first of the predecessor's core keys stands, if there is one: its defaults then apply.
    pub legacy: Option<Span>,
    /// Whether recordings were found wrong, so that those that lack are no news.
    pub has_bad_recordings: bool,
}

/// Says how a text file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFile {
    /// As it stands.
    Plain,
    /// With `{{field}}` in it.
    Template,
}

/// Is the name of the sealed plan, in the project's root.
const PLAN_LOCK: &str = "analysis_plan.lock";

/// Is the largest text file that is read to be checked.
const MAX_TEXT: u64 = 16 << 20;

impl<'a> Loader<'a> {
    pub fn new(file: &ConfigFile<'a>, files: &'a dyn Files, root: &Node, found: Vec<Diagnostic>) -> Self {
        let core = ["model_id", "samples_per_item", "temps", "max_new_tokens"];
        let legacy = core.iter().filter_map(|key| root.entry(key)).map(|entry| entry.span).min();
        Self { root: file.root, files, env: file.env, found, legacy, has_bad_recordings: false }
    }

    /// Reads everything. What an error leaves out is missing in the result, which is then not used.
    pub fn config(&mut self, root: &Node) -> Config {
        let (experiments_dir, store_dir) = self.directories(root);
        let control = root.entries().iter().find(|entry| &*entry.key == "control");
        let control_arm = control.map(|entry| self.arm(&entry.value));
        let prompt_sets = self.prompt_sets(root, control_arm.as_ref());
        let mut providers = self.providers(root);
        let mut datasets = self.datasets(root);
        let models = self.models(root, &mut providers, &prompt_sets);
        let (trials, trials_without_sweep, when_unsupported) = self.trials(root, &models, &providers, &prompt_sets);
        self.judges(root, &models, &providers, &mut datasets);
        self.pairwise_judges(root, &models, &providers, &mut datasets);
        self.check_recordings(&models, &providers, &datasets, &trials);
        self.check_questions(&datasets, &prompt_sets);
        let analysis = self.analysis(root, &datasets);
        let used = providers.into_iter();
        let used = used.filter(|(name, _)| models.configs.values().any(|model| model.provider == *name));
        Config {
            root: self.root.to_owned(),
            experiments_dir,
            store_dir,
            is_store_shared: root.text_at("shared").as_deref() == Some("group"),
            views: if root.text_at("views").as_deref() == Some("copy") { Views::Copy } else { Views::Links },
            trusted_keys: root.get("trusted_keys").map_or_else(Vec::new, Node::texts),
            providers: used.collect(),
            models: models.configs,
            datasets,
            control: control_arm.unwrap_or_else(ArmConfig::default),
            prompt_sets,
            trials,
            trials_without_sweep,
            when_unsupported,
            outcomes: Self::outcomes(root),
            analysis,
            optional: Self::optional(root),
            plan_lock: self.plan_lock(),
            parts: self.parts(root),
            generation: Self::generation(root),
            redraws: self.redraws(root),
            reuse: self.reuse(root),
            max_failed: root.integer_at("max_failed").unwrap_or(0),
            max_usd: root.get("budget").and_then(|budget| budget.decimal_at("max_usd")),
            budget: root.get("budget").map_or_else(Budget::default, Self::budget),
            max_concurrent_jobs: root.integer_at("max_concurrent_jobs"),
            max_concurrent_requests: root.integer_at("max_concurrent_requests"),
        }
    }

    /// Finds the sealed plan, which stands beside the config's files and is named nowhere.
    fn plan_lock(&self) -> Option<SourceFile> {
        let file = self.source_file(PLAN_LOCK, Span::default());
        matches!(self.files.kind(&file.path), FileKind::File(_)).then_some(file)
    }

    fn parts(&mut self, root: &Node) -> Parts {
        let count = root.entry("parts_per_dataset");
        let lines = root.entry("lines_per_part");
        if let (Some(count), Some(lines)) = (count, lines) {
            let message = "`parts_per_dataset` and `lines_per_part` both say how datasets are divided";
            let found = Diagnostic::error(count.span.max(lines.span), message);
            self.found.push(found.related(count.span.min(lines.span), "the other").remedy("keep one of the two"));
        }
        let lines = root.integer_at("lines_per_part").map(Parts::Lines);
        let count = || root.integer_at("parts_per_dataset").map(Parts::Count);
        lines.or_else(count).unwrap_or(Parts::Lines(2000))
    }

    /// Reports an error.
    pub fn error(&mut self, at: Span, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Diagnostic::error(at, message).remedy(remedy));
    }

    /// Reports something worth knowing.
    pub fn note(&mut self, at: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::note(at, message));
    }

    /// Resolves a path against the project's root.
    pub fn resolve(&self, written: &str) -> Utf8PathBuf {
        let joined = self.root.join(written.strip_prefix("./").unwrap_or(written));
        joined.strip_prefix("./").map(Utf8Path::to_owned).unwrap_or(joined)
    }

    /// Names a file, without looking at it.
    pub fn source_file(&self, written: &str, at: Span) -> SourceFile {
        SourceFile { written: written.to_owned(), path: self.resolve(written), at: at.at }
    }

    /// Names a text file and reports what is wrong with it: missing, no file, empty, no UTF-8, braces that do not close.
    pub fn text_file(&mut self, written: &str, at: Span, what: TextFile) -> SourceFile {
        let file = self.source_file(written, at);
        let Some(size) = self.regular_file(&file, at) else { return file };
        if size > MAX_TEXT {
            let message = format!("`{written}` has {size} bytes; a prompt has at most {MAX_TEXT}");
            self.error(at, message, "name the right file");
            return file;
        }
        let bytes = match self.files.read(&file.path) {
            Ok(bytes) => bytes,
            Err(reason) => {
                self.error(at, format!("`{written}` cannot be read: {reason}"), "make the file readable");
                return file;
            }
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            self.error(at, format!("`{written}` is not valid UTF-8"), "save it as UTF-8");
            return file;
        };
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            let message = format!("`{written}` is empty");
            self.error(at, message, "write the text into the file, or take the key out");
        } else if what == TextFile::Template
            && let Some((line, column)) = template::unclosed(text)
        {
            let message = format!("{written}:{line}:{column}: `{{{{` without `}}}}`");
            self.error(at, message, "write `{{field}}`");
        }
        file
    }

    /// Names a data file and reports if it is missing, no file, or empty.
    pub fn data_file(&mut self, written: &str, at: Span) -> SourceFile {
        let file = self.source_file(written, at);
        if self.regular_file(&file, at) == Some(0) {
            self.error(at, format!("`{written}` is empty"), "write the data into the file, or name another");
        }
        file
    }

    /// Returns the size of a regular file, or reports what else it is.
    fn regular_file(&mut self, file: &SourceFile, at: Span) -> Option<u64> {
        let written = &file.written;
        let (message, remedy) = match self.files.kind(&file.path) {
            FileKind::File(size) => return Some(size),
            FileKind::Missing => {
                let remedy = if Utf8Path::new(written).is_absolute() {
                    "write the file, or correct the path".to_owned()
                } else {
                    format!("relative paths start from `{}`, the project's root", self.root)
                };
                (format!("`{written}` does not exist"), remedy)
            }
            FileKind::Directory => (format!("`{written}` is a directory"), "name a file in it".into()),
            FileKind::Other => (format!("`{written}` is not a regular file"), "name a regular file".into()),
            FileKind::Unreadable(reason) => {
                (format!("`{written}` cannot be read: {reason}"), "make the file readable".into())
            }
        };
        self.error(at, message, remedy);
        None
    }
}
