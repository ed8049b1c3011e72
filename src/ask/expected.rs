use std::collections::BTreeMap;

use crate::provider::Served;
use crate::request::ProviderIdentity;

/// Is the revision of a model that its server is expected to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRevision {
    /// The revision.
    pub revision: String,
    /// Whether the config states it; else it is what was served when the model was last asked.
    pub is_stated: bool,
}

/// Holds what servers are expected to serve, by provider and model.
#[derive(Clone, Debug, Default)]
pub struct Expected(BTreeMap<(ProviderIdentity, String), ExpectedRevision>);

impl Expected {
    /// Adds what is expected of a model.
    pub fn add(&mut self, provider: ProviderIdentity, model: &str, revision: ExpectedRevision) {
        self.0.insert((provider, model.to_owned()), revision);
    }

    /// Compares what a server says with what is expected; the error says what to write into the config.
    pub(super) fn check(&self, provider: &ProviderIdentity, model: &str, served: &Served) -> Result<(), String> {
        let Some(expected) = self.0.get(&(provider.clone(), model.to_owned())) else { return Ok(()) };
        let Some(now) = &served.revision else { return Ok(()) };
        if *now == expected.revision {
            return Ok(());
        }
        let known = if expected.is_stated { "the config states" } else { "the last answers came from" };
        Err(format!(
            "`{model}` is now served as revision `{now}`, and {known} `{}`; to use it as it is now, write \
             `revision: \"{now}\"` on the model: its answers are then kept apart from the earlier ones",
            expected.revision
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_revision_is_told_with_its_remedy() {
        let provider = ProviderIdentity("ollama a".into());
        let served = |revision: Option<&str>| Served { revision: revision.map(str::to_owned), ..Served::default() };
        let mut expected = Expected::default();
        assert_eq!(expected.check(&provider, "m", &served(Some("b"))), Ok(()), "nothing is expected");
        expected.add(provider.clone(), "m", ExpectedRevision { revision: "a".into(), is_stated: true });
        assert_eq!(expected.check(&provider, "m", &served(Some("a"))), Ok(()));
        assert_eq!(expected.check(&provider, "m", &served(None)), Ok(()), "a server that cannot say is not doubted");
        let told = expected.check(&provider, "m", &served(Some("b"))).unwrap_err();
        assert!(told.contains("the config states `a`") && told.contains("revision: \"b\""), "{told}");
    }
}
