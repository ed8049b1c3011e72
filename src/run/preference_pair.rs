use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{PairedChange, loose_json};

/// Is which arm's answers a model prefers on a dataset, as the two `pairwise.json` have it: each over its own pairs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PreferencePair {
    /// The dataset.
    pub dataset: String,
    /// What the setting is called.
    pub name: String,
    /// In `a`; absent where that has none of this name.
    pub a: Option<Preference>,
    /// In `b`.
    pub b: Option<Preference>,
    /// How `b` differs from `a`, where both have it.
    pub change: Option<PreferenceChange>,
}

/// Is which arm's answers a model prefers. A win is the treatment's.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Preference {
    /// The model that compares.
    pub model: String,
    /// Pairs with an outcome.
    pub compared: u64,
    /// Those that treatment wins.
    pub wins: u64,
    /// Those that neither wins.
    pub ties: u64,
    /// Those that control wins.
    pub losses: u64,
    /// The mean over items: wins and half the ties, as a share; absent without any.
    pub win_rate: Option<f64>,
    /// Its interval at 95 %.
    pub ci_95: Option<[f64; 2]>,
    /// The p-value of the sign test of as many items won as lost.
    pub p_value: Option<f64>,
}

/// Is what changed from `a` to `b`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PreferenceChange {
    /// More wins, or fewer.
    pub wins: i64,
    /// More ties, or fewer.
    pub ties: i64,
    /// More losses, or fewer.
    pub losses: i64,
    /// The difference of the win rates.
    pub win_rate: Option<f64>,
    /// The same over the items that both compare, each with the mean score of its pairs; absent without any, and where rows of the
    /// data have labels of their own, by which tables then call their items.
    pub paired: Option<PairedChange>,
}

/// Is what is preferred, by dataset and name of the setting.
pub(super) type Preferences = BTreeMap<(String, String), Preference>;

/// Reads a `pairwise.json` by dataset and name; none where it is none.
pub(super) fn preferences(bytes: &[u8]) -> Option<Preferences> {
    let document = loose_json(bytes)?;
    let mut found = Preferences::new();
    for (dataset, blocks) in document["datasets"].as_object()? {
        for (name, block) in blocks.as_object()? {
            found.insert((dataset.clone(), name.clone()), preference(block)?);
        }
    }
    Some(found)
}

fn preference(block: &Value) -> Option<Preference> {
    let count = |name: &str| block[name].as_u64();
    let rate = &block["win_rate"];
    Some(Preference {
        model: block["model"].as_str()?.to_owned(),
        compared: count("compared")?,
        wins: count("wins")?,
        ties: count("ties")?,
        losses: count("losses")?,
        win_rate: rate["mean"].as_f64(),
        ci_95: rate["ci_95"][0].as_f64().zip(rate["ci_95"][1].as_f64()).map(|(low, high)| [low, high]),
        p_value: block["sign_test"]["p_value"].as_f64(),
    })
}

/// Sets the two sides of a trial beside each other, by dataset and name.
pub(super) fn side_by_side(a: &Preferences, b: &Preferences) -> Vec<PreferencePair> {
    let names: BTreeSet<&(String, String)> = a.keys().chain(b.keys()).collect();
    let pair = |key: &(String, String)| {
        let (a, b) = (a.get(key), b.get(key));
        PreferencePair {
            dataset: key.0.clone(),
            name: key.1.clone(),
            change: a.zip(b).map(|(a, b)| change(a, b)),
            a: a.cloned(),
            b: b.cloned(),
        }
    };
    names.into_iter().map(pair).collect()
}

fn change(a: &Preference, b: &Preference) -> PreferenceChange {
    let more = |of: fn(&Preference) -> u64| of(b) as i64 - of(a) as i64;
    PreferenceChange {
        wins: more(|side| side.wins),
        ties: more(|side| side.ties),
        losses: more(|side| side.losses),
        win_rate: a.win_rate.zip(b.win_rate).map(|(a, b)| b - a),
        paired: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(wins: u64, rate: &str) -> String {
        format!(
            "{{\"model\":\"m\",\"compared\":4,\"wins\":{wins},\"ties\":1,\"losses\":{},\"win_rate\":{{\"mean\":{rate},\"ci_95\":null}},\
             \"sign_test\":{{\"p_value\":0.5}}}}",
            3 - wins
        )
    }

    #[test]
    fn what_only_one_has_is_listed_and_what_both_have_is_compared() {
        let read = |text: String| preferences(text.as_bytes()).unwrap();
        let a =
            read(format!("{{\"datasets\":{{\"d\":{{\"j\":{},\"old\":{}}}}}}}", block(1, "0.375"), block(2, "0.625")));
        let b = read(format!("{{\"datasets\":{{\"d\":{{\"j\":{}}}}}}}", block(3, "null")));
        let [both, only] = side_by_side(&a, &b).try_into().unwrap();
        assert_eq!((both.name.as_str(), only.name.as_str(), &only.b, &only.change), ("j", "old", &None, &None));
        assert_eq!(both.change, Some(PreferenceChange { wins: 2, ties: 0, losses: -2, win_rate: None, paired: None }));
        assert_eq!(both.a.unwrap().win_rate, Some(0.375));
        assert_eq!(preferences(b"{\"datasets\":{\"d\":{\"j\":{}}}}"), None);
    }
}
