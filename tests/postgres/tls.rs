//! TLS to the server: the certificate and the host name are verified.

use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fullscript::postgres::{PostgresError, PostgresStore};
use tokio_postgres::NoTls;

use crate::cluster::{Cluster, shared};

/// Lets the server use a certificate for `localhost`, and returns it.
async fn enable_tls(cluster: &Cluster) -> String {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let certificate = pem("CERTIFICATE", signed.cert.der());
    let [certificate_file, key_file] =
        ["server.crt", "server.key"].map(|name| cluster.directory.join(name));
    std::fs::write(&certificate_file, &certificate).unwrap();
    let key = pem("PRIVATE KEY", &signed.signing_key.serialize_der());
    std::fs::write(&key_file, key).unwrap();
    cluster.command("own");
    let sql = [
        format!(
            "ALTER SYSTEM SET ssl_cert_file = '{}'",
            certificate_file.display()
        ),
        format!("ALTER SYSTEM SET ssl_key_file = '{}'", key_file.display()),
        "ALTER SYSTEM SET ssl = on".to_string(),
        "SELECT pg_reload_conf()".to_string(),
    ];
    cluster.run_sql(&sql.join(";;")).await;
    certificate
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[tokio::test]
async fn only_a_server_with_a_verified_certificate_and_name_is_used() {
    let Some(cluster) = shared() else { return };
    let certificate = enable_tls(cluster).await;
    let schema = cluster.new_schema();
    let at = |host: &str, rest: &str| {
        let url = format!("postgres://postgres@{host}:{}/postgres{rest}", cluster.port);
        PostgresStore::builder(url).schema(&schema)
    };
    let trusted = at("localhost", "?sslmode=verify-full").root_certificates(certificate.clone());
    // The server reads its settings soon.
    while trusted
        .migrate()
        .await
        .is_err_and(|error| is_about_tls(&error))
    {
        tokio::task::yield_now().await;
    }
    trusted.connect().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&cluster.direct(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let sql = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
               WHERE s.ssl AND a.application_name = 'fullscript'";
    let store = trusted.connect().await.unwrap();
    let encrypted: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(encrypted > 0);
    drop(store);
    for refused in [
        at("localhost", "?sslmode=require"),
        at("127.0.0.1", "?sslmode=require").root_certificates(certificate),
    ] {
        let error = refused.connect().await.unwrap_err();
        assert!(is_about_tls(&error) && !error.is_transient(), "{error:?}");
        assert!(
            error.source().unwrap().to_string().contains("certificate"),
            "{error:?}"
        );
    }
    // PgBouncer has no TLS.
    let url = cluster.pooled() + "?sslmode=require";
    let error = PostgresStore::connect(url).await.unwrap_err();
    assert!(is_about_tls(&error), "{error:?}");
}

fn is_about_tls(error: &PostgresError) -> bool {
    error.to_string().contains("TLS handshake failed")
}
