//! The HTTP client: addresses, proxies, timeouts.
//!
//! It is ureq with rustls. Certificates are checked against the store of the system, not against a list of
//! our own: machines behind a company's proxy that opens TLS connections trust it by that store, and a
//! machine on which Cargo can fetch packages has one. This module knows nothing of files.

use std::time::Duration;

use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

use super::error::{SourceError, shortened};
use super::mirror::Mirror;

/// Looks up the value of an environment variable.
type Variable = Box<dyn Fn(&str) -> Option<String>>;

/// How to talk to servers.
pub(super) struct Client {
    /// The mirror that replaces the host of every source, if there is one.
    pub mirror: Option<Mirror>,
    /// The environment, which names proxies.
    pub variable: Variable,
    /// Waiting times before the second try, the third and so on; there is one try more than times.
    pub delays: Vec<Duration>,
    /// Bytes that a try must bring for the count of tries to start again: a slow download is not given up as
    /// long as it makes progress.
    pub enough: u64,
    /// Longest wait for the next byte.
    pub patience: Duration,
}

/// An address, and the agent that fetches it.
pub(super) struct Target {
    /// Where the file is.
    pub url: Uri,
    /// Fetches it.
    pub agent: Agent,
}

impl Client {
    /// A client with the proxies of the environment.
    pub fn new(mirror: Option<Mirror>) -> Self {
        Self {
            mirror,
            variable: Box::new(|name| std::env::var(name).ok().filter(|v| !v.is_empty())),
            delays: [500, 1000, 2000].map(Duration::from_millis).to_vec(),
            enough: 1 << 20,
            patience: Duration::from_secs(30),
        }
    }

    /// Where to fetch the file of `url`, and with what.
    pub fn target(&self, url: &Uri) -> Result<Target, SourceError> {
        let url = match &self.mirror {
            None => url.clone(),
            Some(mirror) => mirror.apply(url).ok_or_else(|| SourceError::Answer {
                url: plain(url),
                problem: "the mirror's address does not go with it".into(),
            })?,
        };
        let https = url.scheme() == Some(&Scheme::HTTPS);
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .user_agent(concat!("graft/", env!("CARGO_PKG_VERSION")))
            // A compressed answer has another length, and its download cannot be resumed.
            .accept_encoding("identity")
            .http_status_as_error(false)
            // A redirect must not lead from https to http.
            .https_only(https)
            .proxy(self.proxy(https)?)
            .tls_config(tls.build())
            .timeout_resolve(Some(self.patience))
            .timeout_connect(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .timeout_per_write(Some(self.patience))
            .timeout_recv_response(Some(2 * self.patience))
            // Every try makes a connection of its own.
            .max_idle_connections(0);
        Ok(Target {
            url,
            agent: config.build().into(),
        })
    }

    /// The proxy for a scheme, by the variables that curl looks at.
    fn proxy(&self, https: bool) -> Result<Option<Proxy>, SourceError> {
        const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        let first = |names: [&'static str; 4]| {
            let value = |n: &'static str| (self.variable)(n).map(|value| (n, value));
            names.into_iter().find_map(value)
        };
        let Some((variable, value)) = first(if https { HTTPS } else { HTTP }) else {
            return Ok(None);
        };
        let wrong = |_| SourceError::Proxy { variable };
        let proxy = Proxy::new(value.trim()).map_err(wrong)?;
        let mut builder = Proxy::builder(proxy.protocol())
            .host(proxy.host())
            .port(proxy.port());
        if let Some(name) = proxy.username() {
            builder = builder.username(name);
        }
        if let Some(password) = proxy.password() {
            builder = builder.password(password);
        }
        let without = (self.variable)("no_proxy").or_else(|| (self.variable)("NO_PROXY"));
        for entry in without.as_deref().unwrap_or_default().split(',') {
            // As in curl: a name stands for that host and all hosts below it.
            let name = entry
                .trim()
                .trim_start_matches("*.")
                .trim_start_matches('.');
            if !name.is_empty() {
                builder = builder.no_proxy(name).no_proxy(&format!(".{name}"));
            }
        }
        builder.build().map(Some).map_err(wrong)
    }
}

impl Target {
    /// Host, and port if the address has one.
    pub fn host(&self) -> String {
        let authority = self.url.authority().map_or("", |a| a.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
        host.into()
    }

    /// The address without user name and password.
    pub fn url(&self) -> String {
        plain(&self.url)
    }
}

/// An address without user name and password.
fn plain(url: &Uri) -> String {
    let text = url.to_string();
    match (text.split_once("://"), url.authority()) {
        (Some((scheme, rest)), Some(authority)) => {
            let user = authority.as_str().rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", rest.get(user..).unwrap_or_default())
        }
        _ => text,
    }
}

/// What is wrong, in few words, and whether another try may succeed.
pub(super) fn explain(error: &ureq::Error) -> (String, bool) {
    use ureq::Error as E;
    const TRUST: &str = "check the system's CA certificates, or name others in SSL_CERT_FILE";
    let (text, again) = match error {
        // What rustls says against a certificate comes as invalid data. It will say the same again.
        E::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => (format!("{e}: {TRUST}"), false),
        E::Rustls(e) => (format!("{e}: {TRUST}"), false),
        E::Io(e) => (e.to_string(), true),
        E::Timeout(what) => (format!("no answer in time ({what})"), true),
        E::HostNotFound => ("no such host".into(), true),
        E::ConnectionFailed | E::BodyStalled | E::Protocol(_) => (error.to_string(), true),
        E::ConnectProxyFailed(why) => (format!("the proxy does not connect: {why}"), true),
        E::TooManyRedirects => ("it redirects in circles".into(), false),
        E::RequireHttpsOnly(_) => (
            "it redirects from https to http, which is refused".into(),
            false,
        ),
        other => (other.to_string(), false),
    };
    (shortened(&text), again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(
        variable: impl Fn(&str) -> Option<String> + 'static,
        url: &str,
    ) -> Result<Option<String>, String> {
        let client = Client {
            variable: Box::new(variable),
            ..Client::new(None)
        };
        let url = url.parse().unwrap();
        let target = client.target(&url).map_err(|e| e.to_string())?;
        let proxy = target.agent.config().proxy();
        let used = proxy.filter(|p| !p.is_no_proxy(&target.url));
        Ok(used.map(|p| format!("{}:{}", p.host(), p.port())))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let variables = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://user:secret@secure.example:3128".to_string()),
            "http_proxy" => Some("lower.example:81".into()),
            "HTTP_PROXY" => Some("upper.example:82".into()),
            "ALL_PROXY" => Some("socks5h://all.example".into()),
            "NO_PROXY" => Some("one.example, .two.example,*.three.example,127.0.0.1".into()),
            _ => None,
        };
        for (url, expected) in [
            ("https://host.example/x", Some("secure.example:3128")),
            ("http://host.example/x", Some("lower.example:81")),
            ("https://one.example/x", None),
            ("https://sub.one.example/x", None),
            ("https://clone.example/x", Some("secure.example:3128")),
            ("https://two.example/x", None),
            ("https://a.b.three.example:8/x", None),
            ("http://127.0.0.1:80/x", None),
        ] {
            let got = proxy(variables, url).unwrap();
            assert_eq!(got.as_deref(), expected, "{url}");
        }
        let all = |name: &str| (name == "ALL_PROXY").then(|| "socks5h://all.example".into());
        let got = proxy(all, "https://host.example/x").unwrap();
        assert_eq!(got.as_deref(), Some("all.example:1080"));
        let none = move |name: &str| match name {
            "NO_PROXY" => Some("*".into()),
            name => all(name),
        };
        assert_eq!(proxy(none, "https://host.example/x").unwrap(), None);
        assert_eq!(proxy(|_| None, "https://host.example/x").unwrap(), None);
    }

    #[test]
    fn a_broken_proxy_is_an_error_that_keeps_the_password() {
        let variables = |name: &str| {
            (name == "HTTPS_PROXY").then(|| "gopher://user:secret@host.example".to_string())
        };
        let error = proxy(variables, "https://host.example/x").unwrap_err();
        assert!(
            error.contains("HTTPS_PROXY") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn no_password_in_messages() {
        let client = Client {
            variable: Box::new(|_| None),
            ..Client::new(Some("http://user:secret@m.example:81/x".parse().unwrap()))
        };
        let url = "https://host.example/a/b.pth".parse().unwrap();
        let target = client.target(&url).unwrap();
        assert_eq!(target.host(), "m.example:81");
        assert_eq!(target.url(), "http://m.example:81/x/a/b.pth");
        assert!(target.url.to_string().contains("secret"));
    }
}
