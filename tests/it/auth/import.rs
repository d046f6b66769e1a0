//! Importing the tokens of another system.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fullscript::auth::{
    AccessToken, AuthEvent, ConnectionFilter, ImportOutcome, ImportRefusal, ImportedTokens,
    MemoryStore, OAuthApp, RefreshFailureCause, RefreshToken, Scope, TokenSet, TokenStore, UserKey,
};
use fullscript::testing::{FakeFullscript, Fault, ManualClock};

use crate::stores::sqlite::Place;
use crate::support::{Connected, Failures, Hooked, TWO_HOURS, at, connect, record_key};

/// Another system, which has connected users to the same app.
struct Other {
    app: OAuthApp,
    store: MemoryStore,
}

impl Other {
    fn of(connected: &Connected) -> Self {
        let store = MemoryStore::new();
        let app = connected.another().store(store.clone()).build().unwrap();
        Self { app, store }
    }

    /// Connects a user, and returns the tokens as the other system has them.
    async fn connect(&self, fake: &FakeFullscript, user: &str) -> TokenSet {
        connect(fake, &self.app, user).await;
        self.tokens(user).await
    }

    async fn tokens(&self, user: &str) -> TokenSet {
        let record = self.store.load(&record_key(user)).await.unwrap();
        TokenSet::from_record(&record.unwrap()).unwrap()
    }
}

/// The tokens of the other system's row, with the access token.
fn row(tokens: &TokenSet) -> ImportedTokens {
    without_access_token(tokens).access_token(tokens.access_token.clone(), tokens.expires_at())
}

fn without_access_token(tokens: &TokenSet) -> ImportedTokens {
    ImportedTokens::new(tokens.user.clone(), tokens.refresh_token.clone().unwrap())
}

fn made_up(user: &str, number: u64) -> ImportedTokens {
    ImportedTokens::new(user, RefreshToken::new(format!("refresh-{user}-{number}")))
}

/// Made-up tokens whose access token expires this number of seconds after the start.
fn expiring(user: &str, number: u64, expires_at: u64) -> ImportedTokens {
    made_up(user, number).access_token(AccessToken::new("access"), at(expires_at))
}

async fn import(app: &OAuthApp, tokens: &ImportedTokens) -> ImportOutcome {
    app.import().one(tokens.clone()).await.unwrap()
}

fn count(events: &[AuthEvent], name: &str) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

#[tokio::test]
async fn imported_tokens_are_used_and_refreshed_when_they_expire() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let other = Other::of(&connected);
    let tokens = other.connect(fake, "imported").await;
    let imported = row(&tokens).scopes(["Clinic:Read"]).tenant("clinic-7");
    assert_eq!(import(app, &imported).await, ImportOutcome::Taken);
    let connection = app.connection("imported").await.unwrap().unwrap();
    assert_eq!(connection.tenant.as_deref(), Some("clinic-7"));
    assert_eq!(connection.expires_at, tokens.expires_at());
    assert_eq!(connection.scopes[0].as_str(), "clinic:read");
    app.client("imported").get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 0);
    connected.expire();
    app.client("imported").get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 1);
    let connection = app.connection("imported").await.unwrap().unwrap();
    assert_eq!(connection.tenant.as_deref(), Some("clinic-7"));
    assert!(
        connection.scopes.len() > 1,
        "the scopes that the server returned"
    );

    // Without an access token, or with one that has expired, the first call refreshes.
    let tokens = other.connect(fake, "second").await;
    assert_eq!(
        import(app, &without_access_token(&tokens)).await,
        ImportOutcome::Taken
    );
    app.client("second").get_clinic().send().await.unwrap();
    let tokens = other.connect(fake, "third").await;
    let past = without_access_token(&tokens).access_token(tokens.access_token.clone(), at(0));
    assert_eq!(import(app, &past).await, ImportOutcome::Taken);
    assert_eq!(
        app.connection("third").await.unwrap().unwrap().expires_at,
        at(0)
    );
    app.client("third").get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 3);
    assert_eq!(count(&connected.events(), "imported"), 3);
    let stored = connected.stored_of("second").await.unwrap();
    assert!(
        stored.replaced_access_token.is_none(),
        "there was no access token"
    );
}

#[tokio::test]
async fn an_import_can_be_repeated_and_overwrites_no_newer_tokens() {
    use ImportOutcome::{Refused, Taken, Unchanged};
    let newer = Refused(ImportRefusal::NewerInStore);
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let other = Other::of(&connected);

    // The same tokens again, before and after a refresh, and another set of the same user.
    let first = row(&other.connect(fake, "a").await);
    assert_eq!(import(app, &first).await, Taken);
    assert_eq!(import(app, &first).await, Unchanged);
    assert_eq!(import(app, &made_up("a", 1)).await, newer);
    connected.expire();
    app.client("a").get_clinic().send().await.unwrap();
    let refreshed = connected.stored_of("a").await.unwrap();
    assert_eq!(import(app, &first).await, Unchanged);
    assert_eq!(import(app, &expiring("a", 1, 90_000)).await, newer);
    let stored = connected.stored_of("a").await.unwrap();
    assert_eq!(stored.generation, refreshed.generation);

    // Tokens that the other system has refreshed since the first import, by their times.
    assert_eq!(import(app, &expiring("b", 1, 9_000)).await, Taken);
    assert_eq!(import(app, &expiring("b", 0, 8_000)).await, newer);
    assert_eq!(import(app, &made_up("b", 2)).await, newer);
    assert_eq!(import(app, &expiring("b", 2, 9_500)).await, Taken);
    assert_eq!(import(app, &expiring("b", 1, 9_000)).await, newer);

    // A user who has connected to this app.
    assert_eq!(
        import(app, &expiring("practitioner", 1, 90_000)).await,
        newer
    );
    app.forget("practitioner").await.unwrap();
    assert_eq!(import(app, &made_up("practitioner", 1)).await, Taken);

    // A user whose tokens were rejected.
    fake.end_connection("a");
    connected.expire();
    app.client("a").get_clinic().send().await.unwrap_err();
    assert_eq!(import(app, &first).await, Unchanged);
    let second = row(&other.connect(fake, "a").await);
    assert_eq!(import(app, &second).await, Taken);
    app.client("a").get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn invalid_tokens_are_refused() {
    let connected = Connected::unlimited().await;
    let token = || RefreshToken::new("refresh");
    let long = "x".repeat(1_001);
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    for tokens in [
        ImportedTokens::new("", token()),
        ImportedTokens::new("Staff/", token()),
        ImportedTokens::new("Staff/ 42", token()),
        ImportedTokens::new("42\n", token()),
        ImportedTokens::new("4\u{a0}2", token()),
        ImportedTokens::new("42\0", token()),
        ImportedTokens::new("my kind/42", token()),
        ImportedTokens::new(&long, token()),
        ImportedTokens::new("a", token()).tenant(&long),
        ImportedTokens::new("a", token()).tenant("clinic\0"),
        ImportedTokens::new("a", token()).scopes(["clinic:read\0"]),
        ImportedTokens::new("a", RefreshToken::new("")),
        ImportedTokens::new("a", RefreshToken::new("two words")),
        ImportedTokens::new("a", RefreshToken::new("line\n")),
        ImportedTokens::new("a", token()).access_token(AccessToken::new(""), far),
        ImportedTokens::new("a", token()).access_token(AccessToken::new("é"), far),
    ] {
        let outcome = import(&connected.app, &tokens).await;
        assert_eq!(
            outcome,
            ImportOutcome::Refused(ImportRefusal::Invalid),
            "{tokens:?}"
        );
    }
    // An impossible time counts as the lifetime of an access token.
    let tokens = made_up("a", 1).access_token(AccessToken::new("access"), far);
    assert_eq!(import(&connected.app, &tokens).await, ImportOutcome::Taken);
    let connection = connected.app.connection("a").await.unwrap().unwrap();
    assert_eq!(connection.expires_at, at(7_200));
    // Odd, and possible.
    let odd = ImportedTokens::new("Staff/ünï/4%2_'\"\u{1f600}", token())
        .tenant("two words")
        .scopes([
            "  Clinic:Read patients:read\tpatients:write ",
            "",
            "a",
            "clinic:read",
        ]);
    assert_eq!(import(&connected.app, &odd).await, ImportOutcome::Taken);
    let connection = connected.app.connection(odd.user.clone()).await;
    let scopes = connection.unwrap().unwrap().scopes;
    let expected = ["clinic:read", "patients:read", "patients:write", "a"];
    assert_eq!(
        scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        expected
    );
    let lacking = connected
        .app
        .connections(ConnectionFilter::new().lacks(expected));
    assert!(!lacking_users(lacking).await.contains(&odd.user));
}

async fn lacking_users(mut listed: fullscript::auth::Connections) -> Vec<UserKey> {
    let mut users = Vec::new();
    while let Some(connection) = listed.next().await {
        users.push(connection.unwrap().user);
    }
    users
}

/// The next row comes when the one before is done, as with a queue that is acknowledged.
#[tokio::test]
async fn a_stream_that_waits_for_the_outcome_of_each_row_is_imported() {
    let connected = Connected::unlimited().await;
    let (done, next) = tokio::sync::mpsc::unbounded_channel();
    done.send(()).unwrap();
    let rows = futures_util::stream::unfold((0, next), |(number, mut next)| async move {
        next.recv().await?;
        (number < 20).then(|| (made_up(&format!("user-{number}"), 1), (number + 1, next)))
    });
    let import = connected.app.import().on_outcome(move |_, _| {
        // The last row has no successor.
        let _none_left = done.send(());
    });
    let report = tokio::time::timeout(Duration::from_secs(10), import.stream(rows)).await;
    assert_eq!(report.unwrap().taken, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_finds_dead_tokens_and_those_of_another_user() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let other = Other::of(&connected);
    let mut rows = Vec::new();
    for number in 0..30 {
        let user = format!("user-{number}");
        let mut tokens = other.connect(fake, &user).await;
        match number {
            0..3 => fake.end_connection(&user),
            // The table of the other system mixes up users.
            3..5 => tokens.user = UserKey::from(format!("mixed-{number}")),
            _ => {}
        }
        rows.push(row(&tokens));
    }
    rows.push(ImportedTokens::new("empty", RefreshToken::new("")));
    let dry = app
        .import()
        .dry_run(true)
        .prove(true)
        .all(rows.clone())
        .await;
    assert_eq!((dry.read, dry.taken, dry.refused.len()), (31, 30, 1));
    assert!(connected.stored_of("user-7").await.is_none());
    assert_eq!(connected.refreshes(), 0);

    let outcomes: Arc<Mutex<BTreeMap<UserKey, ImportOutcome>>> = Arc::default();
    let listener = Arc::clone(&outcomes);
    let report = app
        .import()
        .prove(true)
        .on_outcome(move |user, outcome| {
            listener.lock().unwrap().insert(user.clone(), *outcome);
        })
        .all(rows.clone())
        .await;
    assert_eq!(
        (report.read, report.taken, report.unchanged),
        (31, 25, 0),
        "{report:?}"
    );
    let refused = BTreeMap::from([
        (ImportRefusal::Invalid, 1),
        (ImportRefusal::Rejected, 3),
        (ImportRefusal::Unusable, 2),
    ]);
    assert_eq!(report.refused, refused);
    assert_eq!(report.failures.len(), 6);
    assert!(!report.is_complete());
    assert_eq!(outcomes.lock().unwrap().len(), 31);
    assert_eq!(connected.refreshes(), 30);
    assert!(connected.stored_of("mixed-3").await.is_none());
    let mut lost = app.connections(ConnectionFilter::new().needs_reconnect(true));
    let mut found = 0;
    while let Some(connection) = lost.next().await {
        assert!(connection.unwrap().user.id().starts_with("user-"));
        found += 1;
    }
    assert_eq!(found, 3);
    for number in 5..30 {
        let client = app.client(format!("user-{number}"));
        client.get_clinic().send().await.unwrap();
    }
    assert_eq!(
        connected.refreshes(),
        30,
        "the tokens that the proof returned are used"
    );

    // Again: nothing is requested for those that are proved or dead.
    let report = app.import().prove(true).all(rows[..3].to_vec()).await;
    assert_eq!(
        report.refused,
        BTreeMap::from([(ImportRefusal::Rejected, 3)])
    );
    let report = app.import().prove(true).all(rows[5..30].to_vec()).await;
    assert_eq!(report.unchanged, 25);
    assert!(report.is_complete());
    assert_eq!(connected.refreshes(), 30);
    let text = format!("{report:?} {rows:?}");
    assert!(
        !text.contains("fake-access") && !text.contains("fake-refresh"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_whose_proof_fails_in_an_outage_are_kept_and_proved_later() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let other = Other::of(&connected);
    let mut rows = Vec::new();
    for number in 0..40 {
        rows.push(row(&other.connect(fake, &format!("user-{number}")).await));
    }
    fake.fault("create_oauth_token", Fault::status(503));
    let report = app.import().prove(true).all(rows.clone()).await;
    assert_eq!((report.unproven, report.taken), (40, 0), "{report:?}");
    assert!(report.failures.iter().all(|failure| matches!(
        failure.outcome,
        ImportOutcome::Unproven(
            RefreshFailureCause::Unreachable | RefreshFailureCause::CircuitOpen
        )
    )));
    assert!(report.refused.is_empty() && report.stopped.is_none());
    fake.end_faults();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let report = app.import().prove(true).all(rows).await;
    assert_eq!((report.unproven, report.unchanged), (0, 40), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_stops_the_import_and_a_repetition_completes_it() {
    let fake = FakeFullscript::start().await.unwrap();
    let failures = Arc::new(Failures::default());
    let store = Hooked {
        inner: MemoryStore::new(),
        hook: Arc::clone(&failures),
    };
    let app = fake.app_builder().store(store).build().unwrap();
    let failing = Arc::clone(&failures);
    let rows = |failing: Option<Arc<Failures>>| {
        (0..1_000).map(move |number| {
            if number == 500
                && let Some(failures) = &failing
            {
                failures.set(usize::MAX);
            }
            made_up(&format!("user-{number}"), 1)
        })
    };
    let report = app.import().all(rows(Some(failing))).await;
    assert!(report.stopped.as_ref().unwrap().is_store(), "{report:?}");
    assert!(report.read < 520, "{}", report.read);
    let taken = report.taken;
    assert!(taken >= 490, "{report:?}");
    failures.set(2);
    let report = app.import().all(rows(None)).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.taken, report.unchanged), (1_000 - taken, taken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_records_are_imported_into_each_store_and_repeated() {
    import_ten_thousand(MemoryStore::new(), 8).await;
    let place = Place::new();
    // Those that are saved at the same time cost one write to the disk.
    import_ten_thousand(place.open().await.unwrap(), 256).await;
}

async fn import_ten_thousand(store: impl TokenStore, concurrency: usize) {
    const USERS: u64 = 10_000;
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake
        .app_builder()
        .store(store)
        .clock(ManualClock::default());
    let app = app.build().unwrap();
    // Each tenth user stands in the table twice, with the tokens before a refresh.
    let rows = || {
        (0..USERS).flat_map(|number| {
            let user = format!("user-{number:05}");
            let old = (number % 10 == 0).then(|| expiring(&user, 0, 100));
            std::iter::once(expiring(&user, 1, 200)).chain(old)
        })
    };
    let report = app.import().concurrency(concurrency).all(rows()).await;
    // The older ones are taken too if they come first, as several are imported at a time.
    let refused = report.refused[&ImportRefusal::NewerInStore];
    assert_eq!((report.read, report.taken + refused), (11_000, 11_000));
    assert!(
        report.taken >= USERS && report.unchanged == 0,
        "{}",
        report.taken
    );
    // A tenth again is enough.
    let stream = futures_util::stream::iter(rows().take(1_100));
    let report = app.import().concurrency(64).stream(stream).await;
    assert_eq!((report.taken, report.unchanged), (0, 1_000));
    assert_eq!(report.failures.len(), 100);
    assert_eq!(fake.requests().len(), 0);
    let mut listed = app.connections(ConnectionFilter::new());
    let mut users = 0;
    while let Some(connection) = listed.next().await {
        assert_eq!(connection.unwrap().expires_at, at(200), "the newer tokens");
        users += 1;
    }
    assert_eq!(users, USERS);
}

#[tokio::test]
async fn an_imported_user_without_an_access_token_can_be_revoked() {
    for is_alive in [true, false] {
        let connected = Connected::unlimited().await;
        let (fake, app) = (&connected.fake, &connected.app);
        let other = Other::of(&connected);
        let tokens = other.connect(fake, "imported").await;
        if !is_alive {
            fake.end_connection("imported");
        }
        import(app, &without_access_token(&tokens)).await;
        app.revoke("imported").await.unwrap();
        assert!(connected.stored_of("imported").await.is_none());
        assert_eq!(fake.count("revoke_oauth_token"), 1, "by the refresh token");
        // Nothing of the user is valid at the server.
        connected.clock.advance(TWO_HOURS);
        let error = other.app.client("imported").get_clinic().send().await;
        assert!(error.unwrap_err().needs_reconnect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_during_an_import_with_proof_succeeds() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let other = Other::of(&connected);
    for number in 0..20 {
        let user = format!("user-{number}");
        let tokens = without_access_token(&other.connect(fake, &user).await);
        assert_eq!(import(app, &tokens).await, ImportOutcome::Taken);
        let client = app.client(&user);
        let (proved, called) = tokio::join!(
            app.import().prove(true).one(tokens.clone()),
            client.get_clinic().send(),
        );
        called.unwrap();
        proved.unwrap();
        client.get_clinic().send().await.unwrap();
    }
}
