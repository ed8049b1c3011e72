/// Says why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Parameters could not be written or read as JSON: a fault of the program.
    #[error("the parameters of a step cannot be written")]
    Params {
        /// Why.
        source: serde_json::Error,
    },
    /// A name on the command line names nothing.
    #[error("there is no {what} `{name}`; there is: {known}")]
    Unknown {
        /// What was named: a model, prompt set, temperature or trial.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// The selection leaves nothing to build.
    #[error("nothing is selected: {why}")]
    Nothing {
        /// Why.
        why: String,
    },
    /// A model's override cannot be applied.
    #[error("model `{model}`: `decoding.{field}: {value}` is not {expected}")]
    Override {
        /// The model.
        model: String,
        /// The field.
        field: String,
        /// The value as written.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A replayed model has no recordings for an arm.
    #[error("model `{model}` replays no recordings for dataset `{dataset}`, arm `{arm}`")]
    NoRecordings {
        /// The model.
        model: String,
        /// The dataset.
        dataset: String,
        /// The arm.
        arm: String,
    },
}
