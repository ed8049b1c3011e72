use std::time::Duration;

/// Is what is done to one request in place of a plain answer: rows 36-42 and 47 of the matrix of faults.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A status of the server's own with an error body, and headers of its choice: 408, 409, 429, 5xx, 529.
    Status { code: u16, headers: Vec<(&'static str, String)> },
    /// 429 with the code `insufficient_quota`.
    InsufficientQuota,
    /// 401.
    BadKey,
    /// 402.
    NoCredit,
    /// 403.
    Forbidden,
    /// 404: there is no such model.
    UnknownModel,
    /// 400, 413 or 422: this request is not taken.
    Rejected(u16),
    /// 400 with the provider's code for a content policy.
    ContentPolicy,
    /// The listener is closed for so long, and this connection too, unread.
    Refused(Duration),
    /// The connection is reset after the request was read; `generated`: the answer had been made and is charged.
    ResetAfterReading { generated: bool },
    /// The connection is closed in good order after the request was read.
    ClosedAfterReading { generated: bool },
    /// Nothing is said for so long, then the connection is closed.
    Silent { generated: bool, seconds: f64 },
    /// The answer, with a byte that is no JSON in its middle.
    MalformedJson,
    /// Half the answer under the length of all of it.
    CutBody,
    /// Half the answer in chunks, then nothing for so long.
    StalledChunks { seconds: f64 },
    /// The whole answer in chunks, without the last one.
    UnterminatedChunks,
    /// A body that unpacks to this many megabytes, 160 times its size.
    GzipBomb { megabytes: usize },
    /// The answer, as `text/plain`.
    WrongContentType,
    /// A web page with status 200.
    HtmlPage,
    /// No bytes with status 200.
    EmptyBody,
    /// An error with status 200.
    ErrorBody,
    /// An answer without any choice.
    NoChoices,
    /// An answer whose content is null.
    NullContent,
    /// A refusal in its own field.
    Refusal,
    /// A call of a tool, and no text.
    ToolCalls,
    /// An answer cut at the token limit.
    Length,
    /// An answer cut by a filter.
    ContentFilter,
    /// Two choices.
    ManyChoices,
    /// An answer without usage.
    NoUsage,
    /// An answer with a usage that cannot be.
    AbsurdUsage,
    /// An answer with half a surrogate pair in it.
    LoneSurrogate,
    /// This text, as an answer or as the message of an error.
    Says { code: u16, text: String },
    /// 307 to another address.
    Redirect { to: String },
}

/// Says what a client ought to make of a fault, by the rules of the protocols' documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It may pass: asked again, not charged.
    Passing,
    /// It may pass, and may have been charged.
    Uncertain,
    /// This request is not taken; it is not asked again as it stands.
    Item,
    /// Nothing more is to be sent to this provider.
    Provider,
    /// The model completed a response: it is kept, and not asked again.
    Answer,
}

impl Fault {
    /// A status with no header of note.
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new() }
    }

    /// A status with one header.
    pub fn with_header(code: u16, name: &'static str, value: &str) -> Self {
        Self::Status { code, headers: vec![(name, value.to_owned())] }
    }

    /// The row of the matrix.
    pub fn row(&self) -> u8 {
        match self {
            Self::Status { code: 429, .. } => 36,
            Self::InsufficientQuota
            | Self::BadKey
            | Self::NoCredit
            | Self::Forbidden
            | Self::UnknownModel
            | Self::Rejected(_)
            | Self::ContentPolicy => 37,
            Self::Status { .. } => 38,
            Self::Refused(_) => 39,
            Self::ResetAfterReading { .. } | Self::ClosedAfterReading { .. } | Self::Silent { .. } => 40,
            Self::MalformedJson
            | Self::CutBody
            | Self::StalledChunks { .. }
            | Self::UnterminatedChunks
            | Self::GzipBomb { .. }
            | Self::WrongContentType
            | Self::HtmlPage
            | Self::EmptyBody => 41,
            Self::Redirect { .. } => 47,
            _ => 42,
        }
    }

    /// What a client ought to make of it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Status { headers, code } => {
                let said = headers.iter().find(|(name, _)| *name == "x-should-retry").map(|(_, value)| value == "true");
                let by_code = matches!(code, 408 | 409 | 429 | 500..=599);
                if said.unwrap_or(by_code) { Kind::Passing } else { Kind::Item }
            }
            Self::InsufficientQuota | Self::BadKey | Self::NoCredit | Self::Forbidden | Self::UnknownModel => {
                Kind::Provider
            }
            Self::Says { code: 200, .. } => Kind::Answer,
            Self::Says { .. } => Kind::Passing,
            Self::Rejected(_) | Self::Redirect { .. } => Kind::Item,
            Self::Refused(_) => Kind::Passing,
            Self::ResetAfterReading { .. }
            | Self::ClosedAfterReading { .. }
            | Self::Silent { .. }
            | Self::MalformedJson
            | Self::CutBody
            | Self::StalledChunks { .. }
            | Self::UnterminatedChunks
            | Self::GzipBomb { .. }
            | Self::WrongContentType
            | Self::HtmlPage
            | Self::EmptyBody
            | Self::ErrorBody
            | Self::NoChoices => Kind::Uncertain,
            Self::ContentPolicy
            | Self::NullContent
            | Self::Refusal
            | Self::ToolCalls
            | Self::Length
            | Self::ContentFilter
            | Self::ManyChoices
            | Self::NoUsage
            | Self::AbsurdUsage
            | Self::LoneSurrogate => Kind::Answer,
        }
    }

    /// Whether the server made an answer, and charges for it.
    pub fn is_charged(&self) -> bool {
        match self {
            Self::ResetAfterReading { generated }
            | Self::ClosedAfterReading { generated }
            | Self::Silent { generated, .. } => *generated,
            Self::MalformedJson
            | Self::CutBody
            | Self::StalledChunks { .. }
            | Self::UnterminatedChunks
            | Self::WrongContentType => true,
            Self::ContentPolicy => false,
            other => other.kind() == Kind::Answer,
        }
    }
}
