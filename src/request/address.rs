use crate::digest::{DrawId, Encoder, RequestKey};

/// Is where one draw stands for ever: written once, never replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawAddress {
    /// What is asked.
    pub request: RequestKey,
    /// Which asking of it: 0 unless the config or `--fresh` opened another.
    pub generation: u32,
    /// Which of its draws, from 0.
    pub number: u32,
}

impl DrawAddress {
    /// Returns the identity of the address.
    pub fn id(&self) -> DrawId {
        let mut encoder = Encoder::new("exp 2026-11 draw address");
        encoder.digest(self.request.digest());
        encoder.int(i64::from(self.generation));
        encoder.int(i64::from(self.number));
        DrawId::new(encoder.finish())
    }
}
