//! The memory of an idle user, and of jobs over many. This is a separate binary because its allocator counts.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use std::future::ready;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use fullscript::Environment;
use fullscript::auth::{
    AccessToken, ConnectionFilter, ConnectionRecord, ImportedTokens, Lease, OAuthApp, RefreshToken,
    Scope, StoreFuture, Swap, TokenSet, TokenStore,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The allocator counts for the whole process, so that one test measures at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The number of users that a job lists or imports.
const MANY: usize = 5_000;

/// A store without own memory: it creates each user's tokens when they are loaded.
struct Imagined;

impl TokenStore for Imagined {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        let user = key.rsplit('/').next().unwrap();
        let scopes = [
            Scope::CATALOG_READ,
            Scope::CLINIC_READ,
            Scope::CLINIC_WRITE,
            Scope::PATIENTS_READ,
            Scope::PATIENTS_WRITE,
            Scope::TREATMENT_PLAN_HISTORY,
            Scope::ORDER_HISTORY,
        ];
        let tokens = TokenSet::new(
            user,
            // As long as those in the vendor's guides.
            AccessToken::new(format!("{user:0>64}")),
            format!("{}/id", Environment::UsSandbox.name()),
            SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
            Duration::from_secs(7_200),
        )
        .refresh_token(RefreshToken::new(format!("{user:1>64}")))
        .replaced_access_token(AccessToken::new(format!("{user:2>64}")))
        .scopes(scopes.map(Scope::new));
        Box::pin(ready(Ok(Some(tokens.to_record()))))
    }

    fn compare_and_swap(&self, _: Option<u64>, _: ConnectionRecord) -> StoreFuture<'_, Swap> {
        Box::pin(ready(Ok(Swap::Done)))
    }

    fn delete<'a>(&'a self, _: &'a str, _: Option<u64>) -> StoreFuture<'a, Swap> {
        Box::pin(ready(Ok(Swap::Done)))
    }

    fn list<'a>(
        &'a self,
        _: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        Box::pin(async move {
            let number = |key: &str| key.rsplit('-').next().unwrap().parse::<usize>().unwrap();
            let start = after.map_or(0, |key| number(key) + 1);
            let mut page = Vec::with_capacity(limit);
            for number in start..MANY.min(start + limit) {
                page.extend(self.load(&id(number)).await?);
            }
            Ok(page)
        })
    }

    fn lease<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(ready(Ok(Lease::Granted)))
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}

/// A store that is empty, and forgets what it saves.
struct Empty;

impl TokenStore for Empty {
    fn load<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        Box::pin(ready(Ok(None)))
    }

    fn compare_and_swap(&self, _: Option<u64>, _: ConnectionRecord) -> StoreFuture<'_, Swap> {
        Box::pin(ready(Ok(Swap::Done)))
    }

    fn delete<'a>(&'a self, _: &'a str, _: Option<u64>) -> StoreFuture<'a, Swap> {
        Box::pin(ready(Ok(Swap::Done)))
    }

    fn list<'a>(
        &'a self,
        _: &'a ConnectionFilter,
        _: Option<&'a str>,
        _: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn lease<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> StoreFuture<'a, Lease> {
        Box::pin(ready(Ok(Lease::Granted)))
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn app(url: &str, store: impl TokenStore) -> OAuthApp {
    OAuthApp::builder(Environment::UsSandbox)
        .base_url(url)
        .client_id("id")
        .client_secret("secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .store(store)
        .build()
        .unwrap()
}

/// A server that sends the same response to every request and records none.
fn forgetful() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || answer_all(&mut stream));
        }
    });
    url
}

fn answer_all(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut read = [0; 4096];
    while stream.read(&mut read)? > 0 {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n\
              {\"clinic\":{\"id\":\"1\"}}",
        )?;
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_user_costs_a_kibibyte_at_most() {
    const USERS: usize = 1_000;
    let url = forgetful();
    let _alone = ALONE.lock().await;
    let app = app(&url, Imagined);
    let call = async |number: usize| {
        app.client(id(number)).get_clinic().send().await.unwrap();
    };
    // One-time allocations: connections, tables.
    for number in 0..10 {
        call(number).await;
    }
    let _profiler = dhat::Profiler::builder().testing().build();
    for number in 10..10 + USERS {
        call(number).await;
    }
    let bytes = dhat::HeapStats::get().curr_bytes / USERS;
    assert!(bytes <= 1_024, "{bytes} bytes a user");
    assert!(bytes >= 200, "{bytes} bytes a user: nothing was loaded");
    println!("{bytes} bytes a user");
}

#[tokio::test]
async fn jobs_over_many_users_take_the_memory_of_a_page() {
    const MIB: usize = 1 << 20;
    let _alone = ALONE.lock().await;
    let peak = || dhat::HeapStats::get().max_bytes;
    let listing = app("http://127.0.0.1:9", Imagined);
    {
        let _profiler = dhat::Profiler::builder().testing().build();
        let mut listed = listing.connections(ConnectionFilter::new());
        let mut users = 0;
        while let Some(connection) = listed.next().await {
            connection.unwrap();
            users += 1;
        }
        assert_eq!(users, MANY);
        println!("{} KiB to list {MANY} users", peak() / 1_024);
        assert!(peak() < 2 * MIB, "{}", peak());
    }
    {
        let _profiler = dhat::Profiler::builder().testing().build();
        let job = listing.for_each_user(ConnectionFilter::new(), 8, |connection| async move {
            tokio::task::yield_now().await;
            // Half of the users fail.
            let fails = connection.user.id().ends_with(['1', '3', '5', '7', '9']);
            if fails { Err([7_u8; 64]) } else { Ok(()) }
        });
        let report = job.run().await;
        assert_eq!((report.done, report.failed), (2_500, 2_500));
        println!("{} KiB to run a job for {MANY} users", peak() / 1_024);
        assert!(peak() < 2 * MIB, "{}", peak());
    }
    let importing = app("http://127.0.0.1:9", Empty);
    let _profiler = dhat::Profiler::builder().testing().build();
    let rows = (0..MANY).map(|number| {
        let token = if number % 2 == 0 {
            format!("{number:0>64}")
        } else {
            String::new()
        };
        ImportedTokens::new(id(number), RefreshToken::new(token))
    });
    let report = importing.import().all(rows).await;
    assert_eq!((report.read, report.taken), (5_000, 2_500));
    println!("{} KiB to import {MANY} users", peak() / 1_024);
    assert!(peak() < 2 * MIB, "{}", peak());
}
