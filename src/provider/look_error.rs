/// Says why a server could not be asked what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookError {
    /// Why, in one sentence.
    pub why: String,
    /// Whether asking once more may help: not after a wrong key, a certificate that is not accepted, or a model that is not there.
    pub may_pass: bool,
}

impl LookError {
    /// Makes the error of a server that will say the same again.
    pub(super) fn lasting(why: String) -> Self {
        Self { why, may_pass: false }
    }

    /// Makes the error of a server that may answer another time.
    pub(super) fn passing(why: String) -> Self {
        Self { why, may_pass: true }
    }
}
