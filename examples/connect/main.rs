//! A small web app: connects an account, lists patients, embeds Fullscript in a page, receives
//! webhooks.
//!
//! Without settings it runs against the embedded fake:
//!
//! ```text
//! cargo run --example connect
//! ```
//!
//! With `FULLSCRIPT_CLIENT_ID`, `FULLSCRIPT_CLIENT_SECRET`, `FULLSCRIPT_WEBHOOK_SECRET`,
//! `FULLSCRIPT_CHALLENGE_TOKEN` and `FULLSCRIPT_PUBLIC_KEY` set, it runs against the US sandbox.
//! The redirect URI in the vendor's dashboard must then be `http://localhost:4321/callback`.

#![allow(clippy::print_stdout, reason = "the example prints its address")]

mod pages;
mod settings;

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{OriginalUri, Query, State};
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use fullscript::auth::{self, AuthError, OAuthApp};
use fullscript::embed::Embed;
use fullscript::types::EventType;
use fullscript::value::OrEmpty;
use fullscript::webhook::axum::receive_once;
use fullscript::webhook::{Event, MemoryEventLog};
use fullscript::{Clock, SystemClock};
use tokio::net::TcpListener;

use settings::{Fake, Settings};

/// The state that all requests share.
struct Site {
    app: OAuthApp,
    embed: Embed,
    fake: Option<Fake>,
    /// The signed-in users by session. A real app uses its own sessions.
    sessions: Mutex<HashMap<String, String>>,
    /// The types of the received events, newest first.
    news: Mutex<Vec<String>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings::port()?)).await?;
    let port = listener.local_addr()?.port();
    let url = format!("http://localhost:{port}");
    let settings = Settings::read(&url).await?;
    let site = Arc::new(Site {
        app: settings.app,
        embed: settings.embed,
        fake: settings.fake,
        sessions: Mutex::default(),
        news: Mutex::default(),
    });
    let shared = Arc::clone(&site);
    let process = move |event| process(Arc::clone(&shared), event);
    let webhook = receive_once(settings.receiver, MemoryEventLog::new(), process);
    let routes = axum::Router::new()
        .route("/", get(home))
        .route("/connect", post(connect))
        .route("/callback", get(callback))
        .route("/patients", get(patients))
        .route("/embed", get(embed))
        .route("/disconnect", post(disconnect))
        .route("/order", post(order))
        .route("/webhooks", webhook)
        .with_state(site);
    let server = tokio::spawn(axum::serve(listener, routes).into_future());
    if let Some(fake) = settings.fake {
        fake.subscribe(format!("http://127.0.0.1:{port}/webhooks"))
            .await?;
    }
    println!("{}: open {url}", settings.server);
    server.await??;
    Ok(())
}

/// Shows the start page.
async fn home(State(site): State<Arc<Site>>, headers: HeaderMap) -> Html<String> {
    let user = site.user(&headers);
    let news = locked(&site.news).clone();
    Html(pages::home(user.is_some(), &news, site.fake.is_some()))
}

/// Makes something happen in the clinic of the fake. Its event arrives by webhook.
async fn order(State(site): State<Arc<Site>>) -> Redirect {
    if let Some(fake) = site.fake {
        fake.place_order().await;
    }
    Redirect::to("/")
}

/// Starts "Connect my Fullscript account": stores the state in a cookie, and redirects the browser
/// to Fullscript.
async fn connect(State(site): State<Arc<Site>>) -> Response {
    let request = site.app.authorize();
    let cookie = format!(
        "state={}; Path=/callback; Max-Age=600; HttpOnly; SameSite=Lax",
        request.state().expose()
    );
    let to = Redirect::to(request.url().as_str());
    (AppendHeaders([(SET_COOKIE, cookie)]), to).into_response()
}

/// Handles the request to the redirect URI: exchanges the code, and starts a session.
async fn callback(
    State(site): State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let stored = cookie(&headers, "state").unwrap_or_default();
    let code = auth::State::from_text(&stored)
        .and_then(|state| site.app.callback(&uri.to_string(), &state));
    let code = match code {
        Ok(code) => code,
        Err(error) => return connection_failed(&error),
    };
    match site.app.exchange(code).await {
        Ok(user) => {
            let session = settings::random_text();
            locked(&site.sessions).insert(session.clone(), user.key().to_string());
            let session = format!("session={session}; Path=/; HttpOnly; SameSite=Lax");
            let expired = "state=; Path=/callback; Max-Age=0".to_string();
            let cookies = AppendHeaders([(SET_COOKIE, session), (SET_COOKIE, expired)]);
            (cookies, Redirect::to("/patients")).into_response()
        }
        Err(error) => connection_failed(&error),
    }
}

/// Shows a page of patients.
async fn patients(
    State(site): State<Arc<Site>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let Some(user) = site.user(&headers) else {
        return Redirect::to("/").into_response();
    };
    let number = query
        .get("page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(1_i64);
    let client = site.app.client(&user);
    let mut list = client
        .list_patients()
        .page_number(number)
        .page_size(20)
        .pages();
    match list.next().await {
        Some(Ok(page)) => {
            let next = page.next_number();
            let names = page.items().iter().map(|patient| {
                let (first, last) = (patient.first_name.or_empty(), patient.last_name.or_empty());
                format!("{first} {last}").trim().to_string()
            });
            Html(pages::patients(&names.collect::<Vec<_>>(), next)).into_response()
        }
        Some(Err(error)) => site.error_page(&user, &error),
        None => Html(pages::patients(&[], None)).into_response(),
    }
}

/// Shows Fullscript in a page. Each page view gets a new session grant, which is not stored.
async fn embed(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let Some(user) = site.user(&headers) else {
        return Redirect::to("/").into_response();
    };
    let client = site.app.client(&user);
    match client.create_session_grant().await {
        Ok(grant) => match site.embed.html(&grant, SystemClock.now()) {
            Ok(html) => ([(CACHE_CONTROL, "no-store")], Html(pages::embed(&html))).into_response(),
            Err(error) => {
                log(&error);
                let text = "Fullscript could not be opened. Please try again.";
                Html(pages::notice(text)).into_response()
            }
        },
        Err(error) => site.error_page(&user, &error),
    }
}

/// Processes an event, once even if it is delivered several times.
async fn process(site: Arc<Site>, event: Event) -> Result<(), Infallible> {
    let news = event.type_.as_ref().map_or("an event", EventType::as_str);
    locked(&site.news).insert(0, news.to_string());
    Ok(())
}

/// Disconnects the user, here and at Fullscript.
async fn disconnect(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(user) = site.user(&headers) {
        if let Err(error) = site.app.revoke(&user).await {
            return connection_failed(&error);
        }
        site.sign_out(&user);
    }
    Redirect::to("/").into_response()
}

impl Site {
    /// Returns the user of the browser's session.
    fn user(&self, headers: &HeaderMap) -> Option<String> {
        let session = cookie(headers, "session")?;
        locked(&self.sessions).get(&session).cloned()
    }

    fn sign_out(&self, user: &str) {
        locked(&self.sessions).retain(|_, signed_in| signed_in != user);
    }

    /// Shows the error of a call; a disconnected user is asked to connect again.
    fn error_page(&self, user: &str, error: &fullscript::Error) -> Response {
        if error.needs_reconnect() {
            self.sign_out(user);
            return Html(pages::reconnect()).into_response();
        }
        log(error);
        let page = Html(pages::notice(&pages::of_call(error)));
        (StatusCode::BAD_GATEWAY, page).into_response()
    }
}

/// Shows why a connection was not made or ended.
fn connection_failed(error: &AuthError) -> Response {
    log(error);
    let status = if error.is_denied() {
        StatusCode::OK
    } else if error.is_transient() {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::BAD_REQUEST
    };
    (status, Html(pages::notice(pages::of_connection(error)))).into_response()
}

/// Prints an error for the developer. Its text contains no token and no patient data.
fn log(error: &dyn Error) {
    eprintln!("{error}");
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(own, _)| *own == name)?;
    Some(value.to_string())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
