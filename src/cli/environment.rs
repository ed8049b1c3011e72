use std::collections::BTreeMap;

use camino::Utf8Path;

use super::failure::Failure;
use crate::provider::Proxies;

/// Reads the proxies of the environment; of two spellings the one in lower case holds.
pub fn proxies() -> Proxies {
    let read = |name: &str| {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        text(&name.to_ascii_lowercase()).or_else(|| text(name))
    };
    Proxies { http: read("HTTP_PROXY"), https: read("HTTPS_PROXY"), all: read("ALL_PROXY"), none: read("NO_PROXY") }
}

/// Holds the variables that keys are named by: those of the process, then those of `.env` beside the config.
///
/// What `.env` holds stays here: it is not put into the environment, so that no child process sees it.
#[derive(Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads `.env` in the directory of the config, if there is one. The errors name the line, and show nothing of it.
    pub fn read(config_path: &Utf8Path) -> Result<Self, Failure> {
        let path = config_path.parent().map_or_else(|| ".env".into(), |dir| dir.join(".env"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::usage(format!("cannot read `{path}`: {error}"))),
        };
        parse(&text).map(Self).map_err(|line| {
            Failure::usage(format!("{path}:{line}: this is no `NAME=VALUE`"))
                .hint("a line of `.env` is `NAME=VALUE`, `export NAME=\"VALUE\"`, empty, or begins with `#`")
        })
    }

    /// Returns a variable's value; an empty one is none.
    pub fn get(&self, name: &str) -> Option<String> {
        let own = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        own.or_else(|| self.0.get(name).filter(|value| !value.trim().is_empty()).cloned())
    }
}

/// Reads `NAME=VALUE` lines; the error is the number of the line that is none.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut variables = BTreeMap::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(at + 1)?;
        let name = name.trim();
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(at + 1);
        }
        variables.insert(name.to_owned(), unquoted(value.trim()).ok_or(at + 1)?);
    }
    Ok(variables)
}

/// Takes quotes off a value (in double quotes `\"`, `\\` and `\n` are known), or a comment off one without quotes.
fn unquoted(value: &str) -> Option<String> {
    let Some(quote @ ('"' | '\'')) = value.chars().next() else {
        let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut out = String::new();
    let mut rest = value[1..].chars();
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => {
                let after = rest.as_str().trim_start();
                return (after.is_empty() || after.starts_with('#')).then_some(out);
            }
            '\\' if quote == '"' => match rest.next()? {
                'n' => out.push('\n'),
                c @ ('"' | '\\') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_lines_of_dotenv_are_read() {
        let text = "\u{feff}# keys\n\nA=plain\n export B = \"two words\" # note\r\nC='sin#gle'\nD=x # note\nE=\nF=\"a\\\"b\"\nG=a=b#c\n";
        let read = parse(text).unwrap();
        let expected = [
            ("A", "plain"),
            ("B", "two words"),
            ("C", "sin#gle"),
            ("D", "x"),
            ("E", ""),
            ("F", "a\"b"),
            ("G", "a=b#c"),
        ];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(parse("A=1\nnonsense"), Err(2));
        assert_eq!(parse("1A=1"), Err(1));
        assert_eq!(parse("A=\"open"), Err(1));
        assert_eq!(parse("A=\"x\" y"), Err(1));
    }
}
