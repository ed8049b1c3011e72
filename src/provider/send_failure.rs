/// Says what went wrong between sending a request and its whole response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// The name, the connection, or the peer, which hung up.
    #[default]
    Connection,
    /// Time ran out.
    Timeout,
    /// The server's certificate or its TLS is not good: sending again would be no better.
    Tls,
    /// What came is no HTTP, or broke off.
    Broken,
    /// The response is larger than the bound.
    TooLarge,
    /// The request cannot be sent as it is: its address, a header, the proxy.
    Unusable,
}

/// Is a request that got no whole response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendFailure {
    /// What went wrong.
    pub trouble: Trouble,
    /// Whether some of the request may have reached the server, so that nobody can know if it was answered and charged.
    pub may_have_arrived: bool,
    /// Why, in words.
    pub why: String,
    /// The status, where that much came.
    pub status: Option<u16>,
    /// What came of the body, as far as it is kept.
    pub partial: Vec<u8>,
}

impl SendFailure {
    /// Makes the failure of a request of which nothing was sent.
    pub fn unsent(trouble: Trouble, why: &str) -> Self {
        Self { trouble, why: why.to_owned(), ..Self::default() }
    }
}
