//! No output, log or file contains a secret.

mod deliveries;
mod life;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use proptest::prelude::*;

use crate::call::spans::log_all;
use crate::support::{is_public, rust_files};

/// The secrets.
#[derive(Clone, Debug)]
struct Secrets {
    client_secret: String,
    code: String,
    access: String,
    refresh: String,
    key: String,
    patient: String,
}

fn secrets() -> impl Strategy<Value = Secrets> {
    let text = || "[A-Za-z0-9_-]{24,64}";
    (text(), text(), text(), text(), text(), text()).prop_map(
        |(client_secret, code, access, refresh, key, patient)| Secrets {
            client_secret,
            code,
            access,
            refresh,
            key,
            patient,
        },
    )
}

impl Secrets {
    fn check(&self, state: &str, shown: &str) {
        for secret in [
            &self.client_secret,
            &self.code,
            &self.access,
            &self.refresh,
            &self.key,
            &self.patient,
            &state.to_string(),
        ] {
            if let Some(at) = shown.find(secret.as_str()) {
                let begin = shown[..at].rfind('\n').unwrap_or_default();
                let end = shown[at..].find('\n').map_or(shown.len(), |end| at + end);
                panic!("{secret} in {}", &shown[begin..end]);
            }
        }
    }
}

/// All recorded output, and its types.
#[derive(Default)]
struct Shown {
    text: String,
    types: BTreeSet<String>,
}

impl Shown {
    fn debug<T: Debug>(&mut self, value: &T) {
        self.text += &format!("{value:?}\n{value:#?}\n");
        let name = std::any::type_name::<T>();
        let name = name.split('<').next().unwrap_or_default();
        self.types
            .extend(name.rsplit("::").next().map(String::from));
    }

    /// An error with its complete source chain.
    fn error<E: std::error::Error>(&mut self, error: &E) {
        self.debug(error);
        self.text += &format!("{error}\n");
        let mut source = error.source();
        while let Some(cause) = source {
            self.text += &format!("{cause} {cause:?}\n");
            source = cause.source();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn no_output_log_or_file_contains_a_secret(secrets in secrets()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (log, guard) = log_all();
        let (shown, state) = runtime.block_on(life::live(&secrets));
        drop(guard);
        secrets.check(&state, &shown.text);
        let log = log.text();
        prop_assert!(log.contains("get_patient") && log.contains("retrying request"), "{log}");
        secrets.check(&state, &log);
        // Every public type was shown, except those whose content the caller chose to show.
        let harmless = BTreeSet::from(HARMLESS.map(String::from));
        let all = public_types();
        let missing: Vec<_> = all.iter().filter(|name| !shown.types.contains(*name) && !harmless.contains(*name)).collect();
        prop_assert!(missing.is_empty(), "not shown: {missing:?}");
        let stale: Vec<_> = harmless.iter().filter(|name| !all.contains(*name)).collect();
        prop_assert!(stale.is_empty(), "no such type: {stale:?}");
    }
}

/// Public types that cannot contain a secret: names, times, numbers, settings, and content that the
/// caller chose to show or to expose.
const HARMLESS: [&str; 47] = [
    "BiologicalSex",
    "CallOutcome",
    "ConnectionFilter",
    "ConnectionStatus",
    "Cursor",
    "Date",
    "Decimal",
    "Drift",
    "Durability",
    "Entrypoint",
    "Environment",
    "ErrorKind",
    "EventList",
    "Exposed",
    "Flag",
    "Hints",
    "ImportOutcome",
    "ImportRefusal",
    "InvalidCursor",
    "ListChanges",
    "ManualClock",
    "Mask",
    "NeedsReconnect",
    "NotATool",
    "Operation",
    "PageMeta",
    "PermitRequest",
    "Permits",
    "PostgresEventLog",
    "PostgresLimit",
    "PostgresStore",
    "RateLimit",
    "ReconnectReason",
    "Reencrypted",
    "RefreshFailure",
    "RefreshFailureCause",
    "RefreshMode",
    "ReplayLeader",
    "ReplayState",
    "RoundTripError",
    "SharedLimitEvent",
    "StoreAccess",
    "SystemClock",
    "Timestamp",
    "Tool",
    "ToolSet",
    "UnknownOperation",
];

/// The names of the handwritten public types.
fn public_types() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    for (_, text) in rust_files(&source) {
        let file = syn::parse_file(&text).unwrap();
        names.extend(file.items.iter().filter_map(public_name));
    }
    names
}

fn public_name(item: &syn::Item) -> Option<String> {
    let (visibility, name) = match item {
        syn::Item::Struct(item) => (&item.vis, &item.ident),
        syn::Item::Enum(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}
