//! All uses of secrets in an app, with the output that they produce.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::FromRequest;
use fullscript::auth::{
    AccessToken, AuthEvent, AuthorizationRequest, ClientSecret, ConnectionFilter, ImportedTokens,
    MemoryStore, OAuthApp, RefreshTiming, RefreshToken, StoreError, TokenSet, TokenStore,
};
use fullscript::embed::{BrowserEvent, Embed, EmbedPatient};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::http::Method;
use fullscript::postgres::PostgresStore;
use fullscript::shared_limit::{MemoryLimit, SharedLimitError};
use fullscript::sqlite::SqliteStore;
use fullscript::testing::{FakeFullscript, ManualClock, Script};
use fullscript::value::{Secret, Update};
use fullscript::webhook::{
    Claim, Delivery, EventKey, EventLog, EventLogError, Events, MemoryEventLog, NotProcessed,
    PatientCreated, Receiver, TypedEvent, sign,
};
use fullscript::{CallOptions, CallReport, Client, DriftReport, Environment, RateLimit};
use fullscript::{Clock, SystemClock};

use super::deliveries::show_deliveries;
use super::{Secrets, Shown};
use crate::support::{Act, Misbehaving, answer, consent};

/// The full life of a connection, with a server that repeats all of its input.
pub(super) async fn live(secrets: &Secrets) -> (Shown, String) {
    let mut shown = Shown::default();
    let directory = tempfile::tempdir().unwrap();
    let key = EncryptionKey::generate().unwrap();
    shown.debug(&key);
    let file = SqliteStore::open(directory.path().join("tokens.db"));
    let file = file.await.unwrap();
    shown.debug(&file);
    let elsewhere = SqliteStore::open(directory.path());
    shown.error(&elsewhere.await.unwrap_err());
    let url = format!("postgres://user:{}@host:port/database", secrets.key);
    let database = PostgresStore::builder(url);
    shown.debug(&database);
    shown.error(&database.connect().await.unwrap_err());
    let keys = KeyRing::new(key);
    shown.debug(&keys);
    shown.error(&EncryptionKey::from_text(&format!("{}!", secrets.key)).unwrap_err());
    let store = EncryptedStore::new(file.clone(), keys);
    shown.debug(&store);
    let echo = format!("{secrets:?}");
    let all = serde_json::Value::String(echo.clone());
    let json = |status, body: String| Act::Answer(answer(status, "application/json", &body));
    let issue = |suffix: &str| {
        let tokens = serde_json::json!({"oauth": {
            "access_token": format!("{}{suffix}", secrets.access),
            "refresh_token": format!("{}{suffix}", secrets.refresh),
            "expires_in": 7_200, "scope": "clinic:read",
            "resource_owner": {"id": "practitioner", "type": "Practitioner"},
        }});
        json(200, tokens.to_string())
    };
    let server = Misbehaving::start([
        issue(""),
        json(503, echo.clone()),
        json(401, echo.clone()),
        issue("2"),
        json(
            200,
            format!(r#"{{"patient":{{"id":"1","first_name":{all}}}}}"#),
        ),
        json(403, format!(r#"{{"error":{all}}}"#)),
        Act::Answer(answer(200, "text/html", &echo)),
        Act::AnswerAndClose(format!("HTTP/1.1 200 {echo}")),
        json(422, format!(r#"{{"errors":[{all}]}}"#)),
        json(401, echo.clone()),
        json(
            400,
            format!(r#"{{"error":"invalid_grant","error_description":{all}}}"#),
        ),
        json(500, echo.clone()),
    ])
    .await;
    let builder = OAuthApp::builder(Environment::UsSandbox)
        .base_url(server.url())
        .client_id("the-client")
        .client_secret(&secrets.client_secret)
        .redirect_uri("https://ehr.example/callback")
        .store(store.clone())
        .clock(ManualClock::default())
        .rate_limit(RateLimit::off())
        .pkce(true);
    shown.debug(&builder);
    let app = builder.build().unwrap();
    shown.debug(&app);
    let request = app.authorize_with(&secrets.patient).unwrap();
    shown.debug(&request);
    shown.debug(request.state());
    let state = request.state().expose().to_string();
    let url_state = state_of(&request);
    let callback = |query: &str| format!("https://ehr.example/callback?state={url_state}&{query}");
    for query in [
        "",
        "code=",
        "error=access_denied&error_description=no",
        &format!("error={}", secrets.patient),
    ] {
        shown.error(&app.callback(&callback(query), request.state()).unwrap_err());
    }
    shown.error(
        &app.callback(
            &format!("code={}&state={}", secrets.code, secrets.key),
            request.state(),
        )
        .unwrap_err(),
    );
    let code = app
        .callback(
            &callback(&format!("code={}", secrets.code)),
            request.state(),
        )
        .unwrap();
    shown.debug(&code);
    let user = app.exchange(code).await.unwrap();
    shown.debug(&user);
    let options = CallOptions::new().idempotency_key(&secrets.key);
    shown.debug(&options);
    let client = app.client(user.id()).with_options(options);
    shown.debug(&client);
    let patient = client.get_patient().id(&*secrets.patient);
    shown.debug(&patient);
    let answer = patient.send().await.unwrap();
    shown.debug(&answer);
    shown.debug(&answer.into_inner());
    for _ in 0..2 {
        let patient = client.get_patient().id(&*secrets.patient);
        shown.error(&patient.send().await.unwrap_err());
    }
    let once = client.with_options(CallOptions::new().max_attempts(1));
    let search = once.search_patients().query(&*secrets.patient);
    shown.error(&search.send().await.unwrap_err());
    let raw = once.request(Method::POST, "/api/clinic/patients");
    let raw = raw.json(&serde_json::json!({"email": secrets.patient}));
    shown.debug(&raw);
    let answer = format!(r#"{{"patients":["{}", {{"id":"1"}}]}}"#, secrets.patient);
    let decoded = fullscript::testing::decode("list_patients", answer.as_bytes()).unwrap();
    shown.debug(&decoded);
    shown.debug(&decoded.unreadable_records[0]);
    shown.debug(&decoded.issues[0]);
    shown.debug(&decoded.issues[0].kind);
    shown.error(&raw.send::<serde_json::Value>().await.unwrap_err());
    for _ in 0..2 {
        let error = client.get_clinic().send().await.unwrap_err();
        shown.error(error.auth_error().unwrap());
        shown.error(&error);
    }
    let key = format!("us-sandbox/the-client/{}", user.key());
    let record = store.load(&key).await.unwrap().unwrap();
    let tokens = TokenSet::from_record(&record).unwrap();
    shown.debug(&app.connection(user.key()).await.unwrap().unwrap());
    shown.debug(&app.connections(ConnectionFilter::new()));
    assert!(tokens.access_token.expose().contains(&secrets.access));
    shown.debug(&tokens);
    shown.debug(&tokens.access_token);
    shown.debug(tokens.refresh_token.as_ref().unwrap());
    shown.debug(&ClientSecret::new(&*secrets.client_secret));
    let request = app.authorize();
    let next = state_of(&request);
    let code = app
        .callback(
            &format!("code={}&state={next}", secrets.code),
            request.state(),
        )
        .unwrap();
    shown.error(&app.exchange(code).await.unwrap_err());
    show_the_rest(&mut shown, secrets, tokens).await;
    shown.debug(&file.event_log());
    shown.debug(&file.rate_limit());
    show_webhooks(&mut shown, secrets).await;
    show_deliveries(&mut shown, secrets).await;
    // The file contains no token.
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        shown.text += &String::from_utf8_lossy(&bytes);
    }
    (shown, state)
}

/// The state as transmitted in the URL.
fn state_of(request: &AuthorizationRequest) -> String {
    let mut query = request.url().query_pairs();
    let (_, state) = query.find(|(name, _)| name == "state").unwrap();
    state.into_owned()
}

/// Imports and jobs over all users.
async fn show_jobs(shown: &mut Shown, secrets: &Secrets, fake: &FakeFullscript) {
    let app = fake.app_builder().build().unwrap();
    let tokens = ImportedTokens::new("1", RefreshToken::new(&*secrets.refresh))
        .access_token(AccessToken::new(&*secrets.access), SystemTime::UNIX_EPOCH);
    shown.debug(&tokens);
    shown.debug(&app.import());
    let unknown = ImportedTokens::new("", RefreshToken::new(&*secrets.refresh));
    let report = app.import().prove(true).all([tokens, unknown]).await;
    assert_eq!(report.failures.len(), 2);
    shown.debug(&report);
    shown.debug(&report.failures[0]);
    shown.debug(&app.refresh_ahead(Duration::ZERO));
    let job = app.for_each_user(ConnectionFilter::new(), 1, |_| async { Err(()) });
    shown.debug(&job);
    let report = job.run().await;
    shown.debug(&report);
    shown.debug(&report.failures[0]);
    shown.debug(&report.failures[0].error);
}

/// Types that the test above does not produce.
async fn show_the_rest(shown: &mut Shown, secrets: &Secrets, tokens: TokenSet) {
    shown.debug(&tokens.user);
    shown.debug(&tokens.scopes[0]);
    shown.debug(&Secret::from(secrets.client_secret.clone()));
    shown.error(&StoreError::new(std::io::Error::other("the disk is full")));
    shown.error(&NotProcessed::<StoreError>::Claimed(SystemClock.now()));
    shown.error(&SharedLimitError::new(std::io::Error::other("locked")));
    shown.debug(&MemoryLimit::new());
    let address = format!(
        "http://{}:{}@example.com",
        secrets.client_secret, secrets.key
    );
    let builder = Client::builder(Environment::UsSandbox)
        .access_token(tokens.access_token.clone())
        .base_url(&address);
    shown.debug(&builder);
    shown.error(&builder.build().unwrap_err());
    let memory = MemoryStore::new();
    shown.debug(
        &memory
            .compare_and_swap(None, tokens.to_record())
            .await
            .unwrap(),
    );
    let mut record = tokens.to_record();
    shown.debug(&record);
    record.app.push('0');
    shown.error(&TokenSet::from_record(&record).unwrap_err());
    record.app.pop();
    shown.debug(&record.data);
    shown.debug(&memory.compare_and_swap(None, record).await.unwrap());
    shown.debug(
        &memory
            .lease("1", "me", Duration::from_secs(2))
            .await
            .unwrap(),
    );
    shown.debug(&memory);
    let timing = RefreshTiming::default();
    shown.debug(&timing);
    shown.debug(&AuthEvent::Refreshed {
        user: "1".into(),
        timing,
    });
    let fake = FakeFullscript::start().await.unwrap();
    show_jobs(shown, secrets, &fake).await;
    let silent = Misbehaving::start([Act::Silence]).await;
    let app = fake.app_builder().token_url(silent.url()).build().unwrap();
    let code = consent(&fake, &app, &secrets.patient);
    let exchanging = app.clone();
    let exchange = tokio::spawn(async move { exchanging.exchange(code).await });
    while silent.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    shown.error(&app.shutdown(Duration::ZERO).await.unwrap_err());
    exchange.abort();
    shown.error(&app.forget("1").await.unwrap_err());
    let collected: Arc<Mutex<Vec<CallReport>>> = Arc::default();
    let reports = Arc::clone(&collected);
    let drifts: Arc<Mutex<Vec<DriftReport>>> = Arc::default();
    let seen = Arc::clone(&drifts);
    let client = fake
        .client_builder()
        .on_call_end(move |report| reports.lock().unwrap().push(report.clone()))
        .on_drift(move |drift| seen.lock().unwrap().push(drift.clone()))
        .build()
        .unwrap();
    let drifted = serde_json::json!({"patient": {
        "id": "1", "gender": secrets.patient, "new": secrets.patient,
        (secrets.patient.as_str()): 1, "metadata": {(secrets.patient.as_str()): [secrets.patient]},
    }});
    fake.answer("get_patient", Script::json(200, &drifted));
    client.get_patient().id("1").await.unwrap();
    for drift in drifts.lock().unwrap().iter() {
        shown.debug(drift);
        shown.debug(&drift.kind);
        shown.text += &format!("{drift}\n");
    }
    let script = Script::json(200, &serde_json::json!(secrets.patient));
    shown.debug(&script);
    fake.answer("search_patients", script);
    let search = client.request(Method::GET, "/api/clinic/search/patients");
    let search = search.query("query", &secrets.patient).send_bytes();
    shown.debug(&search.await.unwrap().into_inner());
    shown.debug(&Update::Set(secrets.patient.clone()));
    let patient = EmbedPatient::new().email(&secrets.patient);
    shown.debug(&patient);
    let embed = Embed::new(Environment::UsSandbox, "key").patient(patient);
    shown.debug(&embed);
    let selected = serde_json::json!({
        "type": "patient.selected", "data": {"patient": {"email": secrets.patient}},
    });
    let event = BrowserEvent::from_body(selected.to_string().as_bytes());
    shown.debug(&event);
    shown.debug(&event.data);
    let grant = serde_json::json!({"id": "1", "secret_token": secrets.key, "claimed_at": "2026-01-01T00:00:00Z"});
    let grant: fullscript::types::SessionGrant = serde_json::from_value(grant).unwrap();
    shown.debug(&grant);
    shown.error(&embed.html(&grant, SystemClock.now()).unwrap_err());
    let download = client.download(&secrets.patient);
    shown.debug(&download);
    shown.error(&download.send().await.unwrap_err());
    let file = client.download(&format!("{}/api/clinic/search/patients", fake.url()));
    shown.debug(&file.send().await.unwrap().into_inner());
    shown.debug(&fake);
    shown.debug(&FakeFullscript::builder());
    shown.debug(&fake.web_app());
    shown.debug(&fake.clinic(0));
    shown.debug(&fake.requests()[0]);
    shown.debug(&collected.lock().unwrap()[0]);
    // The same page for every page number, with an e-mail address as id.
    let address = format!("{}@example.com", secrets.patient);
    let page = serde_json::json!({"patients": [{"id": address}], "meta": {"total_pages": 2}});
    fake.answer("search_patients", Script::json(200, &page));
    let mut pages = client.search_patients().query(&*secrets.patient).pages();
    shown.debug(&pages.next().await.unwrap().unwrap());
    shown.error(&pages.next().await.unwrap().unwrap_err());
    shown.debug(&pages);
    let mut items = client.search_patients().query(&*secrets.patient).items();
    shown.debug(&items.next().await.unwrap().unwrap());
    shown.debug(&items.record_json().unwrap());
    shown.debug(&items);
    let list = client.search_patients().query(&*secrets.patient);
    shown.error(&list.items().collect_all().await.unwrap_err());
}

/// A delivery about a patient, verified with the secrets of an app.
async fn show_webhooks(shown: &mut Shown, secrets: &Secrets) {
    shown.error(&Receiver::new("", &*secrets.key).unwrap_err());
    let receiver = Receiver::new(&*secrets.client_secret, &*secrets.key).unwrap();
    shown.debug(&receiver);
    let forged = axum::http::Request::post("/webhooks")
        .header("fullscript-signature", &secrets.access)
        .body(axum::body::Body::from(secrets.patient.clone()))
        .unwrap();
    let shared = Arc::new(Receiver::new(&*secrets.client_secret, &*secrets.key).unwrap());
    let rejection = Delivery::from_request(forged, &shared).await.unwrap_err();
    shown.error(&rejection);
    let now = SystemClock.now();
    let event = serde_json::json!({"event": {
        "id": "1",
        "type": "patient.created",
        "created_at": "2026-01-01T00:00:00Z",
        "data": {"patient": {"id": "2", "first_name": secrets.patient, "email": secrets.patient}},
    }});
    let body = event.to_string();
    let forged = receiver.receive(
        [("fullscript-signature", &secrets.access)],
        body.as_bytes(),
        now,
    );
    shown.error(&forged.unwrap_err());
    let signature = sign(&secrets.client_secret, now, body.as_bytes());
    let delivery = receiver.receive([("fullscript-signature", &signature)], body.as_bytes(), now);
    let delivery = delivery.unwrap();
    shown.debug(&delivery);
    shown.debug(delivery.reply());
    let event = delivery.event().unwrap();
    shown.debug(event);
    shown.debug(&event.data);
    shown.debug(&TypedEvent::<PatientCreated>::from_event(event).unwrap());
    shown.debug(&Events::<()>::new());
    let key = EventKey::from(event);
    shown.debug(&key);
    let event_log = MemoryEventLog::new();
    shown.debug(&event_log);
    let claim = event_log.claim(&key, now, now).await.unwrap();
    shown.debug(&claim);
    if let Claim::Granted(grant) = &claim {
        shown.debug(grant);
    }
    shown.error(&EventLogError::new(std::io::Error::other(
        "the disk is full",
    )));
    show_replay(shown, secrets).await;
}

/// A missed patient event, and lists that repeat their input.
async fn show_replay(shown: &mut Shown, secrets: &Secrets) {
    let fake = FakeFullscript::start().await.unwrap();
    let refused = Script::json(403, &serde_json::json!({"error": secrets.patient}));
    for list in [
        "order",
        "product",
        "treatment_plan",
        "lab_order",
        "clinic_key",
    ] {
        fake.answer(&format!("list_{list}_events"), refused.clone());
    }
    fake.answer("list_webhook_deliveries", refused);
    // Ids that do not look opaque, because an application may pass anything as an id.
    let (id, address) = (
        format!("{} 1", secrets.key),
        format!("{}@example.com", secrets.patient),
    );
    let event = serde_json::json!({"id": id, "type": "patient.created",
        "data": {"patient": {"id": address, "email": address}}});
    let listed = serde_json::json!({"events": [{"id": id}, {"id": address}]});
    fake.answer("list_patient_events", Script::json(200, &listed));
    let retrieved = Script::json(200, &serde_json::json!({ "event": event }));
    fake.answer_times("get_event", 1, retrieved);
    let gone = Script::json(404, &serde_json::json!({"error": secrets.patient}));
    fake.answer("get_event", gone);
    let events = fake.client().events(MemoryEventLog::new());
    shown.debug(&events);
    let mut replay = events.replay(fullscript::replay::Cursor::default());
    let mut counts = (0, 0);
    while let Some(next) = replay.next().await {
        shown.debug(&replay);
        match next {
            Ok(missed) => {
                shown.debug(&missed);
                counts.0 += 1;
            }
            Err(error) => {
                shown.error(&error);
                counts.1 += 1;
            }
        }
    }
    assert_eq!(counts, (1, 7));
}
