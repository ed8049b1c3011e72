use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Proxies;
use super::address::Address;
use super::http::{Call, Client, ClientSettings, Timeouts};
use crate::digest::hex;

/// Says why a pinned file could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address may not be used.
    #[error("`{url}` is not https, and not on this machine")]
    NotHttps {
        /// The address.
        url: String,
    },
    /// The server could not be reached, or broke off.
    #[error("cannot fetch {url}: {why}")]
    Transport {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// The server answered something else than the file.
    #[error("{url} answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not the pinned ones.
    #[error("{url} has sha256 {found}, and the config pins {pinned}")]
    OtherContent {
        /// The address.
        url: String,
        /// What the config says.
        pinned: String,
        /// What came.
        found: String,
    },
}

impl FetchError {
    /// Says what to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotHttps { .. } => "use an https address, or download the file and give its `path:`",
            Self::Transport { .. } => "build again when the network is there; nothing was lost",
            Self::Status { .. } => {
                "look at the address in a browser; redirects are not followed: give the final address"
            }
            Self::OtherContent { .. } => {
                "the file changed: if that is meant, write the new sha256 into the config; if not, find the old file"
            }
        }
    }
}

/// Is the largest file that is fetched, in bytes.
const LARGEST: u64 = 8 << 30;

/// Fetches a file whose SHA-256 is known: https (or this machine), no redirects, bounded in time and size.
pub fn fetch_pinned(url: &str, sha256: &str, proxies: &Proxies) -> Result<Vec<u8>, FetchError> {
    if Address::read(url).is_none_or(|address| !address.is_tls && !address.is_loopback()) {
        return Err(FetchError::NotHttps { url: url.to_owned() });
    }
    let timeouts = Timeouts {
        connect: Duration::from_secs(15),
        send: Duration::from_secs(15),
        read: Duration::from_mins(1),
        total: Duration::from_hours(1),
    };
    let mut client = Client::new(ClientSettings {
        timeouts,
        max_response: LARGEST,
        proxies: proxies.clone(),
        ..ClientSettings::default()
    });
    let reply = client
        .send(&Call { url: url.to_owned(), ..Call::default() })
        .map_err(|failure| FetchError::Transport { url: url.to_owned(), why: failure.why })?;
    if reply.status != 200 {
        return Err(FetchError::Status { url: url.to_owned(), status: reply.status });
    }
    let found = hex(&Sha256::digest(&reply.body));
    if found != sha256 {
        return Err(FetchError::OtherContent { url: url.to_owned(), pinned: sha256.to_owned(), found });
    }
    Ok(reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_do_without_tls() {
        for url in [
            "http://example.org/",
            "http://127.0.0.1.example.org/",
            "http://127.0.0.1:80@example.org/",
            "ftp://localhost/",
        ] {
            let refused = fetch_pinned(url, "", &Proxies::default());
            assert!(matches!(refused, Err(FetchError::NotHttps { .. })), "{url}");
        }
    }
}
