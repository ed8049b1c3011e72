use std::collections::BTreeSet;
use std::sync::Arc;

use super::build_args::{BuildArgs, UncertainArg};
use super::failure::Failure;
use super::online::{self, Outside, batches};
use crate::ask::{BatchPolicy, Batching, Expected, ExpectedRevision, Policies, Policy, Providers};
use crate::config::{Config, ProviderApi, ProviderConfig, ProviderKind, ProviderMode, ScorerConfig, Source};
use crate::digest::BlobId;
use crate::plan::{AskedModel, Facts, Sources};
use crate::provider::{Lexical, LexicalSettings, Provider as _, Replay, lexical};
use crate::request::ProviderIdentity;
use crate::run::Catalog;
use crate::step;

/// Ends the identity of who is asked by OpenAI's responses.
pub const RESPONSES: &str = " responses";
/// Stands in an identity for the address that a kind has where the config gives none.
pub const DEFAULT_ADDRESS: &str = "default address";

/// Names who answers: by revision and settings for the embedded providers, else as stated or by family and address.
pub fn identity(provider: &ProviderConfig, corpus: Option<&BlobId>) -> ProviderIdentity {
    match provider.kind {
        // Nobody can state these: what decides the answer is all here.
        ProviderKind::Lexical => Lexical::identity_of(provider.threshold, corpus),
        ProviderKind::Replay => Replay::new(&provider.name).identity().clone(),
        kind => {
            // The two protocols of one service are two ways of asking: what is asked is not the same.
            let protocol = if provider.api == ProviderApi::Responses { RESPONSES } else { "" };
            if let Some(stated) = &provider.identity {
                return ProviderIdentity(format!("{} {stated}{protocol}", kind.as_str()));
            }
            let address = provider.base_url.as_deref().unwrap_or(DEFAULT_ADDRESS);
            ProviderIdentity(format!("{} {}{protocol}", kind.as_str(), normalised(address)))
        }
    }
}

/// Reads the kind of who answers over a network, and the address or the stated name, back from an identity; `None` for the
/// embedded ones.
pub fn kind_and_place(identity: &ProviderIdentity) -> Option<(ProviderKind, &str)> {
    let (word, rest) = identity.0.split_once(' ')?;
    let kinds = [
        ProviderKind::OpenAi,
        ProviderKind::Anthropic,
        ProviderKind::Ollama,
        ProviderKind::Fireworks,
        ProviderKind::LlamaCpp,
    ];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == word)?;
    Some((kind, rest.strip_suffix(RESPONSES).unwrap_or(rest)))
}

/// Writes an address in one spelling: scheme and host in lower case, no port that goes without saying, no last slash.
fn normalised(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}{path}", authority.strip_suffix(port).unwrap_or(&authority))
}

fn note(provider: &ProviderConfig) -> Option<String> {
    match provider.kind {
        ProviderKind::Lexical => Some(lexical::LABEL.to_owned()),
        ProviderKind::Replay => Some("answers recorded elsewhere, replayed".to_owned()),
        _ => None,
    }
}

fn metrics(scorer: &ScorerConfig, open: bool) -> Vec<String> {
    step::metric_names(&scorer.settings, &scorer.name, open)
}

fn scorer_revision(scorer: &ScorerConfig) -> u32 {
    step::scorer_revision(&scorer.settings)
}

/// Tells the plan what it may not see for itself.
pub const FACTS: Facts<'static> =
    Facts { identity: &identity, note: &note, metrics: &metrics, scorer_revision: &scorer_revision };

/// Reads a blob of the store; the error is the reason in words.
pub type ReadBlob = Arc<dyn Fn(&BlobId) -> Result<Vec<u8>, String> + Send + Sync>;

/// Makes the providers that can be asked here; those over a network need `outside`. The corpus of a reader is taken from the
/// store when it is first needed.
pub fn providers(
    config: &Config,
    asked: &[AskedModel<'_>],
    sources: &Sources,
    read: &ReadBlob,
    outside: Option<&Outside<'_>>,
) -> Result<Providers, Failure> {
    let mut providers = Providers::default();
    let names: BTreeSet<&String> = asked.iter().map(|asked| &asked.model.provider).collect();
    for name in names {
        let Some(provider) = config.providers.get(name) else { continue };
        match provider.kind {
            ProviderKind::Replay => providers.add(Arc::new(Replay::new(&provider.name))),
            ProviderKind::Lexical => {
                let corpus = match &provider.corpus {
                    Some(Source::File(file)) => sources.get(&file.path).map(|source| source.blob),
                    Some(Source::Url { url, .. }) => {
                        return Err(Failure::usage(format!(
                            "provider `{name}`: a corpus has to be a file of the project, and this is an address: {url}"
                        ))
                        .hint("download it once and name the file"));
                    }
                    None => None,
                };
                let identity = identity(provider, corpus.as_ref());
                let threshold = provider.threshold;
                let lexical = match corpus {
                    Some(blob) => {
                        let read = read.clone();
                        Lexical::with_corpus_loader(identity, threshold, Box::new(move || read(&blob)))
                    }
                    None => Lexical::new(LexicalSettings { threshold, corpus: None }),
                };
                providers.add(Arc::new(lexical));
            }
            _ => {
                if let Some(outside) = outside {
                    providers.add(online::online(config, provider, outside)?);
                    if let Some(service) = batches(config, provider, outside)? {
                        providers.add_batches(service);
                    }
                }
            }
        }
    }
    Ok(providers)
}

/// Lists the models that are asked over a network.
fn online<'s, 'a>(asked: &'s [AskedModel<'a>]) -> impl Iterator<Item = &'s AskedModel<'a>> {
    asked.iter().filter(|asked| !asked.provider.kind.is_embedded())
}

/// Says how each provider over a network is asked: as the command line has it, else the config, else by the default.
pub fn policies(config: &Config, asked: &[AskedModel<'_>], args: &BuildArgs) -> Policies {
    let mut policies = Policies::default();
    let in_flight = args.max_concurrent_requests.or(config.max_concurrent_requests.map(|n| n as usize));
    for AskedModel { provider, .. } in online(asked) {
        let retry_uncertain = args.on_uncertain == UncertainArg::Retry;
        let asking = &provider.asking;
        let default = Policy::default();
        let mut policy = Policy {
            retry_uncertain,
            requests_per_minute: asking.requests_per_minute.map(u64::from),
            tokens_per_minute: asking.tokens_per_minute,
            first_wait: asking.first_wait.unwrap_or(default.first_wait),
            max_attempts: asking.max_attempts.unwrap_or(default.max_attempts),
            max_wait: asking.max_wait.unwrap_or(default.max_wait),
            max_retry_time: asking.max_retry_time.unwrap_or(default.max_retry_time),
            ..default
        };
        if let Some(most) = in_flight {
            policy.most_in_flight = most.max(1);
        }
        // What a provider bears, no flag makes it bear more.
        if let Some(most) = asking.max_concurrent_requests {
            policy.most_in_flight = policy.most_in_flight.min(most as usize);
        }
        policies.add(identity(provider, None), policy);
    }
    policies
}

/// Is from how many missing requests on `mode: auto` sends batches, where the config does not say.
const MANY: u64 = 100;

/// Says how batches are gone about in a build.
pub fn batching(config: &Config, asked: &[AskedModel<'_>], args: &BuildArgs) -> Batching {
    let mut batching = Batching::new(args.detach, args.ignore_batch.iter().cloned().collect());
    let at_once = args.max_concurrent_jobs.or(config.max_concurrent_jobs.map(|n| n as usize));
    for AskedModel { provider, .. } in online(asked) {
        let mut policy = batch_policy(provider);
        policy.most_at_once = at_once.unwrap_or(policy.most_at_once);
        batching.add(identity(provider, None), policy);
    }
    batching
}

/// Says how a provider is asked in batches, as its config has it, else by the default.
pub fn batch_policy(provider: &ProviderConfig) -> BatchPolicy {
    let (own, default) = (&provider.batches, BatchPolicy::default());
    BatchPolicy {
        from: match provider.mode {
            ProviderMode::Online => None,
            ProviderMode::Batch => Some(0),
            ProviderMode::Auto => Some(own.from.unwrap_or(MANY)),
        },
        most_requests: own.max_requests,
        most_bytes: own.max_bytes,
        poll: own.poll.unwrap_or(default.poll),
        start_deadline: own.start_deadline.unwrap_or(default.start_deadline),
        list_delay: own.list_delay.unwrap_or(default.list_delay),
        removes_files: own.remove_files,
        ..default
    }
}

/// Says which revision each server is expected to serve: the one that the config states, else the one of the last run.
pub fn expected(asked: &[AskedModel<'_>], catalog: &Catalog) -> Expected {
    let mut expected = Expected::default();
    for AskedModel { model, provider } in online(asked) {
        let provider = identity(provider, None);
        let last = || {
            let served = catalog.made_here().rev().flat_map(|entry| &entry.record.served);
            served
                .filter(|served| served.provider == provider.0 && served.model == model.model)
                .find_map(|s| s.revision.clone())
        };
        let stated = model.revision.clone();
        let is_stated = stated.is_some();
        if let Some(revision) = stated.or_else(last) {
            expected.add(provider, &model.model, ExpectedRevision { revision, is_stated });
        }
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn an_address_has_one_spelling() {
        for spelling in
            ["https://api.example.org/v1", "HTTPS://API.example.org:443/v1/", "https://api.Example.org/v1//"]
        {
            assert_eq!(normalised(spelling), "https://api.example.org/v1", "{spelling}");
        }
        let others = ["http://a:443/V1", "http://a:8080", "http://[::1]:80/x", "http://a:80", "default address"];
        let expected = ["http://a:443/V1", "http://a:8080", "http://[::1]/x", "http://a", "default address"];
        assert_eq!(others.map(normalised), expected);
    }
}
