//! Errors of the PostgreSQL server and of the connections to it.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::{DbError, SqlState};

/// An error of connecting to a PostgreSQL server, or of using it.
///
/// `Display` states what to do. Neither it nor `Debug` nor a source shows a URL, a password, a
/// token or a value that was saved. Cheap to clone.
#[derive(Clone)]
pub struct PostgresError(Failure);

/// The internal error. It implements `From<tokio_postgres::Error>`, so that this conversion is not
/// part of the public API.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: Kind,
    /// The SQLSTATE, if the server returned the error.
    sqlstate: Option<String>,
    /// The cause without values of a statement.
    source: Option<Arc<Cause>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Settings,
    Certificates,
    NoTlsProvider,
    Tls,
    Unreachable,
    Denied,
    NoDatabase,
    NotAllowed,
    /// The tables are older than this crate needs; contains what is missing.
    Missing(String),
    Newer,
    Encoding,
    ReadOnly,
    Full,
    TooManyConnections,
    Exhausted,
    TimedOut,
    Broken,
    ShuttingDown,
    Busy,
    Text,
    DamagedRow,
    Other,
}

/// A text of the server, or of the operating system.
#[derive(Debug)]
struct Cause(String);

impl PostgresError {
    /// Returns whether a retry may succeed without any change: the server was not reachable, is
    /// failing over, or is busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Unreachable
                | Kind::ReadOnly
                | Kind::TooManyConnections
                | Kind::Exhausted
                | Kind::TimedOut
                | Kind::Broken
                | Kind::ShuttingDown
                | Kind::Busy
        )
    }

    /// Returns whether the tables are missing, or are older than this version of the crate needs.
    #[must_use]
    pub fn is_schema_outdated(&self) -> bool {
        matches!(self.0.kind, Kind::Missing(_))
    }

    /// Returns the SQLSTATE code, if the server returned the error.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }
}

impl Failure {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            sqlstate: None,
            source: None,
        }
    }

    pub(super) fn caused(kind: Kind, cause: impl fmt::Display) -> Self {
        Self {
            kind,
            sqlstate: None,
            source: Some(Arc::new(Cause(cause.to_string()))),
        }
    }

    /// Creates the error of a connection that could not be opened.
    pub(super) fn of_connecting(error: &tokio_postgres::Error) -> Self {
        let cause = std::error::Error::source(error);
        if let Some(failure) = cause.and_then(|it| it.downcast_ref().map(Self::of_server)) {
            return failure;
        }
        let io: Option<&std::io::Error> = cause.and_then(|cause| cause.downcast_ref());
        let is_tls = error
            .to_string()
            .starts_with("error performing TLS handshake");
        let kind = match io.map(std::io::Error::kind) {
            // The text that tokio-postgres has for `target_session_attrs=read-write`.
            Some(std::io::ErrorKind::PermissionDenied)
                if cause.is_some_and(|it| it.to_string().contains("does not allow writes")) =>
            {
                Kind::ReadOnly
            }
            // A connection that is lost during the handshake can be opened again.
            _ if is_tls && !io.is_some_and(is_lost) => Kind::Tls,
            Some(_) => Kind::Unreachable,
            // Such as a password that the server wants and the URL lacks.
            None if error.is_closed() => Kind::Unreachable,
            None => Kind::Denied,
        };
        match cause {
            Some(cause) => Self::caused(kind, cause),
            None => Self::caused(kind, error),
        }
    }

    fn of_server(error: &DbError) -> Self {
        let code = error.code();
        let kind = match code.code() {
            "25006" => Kind::ReadOnly,
            "57P01" | "57P02" | "57P03" | "57P05" => Kind::ShuttingDown,
            "53100" => Kind::Full,
            "53300" => Kind::TooManyConnections,
            "40001" | "40P01" | "55P03" | "57014" => Kind::Busy,
            "42501" => Kind::NotAllowed,
            "3D000" => Kind::NoDatabase,
            "22021" | "22P05" => Kind::Text,
            // The schema, a table or a column does not exist.
            "3F000" | "42P01" | "42703" => Kind::Missing("a table or a column".to_string()),
            code => match &code[..2.min(code.len())] {
                "08" => Kind::Broken,
                "28" => Kind::Denied,
                "53" => Kind::Busy,
                _ => Kind::Other,
            },
        };
        Self {
            kind,
            sqlstate: Some(code.code().to_string()),
            source: Some(Arc::new(Cause(message(error, code)))),
        }
    }

    pub(super) fn is_outdated(&self) -> bool {
        matches!(self.kind, Kind::Missing(_))
    }

    /// Returns whether the connection must not be used any more.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(
            self.kind,
            Kind::Unreachable
                | Kind::ReadOnly
                | Kind::TooManyConnections
                | Kind::TimedOut
                | Kind::Broken
                | Kind::ShuttingDown
        )
    }

    /// Returns whether the statement may succeed if it is repeated.
    pub(super) fn is_repeatable(&self) -> bool {
        let is_conflict = matches!(self.sqlstate.as_deref(), Some("40001" | "40P01"));
        self.is_of_connection() || is_conflict
    }

    /// Returns whether a statement that failed in this way can have taken effect.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(
            self.kind,
            Kind::Unreachable | Kind::TimedOut | Kind::Broken | Kind::ShuttingDown
        )
    }
}

/// Returns the server's message, unless it may contain a value of the statement.
fn message(error: &DbError, code: &SqlState) -> String {
    let code = code.code();
    let contains_values = ["22", "23", "44", "P0"]
        .iter()
        .any(|class| code.starts_with(class));
    if contains_values {
        return format!("{} {code}", error.severity());
    }
    format!("{} {code}: {}", error.severity(), error.message())
}

fn is_lost(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::TimedOut
    )
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let cause = std::error::Error::source(&error);
        if let Some(failure) = cause.and_then(|it| it.downcast_ref().map(Self::of_server)) {
            return failure;
        }
        if error.is_closed() || cause.is_some_and(|it| it.is::<std::io::Error>()) {
            return match cause {
                Some(cause) => Self::caused(Kind::Broken, cause),
                None => Self::new(Kind::Broken),
            };
        }
        // A value has another type than it was written with; the text names only the column.
        Self::caused(Kind::DamagedRow, error)
    }
}

impl From<Failure> for PostgresError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0.kind {
            Kind::Settings => {
                "PostgreSQL: the URL or another setting is not valid; \
                 write it as postgres://user:password@host:5432/database, with reserved characters \
                 percent-encoded"
            }
            Kind::Certificates => {
                "PostgreSQL: the root certificates are not PEM certificates; \
                 pass the text of the file"
            }
            Kind::NoTlsProvider => {
                "PostgreSQL: no TLS provider; \
                 enable the feature `rustls-ring`, or install a provider of rustls for the process"
            }
            Kind::Tls => {
                "PostgreSQL: the TLS handshake failed; enable TLS on the server, pass its root \
                 certificates, or set sslmode=disable on a network that you trust"
            }
            Kind::Unreachable => {
                "PostgreSQL: the server is not reachable; check host, port and network"
            }
            Kind::Denied => "PostgreSQL: authentication failed; check the user and the password",
            Kind::NoDatabase => {
                "PostgreSQL: the database does not exist; create it, or correct its name in the URL"
            }
            Kind::NotAllowed => {
                "PostgreSQL: permission denied; grant the role the privileges of docs/postgres.sql"
            }
            Kind::Missing(missing) => {
                return write!(
                    f,
                    "PostgreSQL: the tables are missing or outdated ({missing}); call `migrate`, \
                     or run the SQL that `migrations` returns"
                );
            }
            Kind::Newer => {
                "PostgreSQL: the tables need a newer version of this crate; update the crate"
            }
            Kind::Encoding => {
                "PostgreSQL: the encoding of the database is not UTF8; create a database with UTF8"
            }
            Kind::ReadOnly => {
                "PostgreSQL: the server is read-only, such as a standby or a former primary; \
                 retry later, and check that the URL leads to the primary"
            }
            Kind::Full => "PostgreSQL: disk full; nothing was changed; free some space",
            Kind::TooManyConnections => {
                "PostgreSQL: the server accepts no more connections; \
                 lower `connections`, or use PgBouncer"
            }
            Kind::Exhausted => {
                "PostgreSQL: no free connection within 9 s; raise `connections`, \
                 or find out what slows the server down"
            }
            Kind::TimedOut => {
                "PostgreSQL: timed out waiting for the server; retry later, and check the network \
                 and locks that are held"
            }
            Kind::Broken => "PostgreSQL: the connection was lost; retry later",
            Kind::ShuttingDown => {
                "PostgreSQL: the server is shutting down or starting; retry later"
            }
            Kind::Busy => "PostgreSQL: the server canceled the statement; retry later",
            Kind::Text => {
                "PostgreSQL: a key, a reference or a scope contains a character that the database \
                 cannot store, such as NUL; remove it"
            }
            Kind::DamagedRow => {
                "PostgreSQL: a row has columns of unexpected types; \
                 restore the tables, or find out who changed them"
            }
            Kind::Other => "PostgreSQL: the server returned an error; read its message",
        })
    }
}

impl fmt::Debug for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresError")
            .field("kind", &self.0.kind)
            .field("sqlstate", &self.0.sqlstate)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for PostgresError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
