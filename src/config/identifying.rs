use std::collections::BTreeSet;

use super::tree::{Kind, Node, parse};

/// Are the ends of keys whose values say on whose behalf something is asked.
const KEYS: [&str; 8] =
    ["user", "organization", "organisation", "project", "account", "account_id", "workspace", "safety_identifier"];
/// Are keys below which everything does.
const BELOW: [&str; 6] = ["headers", "metadata", "request_metadata", "batch_metadata", "request_params", "query"];

/// Lists what in a config's text says who ran the experiment, and where: the hosts of addresses, absolute paths, the values
/// of headers and metadata, users, organisations, projects, accounts, and the owners that models' ids name.
///
/// `None` where the text is no YAML that a config may be: nothing is known of it then.
pub fn identifying(text: &str) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    visit(&parse(text).0?, false, &mut found);
    Some(found)
}

fn visit(node: &Node, named: bool, found: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            if named && node.text().is_some() {
                found.insert(text.to_string());
            }
            found.extend(in_text(text));
        }
        Kind::Sequence(items) => items.iter().for_each(|item| visit(item, named, found)),
        Kind::Mapping(entries) => {
            for entry in entries {
                found.extend(in_text(&entry.key));
                let key = entry.key.to_lowercase().replace('-', "_");
                let names = KEYS.iter().any(|end| key.ends_with(end)) || BELOW.contains(&key.as_str());
                visit(&entry.value, named || names, found);
            }
        }
    }
}

/// Lists what one text of an experiment shows of who ran it, and where: the hosts of its addresses, absolute paths, and the
/// owner of a model (`ft:BASE:OWNER:…`, `accounts/OWNER/…`).
pub fn in_text(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in text.split(|c: char| c.is_whitespace() || "\"'`,;()[]{}<>|".contains(c)) {
        // An address, and the host in it: either may stand elsewhere without the other.
        if let Some((_, rest)) = word.split_once("://") {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            let bare = host
                .rsplit_once(':')
                .map_or(host, |(bare, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { bare } else { host });
            found.extend([authority.to_owned(), bare.to_owned()]);
        }
        let path = word.split_once('=').map_or(word, |(_, value)| value);
        let is_path = (path.starts_with('/') || path.starts_with("~/")) && !path.starts_with("//");
        if is_path && path.trim_matches('/').len() >= 2 {
            found.insert(path.trim_end_matches('/').to_owned());
            let mut parts = path.trim_start_matches(['~', '/']).split('/');
            // Whose home it is.
            if matches!(parts.next(), Some("home" | "Users")) {
                found.extend(parts.next().map(|user| format!("/{user}/")));
            }
        }
        if let Some(rest) = word.strip_prefix("ft:") {
            found.extend(rest.split(':').nth(1).map(str::to_owned));
        }
        if let Some((_, rest)) = word.split_once("accounts/") {
            found.extend(rest.split('/').next().filter(|owner| *owner != "fireworks").map(str::to_owned));
        }
    }
    // Shorter ones say nothing, and are everywhere.
    found.retain(|text| text.len() >= 3);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_who_and_where_is_found_and_nothing_else() {
        let text = "\
version: 1
providers:
  p: {kind: openai, base_url: 'https://me:pw@gpu7.lab.example:8000/v1', api_key_env: KEY, headers: {OpenAI-Organization: org-x1, X-Team: blue team}}
models:
  - {name: m, provider: p, model: 'ft:base:pell-lab::77', extra_body: {user: ada@lab, seed: 1}}
  - {name: n, provider: p, model: accounts/pell/models/q}
  - {name: o, provider: p, model: accounts/fireworks/models/q}
datasets: {d: {path: /home/adap/items.jsonl, fields: {id: id}}, e: {path: data/e.jsonl}}
";
        let found: Vec<String> = identifying(text).unwrap().into_iter().collect();
        assert_eq!(
            found,
            [
                "/adap/",
                "/home/adap/items.jsonl",
                "ada@lab",
                "blue team",
                "gpu7.lab.example",
                "me:pw@gpu7.lab.example:8000",
                "org-x1",
                "pell",
                "pell-lab",
            ]
        );
        assert_eq!(identifying("a: ["), None);
    }
}
