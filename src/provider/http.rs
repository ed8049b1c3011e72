//! The only file that knows the HTTP library.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{HeaderName, HeaderValue, Request, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, DefaultConnector, NextTimeout};
use ureq::{Error, Proxy, SendBody, Timeout};

use self::head_with_body::HeadWithBody;
use super::address::Address;
use super::{Proxies, Secret, SendFailure, Trouble};

/// Is the largest body that is kept of a response, decoded, in bytes.
pub const MAX_RESPONSE: u64 = 32 << 20;
/// Is how much is kept of a body that broke off, in bytes.
const KEPT_OF_BROKEN: usize = 64 << 10;
/// Is the size of a connection's buffers, in bytes; a response's headers have to fit into one.
const BUFFER: usize = 16 << 10;

/// Says how long is waited. Whatever is slower is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the name, the connection and TLS.
    pub connect: Duration,
    /// For the request to be sent.
    pub send: Duration,
    /// For the next bytes of the response; the first of them come when the model has finished.
    pub read: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            send: Duration::from_mins(1),
            read: Duration::from_mins(10),
            total: Duration::from_mins(20),
        }
    }
}

/// Is a set of certificates, read once for all threads.
#[derive(Clone)]
pub struct Trusted(Arc<Vec<Certificate<'static>>>);

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trusted({})", self.0.len())
    }
}

impl Trusted {
    /// Reads certificates (PEM). The error is one sentence.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let mut certificates = Vec::new();
        for item in parse_pem(pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => {}
                Err(error) => return Err(format!("the file of certificates cannot be read: {error}")),
            }
        }
        if certificates.is_empty() {
            return Err("the file of certificates holds none (PEM: `-----BEGIN CERTIFICATE-----`)".to_owned());
        }
        Ok(Self(Arc::new(certificates)))
    }
}

/// Says how a client sends.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The certificates to trust, in place of the built-in ones.
    pub trusted: Option<Trusted>,
    /// Allows plain http to another machine.
    pub allow_http: bool,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// The largest response, decoded, in bytes.
    pub max_response: u64,
    /// The proxies of the environment.
    pub proxies: Proxies,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            trusted: None,
            allow_http: false,
            timeouts: Timeouts::default(),
            max_response: MAX_RESPONSE,
            proxies: Proxies::default(),
        }
    }
}

/// Is one request, ready to be sent.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The address, with its query.
    pub url: String,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// The header that carries the key, what stands before the key in it, and the key.
    pub key: Option<(&'static str, &'static str, Secret)>,
    /// The body of a POST; absent: a GET.
    pub body: Option<Vec<u8>>,
    /// Whether it is a DELETE.
    pub is_delete: bool,
}

/// Is a response that came whole, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers that somebody here reads, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Sends requests: one for each thread, since shared connections cost more than new ones.
#[derive(Debug)]
pub struct Client {
    settings: ClientSettings,
    direct: ureq::Agent,
    /// The agent behind a proxy, with the proxy it was made for.
    proxied: Option<(String, ureq::Agent)>,
    addresses: Addresses,
}

/// Keeps what a name resolved to, until something goes wrong: left alone, the library resolves again for each request, in a
/// new thread, though the connection stands.
#[derive(Clone, Debug, Default)]
struct Addresses(Arc<Mutex<Option<Resolved>>>);

/// Is a name with its port, and the addresses it stands for.
type Resolved = (String, Vec<SocketAddr>);

impl Addresses {
    fn known(&self) -> MutexGuard<'_, Option<Resolved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.known() = None;
    }
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let name = uri.scheme().zip(uri.authority()).and_then(|(s, a)| DefaultResolver::host_and_port(s, a));
        if let (Some((known, addresses)), Some(name)) = (&*self.known(), &name)
            && known == name
        {
            let mut resolved = self.empty();
            for address in addresses {
                resolved.push(*address);
            }
            return Ok(resolved);
        }
        let resolved = DefaultResolver::default().resolve(uri, config, timeout)?;
        *self.known() = name.map(|name| (name, resolved.to_vec()));
        Ok(resolved)
    }
}

impl Client {
    /// Makes a client; it connects when it first sends.
    pub fn new(settings: ClientSettings) -> Self {
        let addresses = Addresses::default();
        let direct = agent(&settings, None, addresses.clone());
        Self { settings, direct, proxied: None, addresses }
    }

    /// Sends a request and reads the whole response. Redirects are not followed; a status is not an error.
    pub fn send(&mut self, call: &Call) -> Result<Reply, SendFailure> {
        let mut bytes = call.body.as_deref().unwrap_or_default();
        let length = call.body.as_ref().map(|body| body.len() as u64);
        self.exchange(call, length.map(|length| (length, &mut bytes as &mut dyn Read)), None)
    }

    /// Sends a request whose body of so many bytes comes from a reader.
    pub fn send_from(&mut self, call: &Call, length: u64, body: &mut dyn Read) -> Result<Reply, SendFailure> {
        self.exchange(call, Some((length, body)), None)
    }

    /// Sends a request, and writes the body of a 2xx response as it comes: the reply then has none.
    pub fn send_into(&mut self, call: &Call, into: &mut dyn Write) -> Result<Reply, SendFailure> {
        self.exchange(call, None, Some(into))
    }

    fn exchange(
        &mut self,
        call: &Call,
        body: Option<(u64, &mut dyn Read)>,
        into: Option<&mut dyn Write>,
    ) -> Result<Reply, SendFailure> {
        let Some(address) = Address::read(&call.url) else {
            return Err(SendFailure::unsent(Trouble::Unusable, "the address is no http address"));
        };
        if !address.is_tls && !address.is_loopback() && !self.settings.allow_http {
            let why = "the address is not https, and not on this machine";
            return Err(SendFailure::unsent(Trouble::Unusable, why));
        }
        let max = self.settings.max_response;
        let request = request(call, body.as_ref().map(|(length, _)| *length))?;
        let mut began = false;
        let agent = self.agent_before(&call.url)?;
        let sent = match body {
            Some((_, from)) => request
                .body(SendBody::from_reader(&mut Sending { from, began: &mut began }))
                .map_err(Error::from)
                .and_then(|request| agent.run(request)),
            None => request.body(()).map_err(Error::from).and_then(|request| agent.run(request)),
        };
        let response = match sent {
            Ok(response) => response,
            // A GET has no body: that it may have arrived costs nothing.
            Err(error) => {
                self.addresses.forget();
                return Err(failure(&error, began, address.is_tls));
            }
        };
        let status = response.status().as_u16();
        let headers: BTreeMap<String, String> = response
            .headers()
            .iter()
            .filter(|(name, _)| is_read(name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut body = Vec::new();
        if let Some(into) = into.filter(|_| (200..300).contains(&status)) {
            let mut reader = response.into_body().into_reader();
            return match io::copy(&mut reader, into) {
                Ok(_) => Ok(Reply { status, headers, body }),
                Err(error) => Err(failure(&Error::from(error), true, address.is_tls)),
            };
        }
        let mut reader = response.into_body().into_reader().take(max.saturating_add(1));
        let ended = reader.read_to_end(&mut body);
        let trouble = match ended {
            Err(error) => Some(failure(&Error::from(error), true, address.is_tls)),
            Ok(_) if body.len() as u64 > max => {
                let why = format!("the response is larger than {max} bytes");
                Some(SendFailure { trouble: Trouble::TooLarge, may_have_arrived: true, why, ..SendFailure::default() })
            }
            Ok(_) => None,
        };
        match trouble {
            None => Ok(Reply { status, headers, body }),
            Some(mut failure) => {
                body.truncate(KEPT_OF_BROKEN);
                failure.status = Some(status);
                failure.partial = body;
                // It is no body that could not be sent: a response had begun.
                if matches!(failure.trouble, Trouble::Connection | Trouble::Tls) {
                    failure.trouble = Trouble::Broken;
                }
                Err(failure)
            }
        }
    }

    /// Returns the agent that reaches an address.
    fn agent_before(&mut self, url: &str) -> Result<&ureq::Agent, SendFailure> {
        let Some(proxy) = self.settings.proxies.before(url) else { return Ok(&self.direct) };
        if self.proxied.as_ref().is_none_or(|(known, _)| known != proxy) {
            let shown = self.settings.proxies.shown(url).unwrap_or_default();
            let refused = |why: &str| SendFailure::unsent(Trouble::Unusable, &format!("the proxy `{shown}` {why}"));
            if proxy.split_once("://").is_some_and(|(scheme, _)| !matches!(scheme, "http" | "https")) {
                return Err(refused("is neither http nor https"));
            }
            let parsed = Proxy::new(proxy).map_err(|_| refused("is no address"))?;
            self.proxied = Some((proxy.to_owned(), agent(&self.settings, Some(parsed), self.addresses.clone())));
        }
        Ok(self.proxied.as_ref().map_or(&self.direct, |(_, agent)| agent))
    }
}

fn agent(settings: &ClientSettings, proxy: Option<Proxy>, addresses: Addresses) -> ureq::Agent {
    let Timeouts { connect, send, read, total } = settings.timeouts;
    let roots = settings.trusted.as_ref().map_or(RootCerts::WebPki, |trusted| RootCerts::Specific(trusted.0.clone()));
    let config = ureq::Agent::config_builder()
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_send_request(Some(send))
        .timeout_send_body(Some(send))
        .timeout_per_read(Some(read))
        .timeout_global(Some(total))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("exp/", env!("CARGO_PKG_VERSION")))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_response_header_size(BUFFER)
        .max_idle_connections(2)
        .max_idle_connections_per_host(2)
        .build();
    ureq::Agent::with_parts(config, DefaultConnector::default().chain(HeadWithBody), addresses)
}

fn request(call: &Call, length: Option<u64>) -> Result<ureq::http::request::Builder, SendFailure> {
    let unusable = |name: &str| SendFailure::unsent(Trouble::Unusable, &format!("the header `{name}` cannot be sent"));
    let mut request = match (call.is_delete, length) {
        (true, _) => Request::delete(&call.url),
        (false, Some(_)) => Request::post(&call.url),
        (false, None) => Request::get(&call.url),
    };
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    for (name, value) in &call.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
        request = request.header(header, HeaderValue::from_str(value).map_err(|_| unusable(name))?);
    }
    if let Some((name, before, key)) = &call.key {
        let mut value = HeaderValue::from_str(&format!("{before}{}", key.expose())).map_err(|_| unusable(name))?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    Ok(request)
}

/// Says whether anybody here reads a header; the rest is dropped.
fn is_read(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "content-type",
        "date",
        "location",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    ];
    NAMES.contains(&name) || name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// Is a body on its way, which remembers whether any of it was taken.
struct Sending<'b> {
    from: &'b mut dyn Read,
    began: &'b mut bool,
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        *self.began |= length > 0;
        Ok(length)
    }
}

/// Says what an error of the library means. `began`: some of the body may have left.
fn failure(error: &Error, began: bool, is_tls: bool) -> SendFailure {
    let trouble = match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Trouble::Connection,
        Error::Timeout(_) => Trouble::Timeout,
        // Before the body leaves, what cannot be understood can only be the handshake.
        Error::Io(io) if is_tls && !began && io.kind() == io::ErrorKind::InvalidData => Trouble::Tls,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::TlsRequired => Trouble::Tls,
        Error::Protocol(_) | Error::Decompress(..) | Error::LargeResponseHeader(..) | Error::BodyStalled => {
            Trouble::Broken
        }
        Error::BodyExceedsLimit(_) => Trouble::TooLarge,
        Error::BadUri(_) | Error::Http(_) | Error::InvalidProxyUrl | Error::RequireHttpsOnly(_) => Trouble::Unusable,
        _ => Trouble::Connection,
    };
    let why = match error {
        Error::Io(io) => io.to_string(),
        Error::Timeout(Timeout::Connect | Timeout::Resolve) => "no connection in time".to_owned(),
        Error::Timeout(Timeout::PerRead) => "nothing came for too long".to_owned(),
        Error::Timeout(Timeout::SendBody | Timeout::SendRequest) => "the request could not be sent in time".to_owned(),
        Error::Timeout(_) => "it took too long".to_owned(),
        other => other.to_string(),
    };
    SendFailure { trouble, may_have_arrived: began, why, ..SendFailure::default() }
}

mod head_with_body;
#[cfg(test)]
mod tests;
