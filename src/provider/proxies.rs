use super::address::Address;

/// Says which proxy stands before which host: what `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` hold, as the
/// caller read them. It has no text form, since an address of a proxy may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Before plain http.
    pub http: Option<String>,
    /// Before https.
    pub https: Option<String>,
    /// Before either, where it has none of its own.
    pub all: Option<String>,
    /// Hosts that are reached directly: names (with all below them), addresses, `host:port`, `*`; separated by commas.
    pub none: Option<String>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxies(…)")
    }
}

impl Proxies {
    /// Returns the proxy before an address. This machine is always reached directly.
    pub fn before(&self, url: &str) -> Option<&str> {
        let address = Address::read(url)?;
        if address.is_loopback() || self.spares(&address) {
            return None;
        }
        let own = if address.is_tls { &self.https } else { &self.http };
        own.as_deref().or(self.all.as_deref()).map(str::trim).filter(|proxy| !proxy.is_empty())
    }

    /// Writes the proxy before an address as it may be shown: without user and password.
    pub fn shown(&self, url: &str) -> Option<String> {
        let proxy = self.before(url)?;
        let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(format!("{scheme}://{host}"))
    }

    fn spares(&self, address: &Address) -> bool {
        let port = address.port.unwrap_or(if address.is_tls { 443 } else { 80 });
        self.none.as_deref().unwrap_or_default().split([',', ' ']).any(|entry| {
            let entry = entry.trim().to_ascii_lowercase();
            if entry == "*" {
                return true;
            }
            let (name, wanted) = match entry.rsplit_once(':') {
                Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
                    (name, digits.parse::<u16>().ok())
                }
                _ => (entry.as_str(), None),
            };
            let name = name.trim_start_matches("*.").trim_start_matches('.').trim_matches(['[', ']']);
            let is_below = || address.host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
            !name.is_empty() && wanted.is_none_or(|wanted| wanted == port) && (address.host == name || is_below())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Proxies;

    #[test]
    fn a_proxy_is_chosen_by_scheme_and_host() {
        let proxies = Proxies {
            http: Some("http://plain:3128".into()),
            https: None,
            all: Some("http://me:pw@proxy.example:8080/".into()),
            none: Some("internal.example, .lan,10.0.0.7:8443, [fd00::1]".into()),
        };
        assert_eq!(proxies.before("https://api.openai.com/v1"), Some("http://me:pw@proxy.example:8080/"));
        assert_eq!(proxies.shown("https://api.openai.com/v1").as_deref(), Some("http://proxy.example:8080"));
        assert_eq!(proxies.before("http://api.example/v1"), Some("http://plain:3128"));
        for direct in [
            "https://internal.example/v1",
            "https://a.internal.example",
            "https://x.lan:9/",
            "https://10.0.0.7:8443",
            "http://127.0.0.1:80",
            "http://localhost",
            "http://[fd00::1]:9",
        ] {
            assert_eq!(proxies.before(direct), None, "{direct}");
        }
        for proxied in ["https://notinternal.example", "https://10.0.0.7", "https://lan2"] {
            assert!(proxies.before(proxied).is_some(), "{proxied}");
        }
        assert!(!format!("{proxies:?}").contains("pw"));
        let none = Proxies { none: Some("*".into()), ..proxies };
        assert_eq!(none.before("https://api.openai.com"), None);
    }
}
