use super::http::Client;

/// Is what one thread sends through: a client with connections of its own, or nothing, for a provider that is embedded here.
#[derive(Debug, Default)]
pub struct Line {
    client: Option<Client>,
}

impl Line {
    /// Makes a line that sends through a client.
    pub(super) fn new(client: Client) -> Self {
        Self { client: Some(client) }
    }

    /// Returns the client, or makes it: the caller may have brought a line that nobody opened.
    pub(super) fn client(&mut self, make: impl FnOnce() -> Client) -> &mut Client {
        self.client.get_or_insert_with(make)
    }
}
