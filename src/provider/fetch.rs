use std::io::{self, Write};
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
    /// What came cannot be kept here.
    #[error("cannot keep what {url} sends")]
    Keep {
        /// The address.
        url: String,
        /// Why.
        source: std::io::Error,
    },
    /// It sent more than is taken of any file.
    #[error("{url} sends more than {LARGEST} bytes")]
    TooLarge {
        /// The address.
        url: String,
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
            Self::Keep { .. } => "free some space, and build again",
            Self::TooLarge { .. } => "download the file, part it, and give a `path:`",
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

/// Takes what comes: hashes it and hands it on, no more than is taken of any file.
struct Intake<'w> {
    into: &'w mut dyn Write,
    hasher: Sha256,
    left: u64,
    /// Why nothing more is taken.
    refused: Option<Refused>,
}

enum Refused {
    TooLarge,
    Keep(io::Error),
}

impl Write for Intake<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.refused = Some(Refused::TooLarge);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        if let Err(error) = self.into.write_all(bytes) {
            let kind = error.kind();
            self.refused = Some(Refused::Keep(error));
            return Err(kind.into());
        }
        self.left = left;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Fetches a file whose SHA-256 is known, and writes it as it comes: https (or this machine), no redirects, bounded in time
/// and size. What was written counts only where it returns without an error.
pub fn fetch_pinned(url: &str, sha256: &str, proxies: &Proxies, into: &mut dyn Write) -> Result<(), FetchError> {
    if Address::read(url).is_none_or(|address| !address.is_tls && !address.is_loopback()) {
        return Err(FetchError::NotHttps { url: url.to_owned() });
    }
    let timeouts = Timeouts {
        connect: Duration::from_secs(15),
        send: Duration::from_secs(15),
        read: Duration::from_mins(1),
        total: Duration::from_hours(1),
    };
    let mut client = Client::new(ClientSettings { timeouts, proxies: proxies.clone(), ..ClientSettings::default() });
    let mut intake = Intake { into, hasher: Sha256::new(), left: LARGEST, refused: None };
    let replied = client.send_into(&Call { url: url.to_owned(), ..Call::default() }, &mut intake);
    match (intake.refused.take(), replied) {
        (Some(Refused::TooLarge), _) => return Err(FetchError::TooLarge { url: url.to_owned() }),
        (Some(Refused::Keep(source)), _) => return Err(FetchError::Keep { url: url.to_owned(), source }),
        (None, Err(failure)) => return Err(FetchError::Transport { url: url.to_owned(), why: failure.why }),
        (None, Ok(reply)) if reply.status != 200 => {
            return Err(FetchError::Status { url: url.to_owned(), status: reply.status });
        }
        (None, Ok(_)) => {}
    }
    let found = hex(&intake.hasher.finalize());
    if found != sha256 {
        return Err(FetchError::OtherContent { url: url.to_owned(), pinned: sha256.to_owned(), found });
    }
    Ok(())
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
            let refused = fetch_pinned(url, "", &Proxies::default(), &mut io::sink());
            assert!(matches!(refused, Err(FetchError::NotHttps { .. })), "{url}");
        }
    }

    #[test]
    fn no_more_is_taken_than_may_be_and_what_cannot_be_kept_is_told_apart() {
        let mut kept = Vec::new();
        let mut intake = Intake { into: &mut kept, hasher: Sha256::new(), left: 5, refused: None };
        assert_eq!(intake.write(b"abc").unwrap(), 3);
        assert_eq!(intake.write(b"def").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(matches!(intake.refused, Some(Refused::TooLarge)));
        assert_eq!(kept, b"abc");
        let mut full = [0u8; 2];
        let mut into = &mut full[..];
        let mut intake = Intake { into: &mut into, hasher: Sha256::new(), left: 5, refused: None };
        intake.write(b"abc").unwrap_err();
        assert!(matches!(intake.refused, Some(Refused::Keep(_))));
    }
}
