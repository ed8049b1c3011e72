//! Compares a tree with the language: unknown keys, missing keys, wrong types, numbers out of range.

use super::super::tree::{Entry, Kind, Node};
use super::super::{Diagnostic, Span};
use super::{Field, ROOT, Shape, Table, nearest};
use crate::digest::Decimal;

/// Is the number of findings after which suggestions end.
const ENOUGH: usize = 200;

/// Checks a value, reporting all that is wrong with it. `name` is what the value is called in messages, in backticks
/// where it is a key; `owner` is where a missing key is reported.
pub(crate) fn check(node: &Node, shape: &Shape, name: &str, owner: Span, found: &mut Vec<Diagnostic>) {
    match shape {
        Shape::Table(table) => {
            if is_mapping(node, shape, name, found) {
                check_table(node, table, None, name, owner, found);
            }
        }
        Shape::Open(table, rest) => {
            if is_mapping(node, shape, name, found) {
                check_table(node, table, Some(rest), name, owner, found);
            }
        }
        Shape::Map(of) | Shape::Names(of) => {
            if is_mapping(node, shape, name, found) {
                for entry in node.entries() {
                    if matches!(shape, Shape::Names(_)) {
                        found.extend(bad_name(&entry.key, entry.span));
                    }
                    check(&entry.value, of, &quoted(&entry.key), entry.span, found);
                }
            }
        }
        Shape::List(of) => match &node.kind {
            Kind::Sequence(items) => {
                for item in items {
                    check(item, of, &format!("an entry of {name}"), item.span, found);
                }
            }
            _ => found.push(mismatch(node, shape, name)),
        },
        Shape::Either(shapes) => check_either(node, shape, shapes, name, owner, found),
        Shape::Anything => check_json(node, name, found),
        _ => found.extend(check_scalar(node, shape, name)),
    }
}

fn quoted(key: &str) -> String {
    format!("`{key}`")
}

fn is_mapping(node: &Node, shape: &Shape, name: &str, found: &mut Vec<Diagnostic>) -> bool {
    let is_mapping = matches!(node.kind, Kind::Mapping(_));
    if !is_mapping {
        found.push(mismatch(node, shape, name));
    }
    is_mapping
}

fn check_either(node: &Node, whole: &Shape, shapes: &[Shape], name: &str, owner: Span, found: &mut Vec<Diagnostic>) {
    // A list or mapping that one alternative takes is judged by it alone: its messages say more.
    let by_kind = shapes.iter().find(|shape| match node.kind {
        Kind::Sequence(_) => matches!(shape, Shape::List(_)),
        Kind::Mapping(_) => matches!(shape, Shape::Map(_) | Shape::Names(_) | Shape::Table(_) | Shape::Open(..)),
        Kind::Scalar { .. } => false,
    });
    if let Some(shape) = by_kind {
        return check(node, shape, name, owner, found);
    }
    let mut problems = Vec::new();
    for shape in shapes {
        let mut here = Vec::new();
        check(node, shape, name, owner, &mut here);
        if here.is_empty() {
            return;
        }
        problems.push((shape, here));
    }
    // A number out of range, or a misspelt word, is judged by the only alternative of its kind.
    let scalars: Vec<_> = problems
        .iter()
        .filter(|(shape, _)| match shape {
            Shape::Number(..) | Shape::Integer(..) => node.text().is_some_and(starts_as_number),
            Shape::Choice(_) => !node.text().is_some_and(starts_as_number),
            Shape::Null | Shape::List(_) | Shape::Map(_) | Shape::Names(_) | Shape::Table(_) | Shape::Open(..) => false,
            _ => true,
        })
        .collect();
    match &scalars[..] {
        [(shape, here)] if node.text().is_some() && !matches!(shape, Shape::Choice(words) if words.len() == 1) => {
            found.extend(here.iter().cloned());
        }
        _ => found.push(mismatch(node, whole, name)),
    }
}

fn starts_as_number(text: &str) -> bool {
    text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit())
        || matches!(text.trim_start_matches(['-', '+', '.']).to_ascii_lowercase().as_str(), "nan" | "inf" | "infinity")
}

fn check_table(node: &Node, table: &Table, rest: Option<&Shape>, name: &str, owner: Span, found: &mut Vec<Diagnostic>) {
    for entry in node.entries() {
        match (table.field(&entry.key), rest) {
            (Some(field), _) => check_field(entry, field, found),
            (None, Some(shape)) => check(&entry.value, shape, &quoted(&entry.key), entry.span, found),
            // Suggestions cost time, and nobody reads a thousand of them.
            (None, None) if found.len() < ENOUGH => found.push(unknown_key(entry, table, name)),
            (None, None) => found.push(Diagnostic::error(entry.span, format!("unknown key in {name}"))),
        }
    }
    for field in table.fields.iter().filter(|field| field.required) {
        if node.get(field.name).is_none() && !accepts_written_null(node, field) {
            let message = format!("{name} lacks the key `{}`", field.name);
            found.push(Diagnostic::error(owner, message).label(field.doc).remedy(format!(
                "write `{}: …` ({})",
                field.name,
                field.shape.words()
            )));
        }
    }
}

/// Says whether a null that means something is written for the key.
fn accepts_written_null(node: &Node, field: &Field) -> bool {
    let takes_null = match field.shape {
        Shape::Single => true,
        Shape::Either(shapes) => shapes.iter().any(|shape| matches!(shape, Shape::Null)),
        _ => false,
    };
    takes_null && node.entries().iter().any(|entry| &*entry.key == field.name)
}

fn check_field(entry: &Entry, field: &Field, found: &mut Vec<Diagnostic>) {
    // Null is as good as absent, in the predecessor's files above all.
    if !entry.value.is_null() {
        check(&entry.value, &field.shape, &quoted(field.name), entry.span, found);
    }
}

/// Are the keys of other tools that people look for here.
const OUT_OF_SCOPE: [&str; 12] = [
    "tools",
    "tool_choice",
    "functions",
    "agent",
    "agents",
    "solver",
    "solvers",
    "sandbox",
    "max_turns",
    "turns",
    "plan_solver",
    "simulated_user",
];

fn unknown_key(entry: &Entry, table: &Table, name: &str) -> Diagnostic {
    let key: &str = &entry.key;
    if OUT_OF_SCOPE.contains(&key) {
        let message = format!(
            "`{key}` is not supported: agents, tool execution and conversations that a model continues are out of scope"
        );
        return Diagnostic::error(entry.span, message)
            .remedy("a recorded conversation can be asked with `messages: FILE` on an arm");
    }
    let shown: String = key.chars().take(60).collect();
    let is_scorer = table.field("squad").is_some();
    let message =
        if is_scorer { format!("unknown scorer `{shown}`") } else { format!("unknown key `{shown}` in {name}") };
    let found = Diagnostic::error(entry.span, message);
    let known = table.fields.iter().filter(|field| !field.legacy);
    let names: Vec<_> = known.map(|field| field.name).collect();
    let all = table.fields.iter().map(|field| field.name);
    let longer =
        |key: &str| table.fields.iter().map(|field| field.name).find(|name| key.len() > 3 && name.starts_with(key));
    let found = match nearest(key, all).or_else(|| longer(key)) {
        Some(meant) => found.label(format!("did you mean `{meant}`?")),
        None => match elsewhere(key) {
            Some(place) => found.label(format!("`{key}` belongs {place}")),
            None => found,
        },
    };
    let names = if names.is_empty() { table.fields.iter().map(|field| field.name).collect() } else { names };
    let what = if is_scorer { "known scorers" } else { "known keys" };
    found.remedy(format!("{what}: {}", names.join(", ")))
}

/// Says where a key of this name belongs, if the language has one.
fn elsewhere(key: &str) -> Option<String> {
    if ROOT.field(key).is_some_and(|field| !field.legacy) {
        return Some("at the top level".to_owned());
    }
    path_to(&ROOT, key, "", 0)
}

/// Finds the first table below one that has a key of this name.
fn path_to(table: &Table, key: &str, path: &str, depth: usize) -> Option<String> {
    if depth > 4 {
        return None;
    }
    let current = |field: &&Field| !field.legacy;
    let children = || table.fields.iter().filter(current).map(|field| (field, tables(&field.shape)));
    let here = children().find(|(_, inner)| inner.iter().any(|table| table.field(key).is_some_and(|f| !f.legacy)));
    if let Some((field, _)) = here {
        return Some(format!("under `{path}{}`", field.name));
    }
    children().find_map(|(field, inner)| {
        inner.into_iter().find_map(|table| path_to(table, key, &format!("{path}{}.", field.name), depth + 1))
    })
}

/// Lists the tables that a shape leads to.
fn tables(shape: &Shape) -> Vec<&'static Table> {
    match shape {
        Shape::Table(table) | Shape::Open(table, _) => vec![*table],
        Shape::List(of) | Shape::Map(of) | Shape::Names(of) => tables(of),
        Shape::Either(shapes) => shapes.iter().flat_map(tables).collect(),
        _ => Vec::new(),
    }
}

/// Checks a name that the user chooses.
fn bad_name(name: &str, at: Span) -> Option<Diagnostic> {
    let problem = if name.trim().is_empty() {
        "a name is empty"
    } else if name.chars().any(char::is_control) {
        "a name holds a control character"
    } else if name.contains('|') {
        "a name holds `|`, which separates the fields of a `custom_id`"
    } else if name.len() > 120 {
        "a name is longer than 120 bytes"
    } else {
        return None;
    };
    Some(Diagnostic::error(at, problem).remedy("choose another name"))
}

fn mismatch(node: &Node, shape: &Shape, name: &str) -> Diagnostic {
    let is = if node.is_null() { "nothing is written".to_owned() } else { format!("this is {}", node.words()) };
    Diagnostic::error(node.span, format!("{name} takes {}", shape.words())).label(is)
}

fn check_scalar(node: &Node, shape: &Shape, name: &str) -> Option<Diagnostic> {
    let is_enough = match shape {
        Shape::Null => node.is_null(),
        Shape::Single => matches!(node.kind, Kind::Scalar { .. }),
        _ => false,
    };
    if is_enough {
        return None;
    }
    let Some(text) = node.text().filter(|_| !matches!(shape, Shape::Null)) else {
        return Some(mismatch(node, shape, name));
    };
    match shape {
        Shape::Text | Shape::Path if text.trim().is_empty() => {
            Some(Diagnostic::error(node.span, format!("{name} is empty")).remedy("write a text, or take the key out"))
        }
        Shape::Text | Shape::Path if text.contains('\0') => {
            Some(Diagnostic::error(node.span, format!("{name} holds a NUL character")))
        }
        Shape::Name => bad_name(text, node.span),
        Shape::Boolean => match node.plain() {
            Some("true" | "True" | "TRUE" | "false" | "False" | "FALSE") => None,
            _ => Some(bad_boolean(node, text, name)),
        },
        Shape::Choice(words) => choices(node, text, words, name),
        Shape::Integer(least, most) => bad_integer(node, text, *least, *most, name),
        Shape::Number(least, most) => bad_number(node, text, *least, *most, shape, name),
        _ => None,
    }
}

/// Checks that a text is one of some words.
fn choices(node: &Node, text: &str, words: &[&'static str], name: &str) -> Option<Diagnostic> {
    if words.contains(&text) {
        return None;
    }
    let shown: String = text.chars().take(60).collect();
    let found = Diagnostic::error(node.span, format!("{name} does not know `{shown}`"));
    let found = match nearest(text, words.iter().copied()) {
        Some(meant) => found.label(format!("did you mean `{meant}`?")),
        None => found,
    };
    Some(found.remedy(format!("known: {}", words.join(", "))))
}

fn bad_boolean(node: &Node, text: &str, name: &str) -> Diagnostic {
    let found = Diagnostic::error(node.span, format!("{name} takes `true` or `false`"));
    let meant = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "1" | "true" => "true",
        "no" | "off" | "n" | "0" | "false" => "false",
        _ => return found.label(format!("this is {}", node.words())),
    };
    found.label(format!("`{text}` is text in YAML 1.2")).remedy(format!("write `{meant}`, without quotes"))
}

/// Says that a number stands in quotes, or is one of the spellings that only some readers of YAML take for a number.
fn odd_number(node: &Node, text: &str, name: &str) -> Option<Diagnostic> {
    let lower = text.trim_start_matches(['-', '+', '.']).to_ascii_lowercase();
    if matches!(lower.as_str(), "nan" | "inf" | "infinity") {
        let found = Diagnostic::error(node.span, format!("{name} takes a finite number")).label("this is none");
        return Some(found.remedy("take the key out to leave the value unset"));
    }
    if node.plain().is_none() && text.parse::<Decimal>().is_ok() {
        let found = Diagnostic::error(node.span, format!("{name} takes a number")).label("this is text in quotes");
        return Some(found.remedy(format!("write {text}, without quotes")));
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    if plain != text && plain.parse::<Decimal>().is_ok() {
        let found = Diagnostic::error(node.span, format!("{name} takes a number")).label("this is text in YAML 1.2");
        return Some(found.remedy(format!("write {plain}")));
    }
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    if let Some(number) = radix.and_then(|(_, radix)| i64::from_str_radix(&lower[2..], radix).ok()) {
        let found = Diagnostic::error(node.span, format!("{name} takes a decimal number"));
        return Some(found.remedy(format!("write {number}")));
    }
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        let found = Diagnostic::error(node.span, format!("{name} begins with a zero")).label("octal in YAML 1.1");
        return Some(found.remedy("write the number without leading zeros"));
    }
    None
}

fn bad_integer(node: &Node, text: &str, least: i64, most: i64, name: &str) -> Option<Diagnostic> {
    if let Some(found) = odd_number(node, text, name) {
        return Some(found);
    }
    let digits = text.trim_start_matches(['-', '+']);
    let range =
        if least == i64::MIN { "a whole number".to_owned() } else { format!("a whole number of at least {least}") };
    if node.plain().is_none() || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let is = if text.parse::<Decimal>().is_ok() { "this has a fraction or an exponent" } else { "this is text" };
        return Some(Diagnostic::error(node.span, format!("{name} takes {range}")).label(is));
    }
    match text.parse::<i64>() {
        Ok(number) if number < least => Some(Diagnostic::error(node.span, format!("{name} takes {range}"))),
        Ok(number) if number <= most => None,
        Ok(_) if least == most => Some(Diagnostic::error(node.span, format!("{name} takes {most}"))),
        _ => Some(Diagnostic::error(node.span, format!("{name} is too big")).label(format!("the most is {most}"))),
    }
}

fn bad_number(
    node: &Node,
    text: &str,
    least: Option<&str>,
    most: Option<&str>,
    shape: &Shape,
    name: &str,
) -> Option<Diagnostic> {
    if let Some(found) = odd_number(node, text, name) {
        return Some(found);
    }
    let number = match text.parse::<Decimal>() {
        Ok(number) if node.plain().is_some() => number,
        Err(crate::digest::DecimalError::TooLong(_)) => {
            let found = Diagnostic::error(node.span, format!("{name} takes a number that can be kept exactly"));
            let found = found.label("too many digits, or out of range");
            return Some(found.remedy("write at most 18 significant digits, between 1e-300 and 1e300"));
        }
        _ => return Some(mismatch(node, shape, name)),
    };
    let bound = |text: Option<&str>| text.and_then(|text| text.parse::<Decimal>().ok());
    let too_low = bound(least).is_some_and(|least| number < least);
    let too_high = bound(most).is_some_and(|most| number > most);
    (too_low || too_high).then(|| Diagnostic::error(node.span, format!("{name} takes {}", shape.words())))
}

/// Checks a value that becomes JSON as it stands.
fn check_json(node: &Node, name: &str, found: &mut Vec<Diagnostic>) {
    for item in node.items() {
        check_json(item, name, found);
    }
    for entry in node.entries() {
        check_json(&entry.value, &quoted(&entry.key), found);
    }
    if let Some(text) = node.plain() {
        let lower = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
        if matches!(lower.as_str(), ".nan" | ".inf") {
            let message = format!("{name} holds a number that JSON does not have");
            found.push(Diagnostic::error(node.span, message).remedy("put it in quotes if it is meant as text"));
        }
    }
}
