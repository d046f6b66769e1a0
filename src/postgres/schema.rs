//! The tables, their versions, and what is checked when a store connects.

use tokio_postgres::types::Type;

use super::Durability;
use super::error::{Failure, Kind};
use super::server::Server;

/// The version of the tables that this version of the crate needs.
const VERSION: i32 = 2;

/// The tables that the crate reads and writes.
const TABLES: [&str; 6] = [
    "connections",
    "leases",
    "rate_limits",
    "replays",
    "webhook_events",
    "webhook_subjects",
];

/// The steps to the newest version. Append to them, and write each so that it can be repeated.
///
/// Processes with an older version of the crate work while a step runs and after it. If a step
/// breaks them, raise `needs` in the last statement of [`script`] to its version.
///
/// Times are milliseconds since 1970 in `connections`, and nanoseconds since 1970 in the tables of
/// events. An event without `until` is acknowledged. Subjects are stored as hashes.
/// Leases and the state of a rate limit need not survive a crash, so their tables are not logged.
const STEPS: &str = r#"
CREATE TABLE IF NOT EXISTS {connections} (
    key text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    app text COLLATE "C" NOT NULL,
    tenant text COLLATE "C",
    scopes text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint NOT NULL,
    needs_reconnect boolean NOT NULL,
    is_failing boolean NOT NULL,
    data bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS {index:connections_tenant} ON {connections} (tenant);
CREATE UNLOGGED TABLE IF NOT EXISTS {leases} (
    key text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS {replays} (
    clinic text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    cursor text
);
CREATE TABLE IF NOT EXISTS {webhook_events} (
    key text COLLATE "C" PRIMARY KEY,
    attempt bigint NOT NULL,
    claim text COLLATE "C" NOT NULL,
    until bigint,
    at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {index:webhook_events_at} ON {webhook_events} (at);
CREATE TABLE IF NOT EXISTS {webhook_subjects} (
    subject text COLLATE "C" PRIMARY KEY,
    newest bigint NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {index:webhook_subjects_at} ON {webhook_subjects} (at);
CREATE UNLOGGED TABLE IF NOT EXISTS {rate_limits} (
    app text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    state bytea NOT NULL
);
"#;

/// Where the tables are.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) schema: String,
    pub(super) prefix: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            schema: "fullscript".to_string(),
            prefix: String::new(),
        }
    }
}

impl Names {
    /// Refuses names that PostgreSQL would shorten.
    pub(super) fn check(&self) -> Result<(), Failure> {
        /// The maximum length of a name in bytes.
        const MAX_NAME: usize = 63;
        /// The length of the longest name that a prefix precedes.
        const LONGEST: usize = "webhook_subjects_pkey".len();
        let is_short = self.schema.len() <= MAX_NAME && self.prefix.len() + LONGEST <= MAX_NAME;
        if self.schema.is_empty() || !is_short {
            let cause = "the name of the schema must have 1 to 63 bytes, and the prefix at most 42";
            return Err(Failure::caused(Kind::Settings, cause));
        }
        Ok(())
    }

    /// Returns the name of a table in SQL.
    pub(super) fn table(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.schema), self.index(name))
    }

    /// Returns the name of an index in SQL, which is in the schema of its table.
    fn index(&self, name: &str) -> String {
        quoted(&format!("{}{name}", self.prefix))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the statements that create or update the tables, in one transaction.
pub(super) fn script(names: &Names) -> String {
    let mut steps = STEPS.to_string();
    for table in TABLES {
        steps = steps.replace(&format!("{{{table}}}"), &names.table(table));
        for column in ["tenant", "at"] {
            let index = format!("{table}_{column}");
            steps = steps.replace(&format!("{{index:{index}}}"), &names.index(&index));
        }
    }
    let schema = quoted(&names.schema);
    let literal = format!("'{}'", names.schema.replace('\'', "''"));
    let version = names.table("version");
    // `CREATE SCHEMA IF NOT EXISTS` needs a privilege even if the schema exists. The lock is held
    // until the end of the transaction; without it two processes could create the same table.
    format!(
        r#"BEGIN;
SELECT pg_advisory_xact_lock(hashtext('fullscript'), hashtext({literal}));
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal}) THEN
        CREATE SCHEMA {schema};
    END IF;
END
$do$;
{steps}
CREATE TABLE IF NOT EXISTS {version} (
    only_row boolean PRIMARY KEY CHECK (only_row),
    version integer NOT NULL,
    needs integer NOT NULL
);
INSERT INTO {version} AS present (only_row, version, needs) VALUES (true, {VERSION}, 1)
    ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, needs = excluded.needs
    WHERE present.version < excluded.version;
COMMIT;
"#
    )
}

/// Checks the database, the version of its tables and the privileges of the user.
pub(super) async fn check(server: &Server, names: &Names) -> Result<Durability, Failure> {
    let durability = check_database(server).await?;
    check_tables(server, names).await?;
    check_version(server, names).await?;
    Ok(durability)
}

async fn check_database(server: &Server) -> Result<Durability, Failure> {
    let sql = "SELECT current_setting('server_encoding'), current_setting('fsync'),
                      current_setting('synchronous_commit'),
                      coalesce(current_setting('synchronous_standby_names', true), '')";
    let answer = server.query(sql, &[]).await?;
    let row = answer.rows.first();
    let row = row.ok_or_else(|| Failure::new(Kind::DamagedRow))?;
    let [encoding, fsync, commit, standbys] = [0, 1, 2, 3].map(|column| row.try_get(column));
    let (encoding, fsync): (&str, &str) = (encoding?, fsync?);
    let (commit, standbys): (&str, &str) = (commit?, standbys?);
    if encoding != "UTF8" {
        return Err(Failure::new(Kind::Encoding));
    }
    Ok(match (fsync, commit) {
        ("off", _) | (_, "off") => Durability::Volatile,
        (_, "local") => Durability::Local,
        _ if standbys.trim().is_empty() => Durability::Local,
        _ => Durability::Replicated,
    })
}

/// Fails if a table or a privilege is missing, and names it.
async fn check_tables(server: &Server, names: &Names) -> Result<(), Failure> {
    let mut tables: Vec<String> = TABLES.iter().map(|table| names.table(table)).collect();
    tables.push(names.table("version"));
    let sql = "SELECT name FROM unnest($1::text[]) name WHERE to_regclass(name) IS NULL";
    let answer = server.query(sql, &[(&tables, Type::TEXT_ARRAY)]).await?;
    let missing: Vec<&str> = try_column(&answer.rows)?;
    if !missing.is_empty() {
        let missing = format!("no table {}", missing.join(", "));
        return Err(Failure::new(Kind::Missing(missing)));
    }
    let sql = "SELECT privilege || ' on ' || name
               FROM unnest($1::text[]) name,
                    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege
               WHERE (privilege = 'SELECT' OR name <> $2)
                 AND NOT has_table_privilege(to_regclass(name), privilege)";
    let version = names.table("version");
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 2] =
        [(&tables, Type::TEXT_ARRAY), (&version, Type::TEXT)];
    let answer = server.query(sql, &values).await?;
    let missing: Vec<&str> = try_column(&answer.rows)?;
    if !missing.is_empty() {
        let missing = format!("missing privileges: {}", missing.join(", "));
        return Err(Failure::caused(Kind::NotAllowed, missing));
    }
    Ok(())
}

async fn check_version(server: &Server, names: &Names) -> Result<(), Failure> {
    let sql = format!("SELECT version, needs FROM {}", names.table("version"));
    let answer = server.query(&sql, &[]).await?;
    let Some(row) = answer.rows.first() else {
        return Err(Failure::new(Kind::Missing("no version".to_string())));
    };
    let (version, needs): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if needs > VERSION {
        return Err(Failure::new(Kind::Newer));
    }
    if version < VERSION {
        let missing = format!("version {version} of {VERSION}");
        return Err(Failure::new(Kind::Missing(missing)));
    }
    Ok(())
}

fn try_column(rows: &[tokio_postgres::Row]) -> Result<Vec<&str>, Failure> {
    let texts = rows.iter().map(|row| row.try_get(0));
    Ok(texts.collect::<Result<_, _>>()?)
}
