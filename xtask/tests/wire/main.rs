//! Each kind of parameter is sent as the document describes it, and fields that are not declared
//! survive: a client that is generated from `parameters.json` calls a server that records the
//! requests.
//!
//! Takes more than 10 s, because it compiles the generated client.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use xtask::codegen::generate;
use xtask::normalize::derive;
use xtask::trial::Trial;

const OVERLAY: &str = "overlay: 1.0.0\ninfo: {title: none, version: 1.0.0}\nactions: []\n";

#[test]
fn each_kind_of_parameter_is_sent_under_its_own_name() {
    let document: Value = serde_json::from_str(include_str!("parameters.json")).unwrap();
    let derived = derive(&document, OVERLAY).unwrap();
    let generated = generate(&derived.document.to_string()).unwrap();
    let mut trial = Trial::of(&generated).unwrap();
    trial.add("src/bin/calls.rs", include_str!("calls.rs"));
    let output = trial.run(&["run", "--quiet", "--bin", "calls"]).unwrap();
    let sent = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sent}{stderr}");
    let decoded = |line: &str| {
        let line = percent_encoding::percent_decode_str(line);
        line.decode_utf8().unwrap().into_owned()
    };
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for line in sent.lines() {
        let (request, headers) = line.rsplit_once(' ').map_or((line, ""), |_| {
            let mut parts = line.splitn(3, ' ');
            let length = parts.next().unwrap().len() + 1 + parts.next().unwrap().len();
            (&line[..length], line[length..].trim())
        });
        let (path, query) = request.split_once('?').unwrap_or((request, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .map(|pair| decoded(&pair.replace('+', " ")))
            .collect();
        pairs.sort();
        if !headers.is_empty() {
            pairs.push(headers.to_string());
        }
        lines.push((path.to_string(), pairs));
    }
    let expected: &[(&str, &[&str])] = &[
        (
            "GET /deep",
            &[
                "filter[and][status]=x",
                "filter[created][gte]=a",
                "filter[created][lte]=2026-01-31",
                "filter[ids][]=1",
                "filter[ids][]=2",
                "filter[tags][k]=v",
                "gte=plain",
            ],
        ),
        (
            "GET /free",
            &["group[a b]=&", "group[cloud]=aws", "needed[n]=2", "x=1"],
        ),
        (
            "GET /signs",
            &[
                "$filter=4",
                "DateCreated<=1",
                "DateCreated=3",
                "DateCreated>=2",
                "filter=5",
                "type=6",
                "日本=7",
            ],
        ),
        (
            "POST /names",
            &[
                "body=3",
                "client=4",
                "encode_path=6",
                "header_map=7",
                "new=2",
                "request=5",
                "send=1",
                "value: 10 x-same: 8 x_same: 9",
            ],
        ),
        ("PUT /path/a/of/b/c", &[""]),
        ("GET /twin/1", &[""]),
        ("GET /twin/2", &[""]),
        (
            "GET /stray%20%7Bbrace/1/%7D",
            &["created=1", "created[gt]=2"],
        ),
        (
            "GET /lists",
            &["ids=1", "ids=2", "ids[]=3", "joined=a,b", "numbers=7"],
        ),
    ];
    assert_eq!(lines.len(), expected.len(), "{sent}");
    for ((path, pairs), (wanted, query)) in lines.iter().zip(expected) {
        assert_eq!(path, wanted);
        assert_eq!(pairs, query, "{path}");
    }
}
