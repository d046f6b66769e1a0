//! The application's own reference of a connection.

use fullscript::auth::{ConnectionFilter, OAuthApp, Scope};
use fullscript::testing::Fault;

use crate::support::{Connected, connect, consent};

async fn tenant(app: &OAuthApp) -> Option<String> {
    let connection = app.connection("practitioner").await.unwrap();
    connection.unwrap().tenant
}

#[tokio::test]
async fn a_tenant_is_kept_over_refreshes_and_reconnects_and_can_be_changed() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    assert_eq!(tenant(app).await, None);
    let code = consent(fake, app, "practitioner").tenant("clinic-7");
    app.exchange(code).await.unwrap();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    connected.expire();
    client.get_clinic().send().await.unwrap();
    assert_eq!(tenant(app).await.as_deref(), Some("clinic-7"));
    connect(fake, app, "practitioner").await;
    assert_eq!(tenant(app).await.as_deref(), Some("clinic-7"));
    let code = consent(fake, app, "practitioner").tenant("clinic-8");
    app.exchange(code).await.unwrap();
    assert_eq!(tenant(app).await.as_deref(), Some("clinic-8"));

    let before = connected.stored().await.generation;
    for set in [Some("clinic-9"), Some("clinic-9"), None, Some("")] {
        app.set_tenant("practitioner", set).await.unwrap();
        assert_eq!(tenant(app).await.as_deref(), set);
    }
    assert_eq!(connected.stored().await.generation, before);
    client.get_clinic().send().await.unwrap();
    app.set_tenant("practitioner", Some("clinic-7"))
        .await
        .unwrap();
    let filter = ConnectionFilter::new().tenant("clinic-7");
    let found = app.connections(filter).next().await.unwrap().unwrap();
    assert_eq!(found.user.id(), "practitioner");
    let error = app.set_tenant("nobody", Some("1")).await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_set_during_a_refresh_of_another_process_is_not_lost() {
    let connected = Connected::unlimited().await;
    let other = connected.another().build().unwrap();
    for round in 0..20 {
        connected.expire();
        let before = connected.stored().await.generation;
        let set = round.to_string();
        let client = connected.app.client("practitioner");
        let (called, changed) = tokio::join!(
            client.get_clinic().send(),
            other.set_tenant("practitioner", Some(&set))
        );
        called.unwrap();
        changed.unwrap();
        let stored = connected.stored().await;
        assert_eq!(stored.tenant, Some(set), "round {round}");
        assert_eq!(stored.generation, before + 1, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_change_of_the_tenant_gets_its_tokens() {
    let connected = Connected::unlimited().await;
    let other = connected.another().build().unwrap();
    // Neither process has cached tokens when the calls start.
    let fresh = connected.another().build().unwrap();
    let client = fresh.client("practitioner");
    let (changed, called, both) = tokio::join!(
        fresh.set_tenant("practitioner", Some("a")),
        client.get_clinic().send(),
        other.set_tenant("practitioner", Some("b")),
    );
    changed.unwrap();
    called.unwrap();
    both.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clinic_leads_to_a_client_of_one_of_its_users() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let clinic = fake.clinic(0).id();
    let found = async |scopes: &[&str]| {
        let client = app.client_for_tenant(&clinic, scopes.iter().copied()).await;
        let client = client.unwrap()?;
        client.get_clinic().send().await.unwrap();
        let user = fake.requests().pop().unwrap().headers;
        Some(
            user.into_iter()
                .find(|(name, _)| name == "authorization")
                .unwrap()
                .1,
        )
    };
    // Nobody has stored the clinic.
    assert_eq!(found(&[]).await, None);
    for user in ["user-1", "user-2", "user-3"] {
        let scopes = [Scope::CLINIC_READ, Scope::PATIENTS_READ];
        fake.grant_scopes(if user == "user-3" {
            &scopes[..]
        } else {
            &scopes[..1]
        });
        connect(fake, app, user).await;
        let clinic = app
            .client(user)
            .get_clinic()
            .await
            .unwrap()
            .into_inner()
            .clinic;
        app.set_tenant(user, Some(clinic.id.as_str()))
            .await
            .unwrap();
    }
    let token = |user: &str| {
        let store = &connected;
        let user = user.to_owned();
        async move {
            Some(format!(
                "Bearer {}",
                store.stored_of(user).await.unwrap().access_token.expose()
            ))
        }
    };
    // The first user, or the one with the scopes.
    assert_eq!(found(&[]).await, token("user-1").await);
    assert_eq!(found(&[Scope::PATIENTS_READ]).await, token("user-3").await);
    assert_eq!(found(&[Scope::ORDER_HISTORY]).await, None);
    assert!(
        app.client_for_tenant("elsewhere", [""; 0])
            .await
            .unwrap()
            .is_none()
    );
    // A user whose refresh fails is the second choice.
    connected.expire();
    fake.fault("create_oauth_token", Fault::status(503));
    app.client("user-1").get_clinic().await.unwrap_err();
    fake.end_faults();
    assert_eq!(found(&[]).await, token("user-2").await);
    // A disconnected user is no choice.
    fake.end_connection("user-2");
    fake.expire_access_tokens();
    app.client("user-2").get_clinic().await.unwrap_err();
    app.client("user-3").get_clinic().await.unwrap();
    assert_eq!(found(&[]).await, token("user-3").await);
    app.forget("user-3").await.unwrap();
    assert!(
        app.client_for_tenant(&clinic, [""; 0])
            .await
            .unwrap()
            .is_some(),
        "user-1 is left"
    );
    app.forget("user-1").await.unwrap();
    assert!(
        app.client_for_tenant(&clinic, [""; 0])
            .await
            .unwrap()
            .is_none()
    );
}
