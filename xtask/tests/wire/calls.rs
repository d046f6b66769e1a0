//! Calls a server with each kind of parameter and prints the request lines. A part of the test
//! `wire`, compiled with the generated client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use fullscript::types::{NamesRequest, VariablesRequest};
use fullscript::value::Decimal;
use fullscript::{AccessToken, Client, Environment};

/// Fields that are not declared survive, also beside values that do not fit.
fn open_objects_are_kept() {
    let large = "18446744073709551615";
    let sent = format!(
        r#"{{"id": "1", "amount": 19.5, "b": "x", "new": {{"deep": [1, null]}}, "large": {large},
            "parts": [{{"id": "p", "one": 1, "odd": "text"}}]}}"#
    );
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    let back = fullscript::round_trip::round_trip("open", 200, &sent).unwrap();
    assert_eq!(back, sent);
    let odd = br#"{"id": {}, "amount": "1.50", "b": [], "parts": {"id": "p", "x": 2}}"#;
    let decoded = fullscript::round_trip::decode("open", odd).unwrap();
    let kept = serde_json::json!({"amount": "1.50", "b": [], "parts": [{"id": "p", "x": 2}]});
    assert_eq!(decoded.value, kept);
    assert_eq!(decoded.issues.len(), 2, "{:?}", decoded.issues);
}

fn main() {
    open_objects_are_kept();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(&listener));
    let client = Client::builder(Environment::UsSandbox)
        .base_url(format!("http://{address}"))
        .access_token(AccessToken::new("t"))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let deep = client.deep().filter_created_gte("a").filter_created_lte("2026-01-31".parse::<fullscript::value::Date>().unwrap());
        let deep = deep.filter_ids(["1", "2"]).filter_and([("status", "x")]);
        deep.filter_tags([("k", "v")]).gte("plain").await.unwrap();
        let free = client.free().group([("cloud", "aws"), ("a b", "&")]);
        free.rest([("x", "1")]).needed([("n", "2")]).await.unwrap();
        let signs = client.signs().date_created_lt("1").date_created_gt("2").date_created("3");
        let signs = signs.filter("4").filter2("5").type_("6");
        signs.unnamed("7").await.unwrap();
        let names = client.names().send_("1").new_("2").body_query("3").client("4").request("5");
        let names = names.encode_path_query("6").header_map_query("7");
        let names = names.x_same("8").x_same2("9").value("10");
        names.body(NamesRequest::new().name("n")).await.unwrap();
        let variables = client.variables().id("a").id2("b").body_path("c");
        variables.body(VariablesRequest::new()).await.unwrap();
        client.one().id("1").await.unwrap();
        client.other().id("2").await.unwrap();
        let stray = client.stray().id("1").created("1");
        stray.created2([("gt", "2")]).await.unwrap();
        let lists = client.lists().ids(["1", "2"]).ids2(["3"]).joined("a,b");
        lists.numbers([Decimal::from(7)]).await.unwrap();
    });
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut writer = stream;
            loop {
                let (mut head, mut length) = (Vec::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    let line = line.trim_end().to_string();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push(line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let known = ["x-same:", "x_same:", "value:"];
                let own = head[1..].iter().filter(|line| known.iter().any(|name| line.starts_with(name)));
                let mut own: Vec<&str> = own.map(String::as_str).collect();
                own.sort_unstable();
                println!("{} {}", head[0].trim_end_matches(" HTTP/1.1"), own.join(" "));
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                writer.write_all(answer.as_bytes()).unwrap();
            }
        });
    }
}
