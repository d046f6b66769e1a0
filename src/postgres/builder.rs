//! The settings of the stores on a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::PostgresStore;
use super::error::{Failure, Kind, PostgresError};
use super::schema::{self, Names};
use super::server::{STEP_TIMEOUT, Server};
use super::tls;

/// The default number of connections. A refresh uses one for a millisecond, three times.
const CONNECTIONS: usize = 4;

/// The time after which an idle connection is probed, so that firewalls and NATs keep it: 30 s.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The time after which unacknowledged data closes a connection: 9 s, the deadline of an operation.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(9);

/// Settings of a [`PostgresStore`], created by [`PostgresStore::builder`].
#[derive(Clone)]
#[must_use]
pub struct PostgresBuilder {
    /// Contains the password.
    url: String,
    names: Names,
    connections: usize,
    root_certificates: Option<Vec<u8>>,
}

impl PostgresBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            names: Names::default(),
            connections: CONNECTIONS,
            root_certificates: None,
        }
    }

    /// Sets the schema that contains the tables. Default: `fullscript`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.names.schema = schema.into();
        self
    }

    /// Sets the prefix of the names of all tables. Default: none.
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.names.prefix = prefix.into();
        self
    }

    /// Sets the maximum number of connections to the server. Default: 4, at least 1.
    ///
    /// Connections are opened when they are needed, and each operation uses one of them for the
    /// duration of one statement.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets the root certificates, as the text of a PEM file, that the server's certificate must
    /// come from. Default: those of the operating system.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Returns the SQL that creates or updates the tables, for a role that may create them.
    ///
    /// It can be run repeatedly, also while processes with older and newer versions of the crate
    /// work, and works in `psql`.
    #[must_use]
    pub fn migrations(&self) -> String {
        schema::script(&self.names)
    }

    /// Creates or updates the tables, if they are not up to date.
    ///
    /// The user of the URL must be allowed to create tables. Several processes may call this at the
    /// same time.
    ///
    /// # Errors
    /// Returns a [`PostgresError`] if the server cannot be reached, refuses the user or the
    /// statements, or has tables that need a newer version of the crate.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        let server = self.server()?;
        match schema::check(&server, &self.names).await {
            Err(failure) if failure.is_outdated() => {
                server.run_script(&self.migrations()).await?;
                schema::check(&server, &self.names).await?;
                Ok(())
            }
            checked => Ok(checked.map(|_durability| ())?),
        }
    }

    /// Connects to the server, and checks its tables and privileges.
    ///
    /// # Errors
    /// Returns a [`PostgresError`] if the server cannot be reached or refuses the user, if it is
    /// read-only, or if tables or privileges are missing.
    /// [`is_transient`](PostgresError::is_transient) tells whether a retry may help.
    pub async fn connect(&self) -> Result<PostgresStore, PostgresError> {
        let server = self.server()?;
        let durability = schema::check(&server, &self.names).await?;
        #[cfg(feature = "tracing")]
        if durability != super::Durability::Replicated {
            tracing::warn!(
                target: "fullscript",
                ?durability,
                "a failover of the database may lose token refreshes"
            );
        }
        Ok(PostgresStore {
            server: Arc::new(server),
            names: Arc::new(self.names.clone()),
            durability,
        })
    }

    fn server(&self) -> Result<Server, Failure> {
        self.names.check()?;
        let config = config(&self.url)?;
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls::connector(self.root_certificates.as_deref())?),
        };
        Ok(Server::new(hosts(&config), tls, self.connections))
    }
}

/// Shows neither the URL nor the certificates.
impl fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBuilder")
            .field("schema", &self.names.schema)
            .field("table_prefix", &self.names.prefix)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Reads a URL, or settings in the form `host=.. user=..`.
fn config(url: &str) -> Result<Config, Failure> {
    // rustls verifies the certificate and the host name whenever it connects.
    let url = url
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    // The error may repeat a part of a password that is not percent-encoded.
    let mut config: Config = url.parse().map_err(|_| Failure::new(Kind::Settings))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(Failure::caused(Kind::Settings, "it names no host"));
    }
    if config.get_ssl_mode() == SslMode::Prefer {
        // An attacker in the network could make the client prefer plain text.
        let is_local = config.get_hostaddrs().iter().all(|it| it.is_loopback())
            && config.get_hosts().iter().all(is_local);
        config.ssl_mode(if is_local {
            SslMode::Disable
        } else {
            SslMode::Require
        });
    }
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("fullscript");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(STEP_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    config.keepalives_idle(KEEPALIVE);
    Ok(config)
}

/// Returns the settings for each host.
fn hosts(config: &Config) -> Vec<Config> {
    let (names, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let ports = config.get_ports();
    // Several ports of another number than hosts are an error, which connecting reports.
    let is_regular = names.is_empty() || addresses.is_empty() || names.len() == addresses.len();
    let count = names.len().max(addresses.len());
    if count < 2 || !is_regular || (ports.len() > 1 && ports.len() != count) {
        return vec![config.clone()];
    }
    let one = |index: usize| {
        let mut one = Config::new();
        match names.get(index) {
            Some(Host::Tcp(name)) => _ = one.host(name),
            #[cfg(unix)]
            Some(Host::Unix(path)) => _ = one.host_path(path),
            None => {}
        }
        if let Some(address) = addresses.get(index) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(index).or(ports.first()) {
            one.port(*port);
        }
        if let Some(user) = config.get_user() {
            one.user(user);
        }
        if let Some(password) = config.get_password() {
            one.password(password);
        }
        if let Some(database) = config.get_dbname() {
            one.dbname(database);
        }
        if let Some(options) = config.get_options() {
            one.options(options);
        }
        if let Some(name) = config.get_application_name() {
            one.application_name(name);
        }
        if let Some(timeout) = config.get_connect_timeout() {
            one.connect_timeout(*timeout);
        }
        if let Some(timeout) = config.get_tcp_user_timeout() {
            one.tcp_user_timeout(*timeout);
        }
        one.ssl_mode(config.get_ssl_mode())
            .ssl_negotiation(config.get_ssl_negotiation())
            .channel_binding(config.get_channel_binding())
            .target_session_attrs(config.get_target_session_attrs())
            .keepalives(config.get_keepalives())
            .keepalives_idle(config.get_keepalives_idle());
        one
    };
    (0..count).map(one).collect()
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => {
            let address = host.parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_used_for_other_machines_unless_it_is_disabled() {
        for (url, mode) in [
            ("postgres://u:p@127.0.0.1/d", SslMode::Disable),
            (
                "postgres://u:p@localhost:6432/d?sslmode=prefer",
                SslMode::Disable,
            ),
            ("postgres://u:p@[::1]/d", SslMode::Disable),
            ("host=/var/run/postgresql user=u", SslMode::Disable),
            (
                "postgres://u:p@localhost/d?sslmode=require",
                SslMode::Require,
            ),
            (
                "postgres://u:p@localhost/d?sslmode=verify-full",
                SslMode::Require,
            ),
            ("postgres://u:p@db.example/d", SslMode::Require),
            (
                "postgres://u:p@db.example/d?sslmode=prefer",
                SslMode::Require,
            ),
            ("postgres://u:p@localhost,db.example/d", SslMode::Require),
            ("host=db.example user=u sslmode=verify-ca", SslMode::Require),
            ("host=localhost hostaddr=10.0.0.1 user=u", SslMode::Require),
            (
                "postgres://u:p@db.example/d?sslmode=disable",
                SslMode::Disable,
            ),
        ] {
            assert_eq!(config(url).unwrap().get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn each_host_has_its_own_name_and_port_and_shares_all_else() {
        let url = "postgres://u:p@a:1,b:2/d?connect_timeout=2&application_name=n";
        let hosts = hosts(&config(url).unwrap());
        let of = |host: &Config| (host.get_hosts().to_vec(), host.get_ports().to_vec());
        let name = |name: &str| vec![Host::Tcp(name.to_string())];
        assert_eq!(of(&hosts[0]), (name("a"), vec![1]));
        assert_eq!(of(&hosts[1]), (name("b"), vec![2]));
        for host in hosts {
            let alone = format!(
                "{:?}",
                config("postgres://u:p@a:1/d?connect_timeout=2&application_name=n").unwrap()
            );
            let own = format!("{host:?}")
                .replace("\"b\"", "\"a\"")
                .replace("[2]", "[1]");
            // `Debug` shows every setting except for the password.
            assert_eq!(own, alone);
            assert_eq!(host.get_password(), Some(&b"p"[..]));
        }
    }

    #[test]
    fn settings_that_are_not_valid_are_reported_without_the_password() {
        for url in [
            "",
            "planted",
            "postgres://u:planted@h:x/d",
            "postgres://u:planted%ff@h/d?sslmode=often",
            "host=h user=u password=planted port=planted",
            "user=u password=planted",
            "mysql://u:planted@h/d",
        ] {
            let error = PostgresError::from(config(url).unwrap_err());
            let text = format!("{error} {error:?}");
            assert!(text.contains("the URL or another setting"), "{url}: {text}");
            assert!(!text.contains("anted"), "{url}: {text}");
            assert!(!error.is_transient());
        }
    }
}
