//! Text to scores: normal forms, scorers, reasoning removal and answer extraction.
//!
//! This layer is pure. It reads no file, clock or environment and imports nothing of the crate; JSON is known to
//! [`Json`] alone, whose matter it is. A scorer is built from a plain settings struct, and then maps an answer and its [`Gold`] to a short ordered
//! list of metrics ([`Scores`]).
//!
//! | scorer | metrics |
//! |---|---|
//! | [`Squad`] | `squad_em`, `squad_f1`: what the official SQuAD 2.0 evaluator says, nothing else |
//! | [`Qa`] | `em`, `f1`, `abstain_rate` and, for open items, `false_answer_rate`, `unsupported_rate` |
//! | [`Includes`] | `includes`: a gold answer occurs in the answer |
//! | [`Exact`] | `exact`: the answer is a gold answer |
//! | [`Numeric`] | `numeric`: a number in the answer equals the gold number |
//! | [`Pattern`] | `regex`: the answer matches a pattern |
//! | [`Choice`] | `choice`: the answer chooses the right option |
//! | [`Json`] | `json`, `json_fields`: the answer holds the right JSON |
//!
//! A new scorer is one file beside these (with its `mod` and `pub use` lines here) and one line in the table at the end
//! of `scorer.rs`. Whoever changes what a scorer says must raise the `REVISION` in its file.

mod abstention;
mod choice;
mod error;
mod exact;
mod extraction;
mod gold;
mod includes;
mod json;
mod normalize;
mod number;
mod numeric;
mod overlap;
mod pattern;
mod pick;
mod qa;
mod reasoning;
mod scorer;
mod scores;
mod squad;
mod unsupported;

pub use abstention::{ABSTENTION_PHRASES, Abstention};
pub use choice::{Choice, ChoiceSettings, GoldOption};
pub use error::ScoringError;
pub use exact::{Exact, ExactSettings};
pub use extraction::{Extracted, Extraction, IfAbsent};
pub use gold::Gold;
pub use includes::{Includes, IncludesSettings};
pub use json::{Json, JsonMatch, JsonSettings};
pub use normalize::{qa_normal, squad_normal};
pub use number::Number;
pub use numeric::{Numeric, NumericSettings, Tolerance};
pub use overlap::token_f1;
pub use pattern::{Pattern, PatternSettings};
pub use pick::Pick;
pub use qa::{Qa, QaSettings};
pub use reasoning::split_reasoning;
pub use scorer::{Score, Scorer};
pub use scores::Scores;
pub use squad::Squad;
pub use unsupported::{Strategy, Unsupported};
