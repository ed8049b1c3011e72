use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{BufRead as _, BufReader};

use super::failure::{Exit, Failure};
use super::records::{Recorded, Records};
use crate::digest::BlobId;
use crate::plan::{MergeParams, StepKind, judge_rater, judged_draw};
use crate::report::{ItemList, PageAnswer, PageItem, PageVerdict, TokenCounts};
use crate::run::{ActionEntry, Manifest};
use crate::step::{AnswerLine, GoldLine, PairedItem, ParsedDraw, VerdictsLine, part_hash};
use crate::store::Store;

/// Says which items are wanted; what is not said is not asked for.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    /// Which way the item flipped: `up`, `down`, `other`.
    pub flip: Option<String>,
    /// The dataset.
    pub dataset: Option<String>,
    /// A status of a draw of it.
    pub status: Option<String>,
    /// A field of the row, as a dotted path, with its text.
    pub field: Option<(String, String)>,
}

/// Reads the items of one trial of a run, in bounded memory.
pub struct TrialItems<'s> {
    store: &'s Store,
    manifest: &'s Manifest,
    slug: String,
    params: MergeParams,
    merge: Recorded,
    /// The metric that says which way an item flipped, by dataset.
    main: BTreeMap<String, String>,
}

/// Is an item that may be shown.
struct Candidate {
    /// The order of choice: flips before the rest, then by hash of the id.
    rank: (bool, u64),
    at: u64,
    item: PageItem,
}

impl<'s> TrialItems<'s> {
    /// Finds what a trial's items are read from; none where the trial is not merged yet. `primary` are its primary metrics.
    pub fn find(
        store: &'s Store,
        manifest: &'s Manifest,
        slug: &str,
        primary: &[(String, String)],
    ) -> Result<Option<Self>, Failure> {
        let label = format!("merge/{slug}");
        let Some(action) = manifest.actions.iter().find(|action| action.label == label) else { return Ok(None) };
        let Some(merge) = Records::open(store, manifest)?.of(action)? else { return Ok(None) };
        let params: MergeParams = merge.params.read()?;
        let mut main = BTreeMap::new();
        for dataset in &params.datasets {
            let stated =
                primary.iter().find(|(name, metric)| *name == dataset.name && dataset.metrics.contains(metric));
            let metric = stated.map(|(_, metric)| metric.clone()).or_else(|| dataset.metrics.first().cloned());
            main.extend(metric.map(|metric| (dataset.name.clone(), metric)));
        }
        Ok(Some(Self { store, manifest, slug: slug.to_owned(), params, merge, main }))
    }

    /// Lists the datasets that the trial has.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.params.datasets.iter().map(|dataset| dataset.name.as_str())
    }

    /// Chooses at most so many items on which the arms disagree, with all that is shown of them; and counts tokens.
    pub fn collect(&self, filter: &ItemFilter, most: usize) -> Result<(ItemList, TokenCounts), Failure> {
        let wanted = match &filter.field {
            Some((path, text)) => Some(self.with_field(path, text)?),
            None => None,
        };
        let mut tokens = TokenCounts::default();
        let (mut items, mut disagreements) = (0, 0);
        let mut chosen: BTreeMap<(bool, u64, u64), Candidate> = BTreeMap::new();
        let paired = self.merge.outputs.get("paired").ok_or_else(|| damaged(&self.slug, "it has no `paired`"))?;
        self.lines(paired, |at, line| {
            let item: PairedItem<'_> =
                serde_json::from_str(line).map_err(|error| damaged("paired", &error.to_string()))?;
            for (counts, arm) in tokens.arms.iter_mut().zip(item.arms()) {
                for n in arm.iter().flat_map(|arm| arm.output_tokens.iter().flatten()) {
                    *counts.entry(*n).or_default() += 1;
                }
            }
            let is_wanted = wanted
                .as_ref()
                .is_none_or(|ids| ids.contains(&(item.dataset.to_string(), item.item.to_string())))
                && filter.dataset.as_deref().is_none_or(|name| name == item.dataset.as_str() || name == item.label());
            if !is_wanted {
                return Ok(());
            }
            items += 1;
            let Some(candidate) = self.candidate(at, &item) else { return Ok(()) };
            let has_status =
                |status: &str| candidate.item.arms.iter().flat_map(|arm| &arm.statuses).any(|one| one == status);
            if filter.flip.as_deref().is_some_and(|flip| flip != candidate.item.flip)
                || filter.status.as_deref().is_some_and(|status| !has_status(status))
            {
                return Ok(());
            }
            disagreements += 1;
            chosen.insert((candidate.rank.0, candidate.rank.1, at), candidate);
            if chosen.len() > most {
                chosen.pop_last();
            }
            Ok(())
        })?;
        let mut chosen: Vec<Candidate> = chosen.into_values().collect();
        chosen.sort_by_key(|candidate| candidate.at);
        let mut shown: Vec<PageItem> = chosen.into_iter().map(|candidate| candidate.item).collect();
        self.fill(&mut shown)?;
        Ok((ItemList { slug: self.slug.clone(), items, disagreements, shown }, tokens))
    }

    /// Makes a candidate of an item on which the arms disagree: in a score, or in how their answers ended.
    fn candidate(&self, at: u64, item: &PairedItem<'_>) -> Option<Candidate> {
        let [control, treatment] = item.arms();
        let (control, treatment) = (control?, treatment?);
        let dataset = self.params.datasets.iter().find(|dataset| dataset.name == item.dataset.as_str())?;
        let scores: Vec<_> = dataset
            .metrics
            .iter()
            .enumerate()
            .map(|(at, metric)| (metric.clone(), PageItem::unit_of(metric), [control.mean(at), treatment.mean(at)]))
            .collect();
        let statuses = |statuses: &[crate::step::DrawStatus]| {
            let mut all: Vec<String> = statuses.iter().map(ToString::to_string).collect();
            all.sort();
            all
        };
        let differs = scores.iter().any(|(_, _, arms)| arms[0] != arms[1]);
        if !differs && statuses(&control.statuses) == statuses(&treatment.statuses) {
            return None;
        }
        let main = self.main.get(&dataset.name);
        let flip = match scores.iter().find(|(metric, ..)| Some(metric) == main).map(|(_, _, arms)| *arms) {
            Some([Some(control), Some(treatment)]) if treatment > control => "up",
            Some([Some(control), Some(treatment)]) if treatment < control => "down",
            _ => "other",
        };
        let mut fields: Vec<(String, String)> = item.fields.clone().into_iter().collect();
        fields.extend(item.group.as_ref().map(|group| ("group".to_owned(), group.to_string())));
        fields.extend(item.label.as_ref().map(|label| ("label".to_owned(), label.to_string())));
        let answer = |arm: &crate::step::PairedArm| PageAnswer {
            statuses: arm.statuses.iter().map(ToString::to_string).collect(),
            ..PageAnswer::default()
        };
        let id = item.item.to_string();
        Some(Candidate {
            rank: (flip == "other", part_hash(&id)),
            at,
            item: PageItem {
                dataset: dataset.name.clone(),
                id,
                question: String::new(),
                passage: None,
                gold: Vec::new(),
                is_unanswerable: false,
                fields,
                arms: [answer(control), answer(treatment)],
                scores,
                flip,
            },
        })
    }

    /// Reads question, passage, gold answers and texts of the items that are shown.
    fn fill(&self, shown: &mut [PageItem]) -> Result<(), Failure> {
        let at: HashMap<(String, String), usize> =
            shown.iter().enumerate().map(|(at, item)| ((item.dataset.clone(), item.id.clone()), at)).collect();
        let datasets: BTreeSet<String> = shown.iter().map(|item| item.dataset.clone()).collect();
        for dataset in &datasets {
            let of_dataset = |id: &str| at.get(&(dataset.clone(), id.to_owned())).copied();
            for blob in self.parts(&format!("gold/{dataset}/")) {
                self.lines(&blob, |_, line| {
                    let gold: GoldLine<'_> =
                        serde_json::from_str(line).map_err(|error| damaged("gold", &error.to_string()))?;
                    if let Some(at) = of_dataset(&gold.id) {
                        shown[at].passage = gold.context.as_ref().map(ToString::to_string);
                        shown[at].is_unanswerable = gold.unanswerable;
                        shown[at].gold = gold.answers;
                    }
                    Ok(())
                })?;
            }
            for blob in self.questions(dataset) {
                self.lines(&blob, |_, line| {
                    let question: QuestionLine =
                        serde_json::from_str(line).map_err(|error| damaged("items", &error.to_string()))?;
                    if let Some(at) = of_dataset(&question.id) {
                        shown[at].question = question.question;
                    }
                    Ok(())
                })?;
            }
            for (arm, name) in ["control", "treatment"].into_iter().enumerate() {
                for blob in self.parts(&format!("parsed/{name}/{dataset}/")) {
                    self.lines(&blob, |_, line| {
                        let draw: ParsedDraw<'_> =
                            serde_json::from_str(line).map_err(|error| damaged("parsed", &error.to_string()))?;
                        let Some(at) = of_dataset(&draw.item) else { return Ok(()) };
                        let answer = &mut shown[at].arms[arm];
                        // The first draw that has a text stands for all.
                        if let (None, Some(text)) = (&answer.text, &draw.text) {
                            answer.text = Some(text.to_string());
                            answer.draw = draw.n;
                            let read = draw.answer.as_ref().map(ToString::to_string);
                            answer.answer = read.filter(|read| read != text.as_str());
                            answer.reasoning = draw.reasoning.as_ref().map(ToString::to_string);
                        }
                        Ok(())
                    })?;
                }
                self.fill_verdicts(shown, arm, dataset, &at)?;
            }
        }
        Ok(())
    }

    /// Reads what people and models said of the draws that are shown of an arm.
    fn fill_verdicts(
        &self,
        shown: &mut [PageItem],
        arm: usize,
        dataset: &str,
        at: &HashMap<(String, String), usize>,
    ) -> Result<(), Failure> {
        let rated = self.params.rated.iter().find(|rated| rated.dataset == dataset);
        let is_shown = |shown: &[PageItem], item: &str, n: u32| {
            let at = at.get(&(dataset.to_owned(), item.to_owned())).copied()?;
            (shown[at].arms[arm].text.is_some() && shown[at].arms[arm].draw == n).then_some(at)
        };
        let side = ["control", "treatment"][arm];
        for by in rated.iter().flat_map(|rated| &rated.labels) {
            let prefix = format!("verdicts/{side}/{by}/{dataset}/");
            let parts =
                self.merge.spec.inputs.iter().filter_map(|(name, blob)| Some((name.strip_prefix(&prefix)?, blob)));
            for (part, blob) in parts.filter(|(part, _)| !part.contains('/')) {
                self.lines(blob, |_, line| {
                    let line: VerdictsLine =
                        serde_json::from_str(line).map_err(|error| damaged("verdicts", &error.to_string()))?;
                    let Some(at) = is_shown(shown, &line.item, line.n) else { return Ok(()) };
                    let said = line.raters.into_iter().map(|(rater, worth)| (rater, Some(worth), None)).collect();
                    let verdict = PageVerdict { by: by.clone(), value: line.value, said };
                    shown[at].arms[arm].verdicts.push(verdict);
                    Ok(())
                })?;
                let Some(answers) = self.judge_answers(side, by, dataset, part, blob)? else { continue };
                self.lines(&answers, |_, line| {
                    let line: AnswerLine =
                        serde_json::from_str(line).map_err(|error| damaged("answers", &error.to_string()))?;
                    let Some((n, item)) = judged_draw(&line.item) else { return Ok(()) };
                    let Some(at) = is_shown(shown, item, n) else { return Ok(()) };
                    let verdicts = &mut shown[at].arms[arm].verdicts;
                    let Some(verdict) = verdicts.iter_mut().find(|verdict| verdict.by == *by) else { return Ok(()) };
                    let rater = judge_rater(line.n);
                    let text = line.answer.map(|answer| answer.text);
                    match verdict.said.iter_mut().find(|(other, ..)| *other == rater) {
                        Some((_, _, said)) => *said = text,
                        // What it said is no verdict that is known.
                        None => verdict.said.push((rater, None, text)),
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Finds what a judge said of one part, by its verdicts and by the answers that they are about; none where people did.
    fn judge_answers(
        &self,
        side: &str,
        by: &str,
        dataset: &str,
        part: &str,
        verdicts: &BlobId,
    ) -> Result<Option<BlobId>, Failure> {
        let parsed = self.merge.spec.inputs.get(&format!("parsed/{side}/{dataset}/{part}"));
        let records = Records::open(self.store, self.manifest)?;
        let (begins, ends) = (format!("{}/", StepKind::Judge), format!("/{by}/{part}"));
        let made = |action: &&ActionEntry| action.outputs.iter().any(|output| output.blob == *verdicts);
        let actions = self.manifest.actions.iter();
        for action in
            actions.filter(|action| action.label.starts_with(&begins) && action.label.ends_with(&ends)).filter(made)
        {
            let Some(judge) = records.of(action)? else { continue };
            if judge.spec.inputs.get("parsed") == parsed {
                return Ok(judge.spec.inputs.get("answers").copied());
            }
        }
        Ok(None)
    }

    /// Lists the items whose row has a text in a field.
    fn with_field(&self, path: &str, text: &str) -> Result<HashSet<(String, String)>, Failure> {
        let mut found = HashSet::new();
        let mut names = BTreeSet::new();
        for dataset in &self.params.datasets {
            for blob in self.questions(&dataset.name) {
                self.lines(&blob, |_, line| {
                    let row: FieldLine =
                        serde_json::from_str(line).map_err(|error| damaged("items", &error.to_string()))?;
                    let value = path.split('.').try_fold(&row.fields, |value, name| value.get(name));
                    let is_it = value.is_some_and(|value| match value.as_str() {
                        Some(it) => it == text,
                        None => serde_json::to_string(value).is_ok_and(|it| it == text),
                    });
                    if is_it {
                        found.insert((dataset.name.clone(), row.id));
                    } else if value.is_none() && names.is_empty() {
                        names.extend(row.fields.as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
                    }
                    Ok(())
                })?;
            }
        }
        if found.is_empty() && !names.is_empty() {
            let known = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(
                Failure::usage(format!("no item has `{text}` in a field `{path}`")).hint(format!("fields are {known}"))
            );
        }
        Ok(found)
    }

    /// Lists the inputs of the merge whose names begin so.
    fn parts(&self, prefix: &str) -> Vec<BlobId> {
        let inputs = self.merge.spec.inputs.iter();
        let part = |name: &str| name.strip_prefix(prefix).is_some_and(|part| !part.contains('/'));
        inputs.filter(|(name, _)| part(name)).map(|(_, blob)| *blob).collect()
    }

    /// Lists the blobs that hold the questions of a dataset.
    fn questions(&self, dataset: &str) -> Vec<BlobId> {
        let label = format!("prepare/{dataset}");
        let prepared =
            self.manifest.actions.iter().filter(|action| action.label == label).flat_map(|action| &action.outputs);
        prepared.filter(|output| output.name.starts_with("items/")).map(|output| output.blob).collect()
    }

    /// Walks over the lines of a blob. A damaged blob is an error at its end, whatever was read before.
    fn lines(&self, blob: &BlobId, mut take: impl FnMut(u64, &str) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut reader = BufReader::with_capacity(1 << 16, self.store.open_blob(blob)?);
        let mut line = String::new();
        let mut at = 0;
        loop {
            line.clear();
            let read = reader.read_line(&mut line).map_err(|error| damaged(&blob.to_string(), &error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            if !line.trim_ascii().is_empty() {
                take(at, line.trim_end_matches('\n'))?;
            }
            at += 1;
        }
    }
}

/// Is what is shown of a line of `items`.
#[derive(serde::Deserialize)]
struct QuestionLine {
    id: String,
    question: String,
}

/// Is a line of `items` with the rest of its row.
#[derive(serde::Deserialize)]
struct FieldLine {
    id: String,
    #[serde(default)]
    fields: serde_json::Value,
}

fn damaged(what: &str, why: &str) -> Failure {
    Failure::new(Exit::Damage, format!("`{what}`: {why}")).hint("`exp audit` says what is damaged")
}
