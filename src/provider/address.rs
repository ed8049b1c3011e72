/// Is an http or https address, taken apart as far as sending needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Whether it is https.
    pub is_tls: bool,
    /// The host in lower case; an IPv6 address without its brackets.
    pub host: String,
    /// The port, where it is written.
    pub port: Option<u16>,
}

impl Address {
    /// Reads `http(s)://host[:port]…`; `None` for anything else, and where a user or password stands before the host.
    pub fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority.contains('@') {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        (!host.is_empty()).then(|| Self { is_tls, host: host.to_ascii_lowercase(), port })
    }

    /// Says whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns `scheme://host:port`, the port always written.
    pub fn endpoint(&self) -> String {
        let (scheme, port) = if self.is_tls { ("https", 443) } else { ("http", 80) };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}", self.port.unwrap_or(port))
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn only_this_machine_is_loopback() {
        let is_loopback = |url| Address::read(url).is_some_and(|address| address.is_loopback());
        for url in ["http://127.0.0.1:8/x", "http://LocalHost/x", "https://[::1]:80/x", "http://127.9.0.1"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://example.org/", "http://127.0.0.1.example.org/", "http://127.0.0.1:80@example.org/"] {
            assert!(!is_loopback(url), "{url}");
        }
        assert_eq!(Address::read("ftp://localhost/"), None);
        assert_eq!(Address::read("http://"), None);
        assert_eq!(Address::read("http://a:99999"), None);
    }

    #[test]
    fn an_endpoint_has_its_port() {
        let endpoint = |url| Address::read(url).unwrap().endpoint();
        assert_eq!(endpoint("https://API.example.org/v1"), "https://api.example.org:443");
        assert_eq!(endpoint("http://[::1]/v1"), "http://[::1]:80");
        assert_eq!(endpoint("http://h:8080"), "http://h:8080");
    }
}
