use std::io::Read as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

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
pub fn fetch_pinned(url: &str, sha256: &str) -> Result<Vec<u8>, FetchError> {
    if !url.starts_with("https://") && !is_loopback(url) {
        return Err(FetchError::NotHttps { url: url.to_owned() });
    }
    let transport = |why: String| FetchError::Transport { url: url.to_owned(), why };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .timeout_global(Some(Duration::from_hours(1)))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    let mut response = agent.get(url).call().map_err(|error| transport(error.to_string()))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(FetchError::Status { url: url.to_owned(), status });
    }
    let mut bytes = Vec::new();
    let mut body = response.body_mut().with_config().limit(LARGEST).reader();
    body.read_to_end(&mut bytes).map_err(|error| transport(error.to_string()))?;
    let found = Sha256::digest(&bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    if found != sha256 {
        return Err(FetchError::OtherContent { url: url.to_owned(), pinned: sha256.to_owned(), found });
    }
    Ok(bytes)
}

/// Says whether an http address is on this machine.
fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host == "::1" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_do_without_tls() {
        for url in ["http://127.0.0.1:8/x", "http://localhost/x", "http://[::1]:80/x"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://example.org/",
            "http://127.0.0.1.example.org/",
            "http://127.0.0.1:80@example.org/",
            "ftp://localhost/",
        ] {
            assert!(!is_loopback(url), "{url}");
            assert!(matches!(fetch_pinned(url, ""), Err(FetchError::NotHttps { .. })), "{url}");
        }
    }
}
