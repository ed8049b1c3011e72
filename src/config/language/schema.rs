//! The language as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::{ROOT, Shape, Table};

/// Writes the language as a JSON Schema (draft 2020-12), with a description for every key.
pub fn json_schema() -> Value {
    let mut schema = table(&ROOT, None);
    if let Some(root) = schema.as_object_mut() {
        root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".into(), json!("exp experiment"));
    }
    schema
}

fn table(table: &Table, rest: Option<&Shape>) -> Value {
    let mut properties = Map::new();
    for field in table.fields {
        let mut inner = shape(&field.shape);
        if !field.required {
            inner = nullable(&inner);
        }
        if let Some(object) = inner.as_object_mut() {
            object.insert("description".into(), json!(field.doc));
            if field.legacy {
                object.insert("deprecated".into(), json!(true));
            }
        }
        properties.insert(field.name.into(), inner);
    }
    let required: Vec<_> = table.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let rest = rest.map_or(json!(false), shape);
    let mut schema =
        json!({"title": table.what, "type": "object", "properties": properties, "additionalProperties": rest});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Allows null, which is as good as absent.
fn nullable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn shape(of: &Shape) -> Value {
    let number = |text: &str| text.parse::<i64>().map_or(Value::Null, Value::from);
    match of {
        Shape::Text | Shape::Path => {
            // A plain number or truth value is kept as the text that was written.
            json!({"type": ["string", "number", "boolean"], "minLength": 1})
        }
        Shape::AnyText => json!({"type": ["string", "number", "boolean"]}),
        Shape::Name => {
            json!({"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 120, "pattern": NAME})
        }
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Integer(least, most) => {
            let mut schema = json!({"type": "integer"});
            if *least > i64::MIN {
                schema["minimum"] = json!(least);
            }
            if *most < i64::MAX {
                schema["maximum"] = json!(most);
            }
            schema
        }
        Shape::Number(least, most) => {
            let mut schema = json!({"type": "number"});
            if let Some(least) = least {
                schema["minimum"] = number(least);
            }
            if let Some(most) = most {
                schema["maximum"] = number(most);
            }
            schema
        }
        Shape::Choice(words) => json!({"enum": words}),
        Shape::Single => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::List(of) => json!({"type": "array", "items": shape(of)}),
        Shape::Map(of) => json!({"type": "object", "additionalProperties": shape(of)}),
        Shape::Names(of) => json!({
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": 120, "pattern": NAME},
            "additionalProperties": shape(of),
        }),
        Shape::Table(inner) => table(inner, None),
        Shape::Open(inner, rest) => table(inner, Some(rest)),
        Shape::Either(shapes) if shapes.len() == 1 => shape(&shapes[0]),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(shape).collect::<Vec<_>>()}),
        Shape::Null => json!({"type": "null"}),
        Shape::Anything => json!({}),
    }
}

const NAME: &str = "^[^|\\u0000-\\u001f\\u007f-\\u009f]+$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described() {
        fn walk(schema: &Value, path: &str, count: &mut usize) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, inner) in properties {
                    let description = inner.get("description").and_then(Value::as_str).unwrap_or_default();
                    assert!(description.ends_with('.'), "{path}/{name}: {description}");
                    *count += 1;
                }
            }
            match schema {
                Value::Object(map) => {
                    map.iter().for_each(|(name, inner)| walk(inner, &format!("{path}/{name}"), count));
                }
                Value::Array(items) => items.iter().for_each(|inner| walk(inner, path, count)),
                _ => {}
            }
        }
        let mut count = 0;
        walk(&json_schema(), "", &mut count);
        assert!(count > 200, "{count}");
    }

    #[test]
    fn no_table_names_a_key_twice() {
        fn walk(table: &Table, depth: usize) {
            let mut names: Vec<_> = table.fields.iter().map(|field| field.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{}", table.what);
            assert!(depth < 8);
            table.fields.iter().for_each(|field| inner(&field.shape, depth + 1));
        }
        fn inner(shape: &Shape, depth: usize) {
            match shape {
                Shape::Table(table) => walk(table, depth),
                Shape::Open(table, rest) => {
                    walk(table, depth);
                    inner(rest, depth);
                }
                Shape::List(of) | Shape::Map(of) | Shape::Names(of) => inner(of, depth),
                Shape::Either(shapes) => shapes.iter().for_each(|shape| inner(shape, depth)),
                _ => {}
            }
        }
        walk(&ROOT, 0);
    }
}
