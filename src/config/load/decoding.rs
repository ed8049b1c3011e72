//! Decoding fields as they are written, and points made of them.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{DecodingPoint, Span};
use crate::digest::Decimal;
use crate::request::{Decoding, SeedPolicy};

/// Is the value of a decoding field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Number(Decimal),
    Count(u32),
    ByBook { open: u32, closed: u32 },
    Text(String),
    Texts(Vec<String>),
    Seed(SeedPolicy),
}

impl Setting {
    /// Returns the largest count in it.
    pub fn most_count(&self) -> Option<u32> {
        match self {
            Self::Count(count) => Some(*count),
            Self::ByBook { open, closed } => Some(*open.max(closed)),
            _ => None,
        }
    }
}

/// Is a decoding field's value, with its place.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub setting: Setting,
    pub at: Span,
    /// Whether nobody wrote it: a default of the predecessor.
    pub implied: bool,
}

/// Is a point of the decoding axis while it is being put together.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub name: Option<String>,
    pub fields: BTreeMap<&'static str, Given>,
    pub draws: u32,
}

/// Reads the decoding fields of a mapping: a value, or none for `unset`.
pub(super) fn read_fields(node: &Node) -> Vec<(&'static str, Option<Given>)> {
    let mut fields = Vec::new();
    for name in Decoding::FIELDS {
        let Some(entry) = node.entry(name) else { continue };
        let value = &entry.value;
        if value.text() == Some("unset") {
            fields.push((name, None));
        } else if let Some(setting) = read_setting(name, value) {
            fields.push((name, Some(Given { setting, at: entry.span, implied: false })));
        }
    }
    fields
}

fn read_setting(name: &str, value: &Node) -> Option<Setting> {
    Some(match name {
        "top_k" => Setting::Count(value.integer()?),
        "max_output_tokens" => match value.integer() {
            Some(count) => Setting::Count(count),
            None => Setting::ByBook { open: value.integer_at("open_book")?, closed: value.integer_at("closed_book")? },
        },
        "effort" => Setting::Text(value.text()?.to_owned()),
        "stop" => {
            let texts = value.texts();
            if texts.is_empty() {
                return None;
            }
            Setting::Texts(texts)
        }
        "seed" if value.text() == Some("per_draw") => Setting::Seed(SeedPolicy::PerDraw),
        "seed" => Setting::Seed(SeedPolicy::Fixed(value.integer()?)),
        _ => Setting::Number(value.decimal()?),
    })
}

impl Draft {
    /// Puts fields over those that are there.
    pub fn overlay(&mut self, fields: &[(&'static str, Option<Given>)]) {
        for (name, given) in fields {
            match given {
                Some(given) => self.fields.insert(name, given.clone()),
                None => self.fields.remove(name),
            };
        }
    }

    /// Sets one field.
    pub fn set(&mut self, name: &'static str, setting: Setting, at: Span) {
        self.fields.insert(name, Given { setting, at, implied: false });
    }

    /// Returns the temperature.
    pub fn temperature(&self) -> Option<Decimal> {
        match self.fields.get("temperature")?.setting {
            Setting::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Makes the point.
    pub fn point(&self) -> DecodingPoint {
        let number = |name: &str| match self.fields.get(name)?.setting {
            Setting::Number(number) => Some(number),
            _ => None,
        };
        let count = |name: &str| match self.fields.get(name)?.setting {
            Setting::Count(count) => Some(count),
            _ => None,
        };
        let (closed, open) = match self.fields.get("max_output_tokens").map(|given| &given.setting) {
            Some(Setting::ByBook { open, closed }) => (Some(*closed), Some(*open)),
            _ => (None, None),
        };
        let decoding = Decoding {
            temperature: number("temperature"),
            top_p: number("top_p"),
            top_k: count("top_k"),
            min_p: number("min_p"),
            max_output_tokens: count("max_output_tokens"),
            frequency_penalty: number("frequency_penalty"),
            presence_penalty: number("presence_penalty"),
            effort: match self.fields.get("effort").map(|given| &given.setting) {
                Some(Setting::Text(text)) => Some(text.clone()),
                _ => None,
            },
            stop: match self.fields.get("stop").map(|given| &given.setting) {
                Some(Setting::Texts(texts)) => texts.clone(),
                _ => Vec::new(),
            },
            seed: match self.fields.get("seed").map(|given| &given.setting) {
                Some(Setting::Seed(seed)) => Some(*seed),
                _ => None,
            },
        };
        DecodingPoint {
            name: self.name.clone(),
            decoding,
            max_output_tokens_closed: closed,
            max_output_tokens_open: open,
            draws: self.draws,
        }
    }
}
