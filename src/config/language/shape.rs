/// Says what may stand somewhere in a config.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A text, and not an empty one.
    Text,
    /// Any text, empty and blank ones included (a separator, a stop text).
    AnyText,
    /// A path, from the project's root.
    Path,
    /// A name that the user chooses (see [`Shape::Names`]).
    Name,
    /// `true` or `false`.
    Boolean,
    /// A whole number of at least, and of at most.
    Integer(i64, i64),
    /// A decimal number of at least, and of at most.
    Number(Option<&'static str>, Option<&'static str>),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any single value that is no list and no mapping, null included.
    Single,
    /// A list of these.
    List(&'static Shape),
    /// A mapping with keys of any kind.
    Map(&'static Shape),
    /// A mapping from names that the user chooses: not empty, at most 120 bytes, no control characters, no `|`.
    Names(&'static Shape),
    /// A mapping with these keys and no others.
    Table(&'static Table),
    /// A mapping with these keys; every other key has this shape.
    Open(&'static Table, &'static Shape),
    /// Any of these.
    Either(&'static [Shape]),
    /// Nothing: `null`, said on purpose.
    Null,
    /// Anything that JSON can hold.
    Anything,
}

/// Describes a mapping with fixed keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// What it is, in words (`a dataset`).
    pub what: &'static str,
    /// Its keys, in the order of the documentation.
    pub fields: &'static [Field],
}

/// Describes one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// The key.
    pub name: &'static str,
    /// What may stand there; null is as good as absent unless the shape says what it means.
    pub shape: Shape,
    /// What it means, in one sentence.
    pub doc: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether it is a spelling of the predecessor, read and not advertised.
    pub legacy: bool,
}

impl Field {
    /// Describes a key that may be absent.
    pub const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, doc, required: false, legacy: false }
    }

    /// Says that the key has to be there.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Says that the key is the predecessor's.
    pub const fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }
}

impl Table {
    /// Finds a key.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Shape {
    /// Says in words what may stand there.
    pub fn words(&self) -> String {
        let choice = |words: &[&str]| match words {
            [] => String::new(),
            [only] => format!("`{only}`"),
            [most @ .., last] => {
                let most: Vec<_> = most.iter().map(|word| format!("`{word}`")).collect();
                format!("{} or `{last}`", most.join(", "))
            }
        };
        match self {
            Self::Text | Self::AnyText => "a text".into(),
            Self::Path => "a path".into(),
            Self::Name => "a name".into(),
            Self::Boolean => "`true` or `false`".into(),
            Self::Integer(only, most) if only == most => only.to_string(),
            Self::Integer(i64::MIN, _) => "a whole number".into(),
            Self::Integer(least, _) => format!("a whole number of at least {least}"),
            Self::Number(Some(least), Some(most)) => format!("a number from {least} to {most}"),
            Self::Number(Some(least), None) => format!("a number of at least {least}"),
            Self::Number(..) => "a number".into(),
            Self::Choice(words) => choice(words),
            Self::Single => "a single value".into(),
            Self::List(of) => format!("a list ({} each)", of.words()),
            Self::Map(_) | Self::Names(_) | Self::Open(..) | Self::Table(_) => "a mapping".into(),
            Self::Either(shapes) => {
                let words: Vec<_> = shapes.iter().map(Self::words).collect();
                words.join(", or ")
            }
            Self::Null => "`null`".into(),
            Self::Anything => "anything".into(),
        }
    }
}
