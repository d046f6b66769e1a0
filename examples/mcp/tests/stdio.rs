//! The server, driven by an MCP client over stdio.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::process::Command;

/// A person in front of an MCP client, and what they were asked.
#[derive(Clone)]
struct Person {
    answer: ElicitResult,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("person", "1"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        if let ElicitRequestParams::FormElicitationParams { message, .. } = request {
            self.asked.lock().unwrap().push(message);
        }
        Ok(self.answer.clone())
    }
}

/// Starts the server with an audit of its own.
fn server(audit: &str) -> (TokioChildProcess, PathBuf) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(audit);
    let _absent = std::fs::remove_file(&path);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp"));
    command
        .env("FULLSCRIPT_AUDIT", &path)
        .env_remove("FULLSCRIPT_TOKEN");
    (TokioChildProcess::new(command).unwrap(), path)
}

fn person(answer: ElicitResult) -> Person {
    Person {
        answer,
        asked: Arc::default(),
    }
}

async fn call<C: rmcp::Service<RoleClient>>(
    client: &RunningService<RoleClient, C>,
    name: &'static str,
    arguments: Value,
) -> CallToolResult {
    let arguments = arguments.as_object().cloned().unwrap();
    let request = CallToolRequestParams::new(name).with_arguments(arguments);
    client.peer().call_tool(request).await.unwrap()
}

fn text(result: &CallToolResult) -> &str {
    assert_eq!(result.is_error, Some(true));
    &result.content[0].as_text().unwrap().text
}

fn plan(patient: &Value, variant: &Value) -> Value {
    json!({"patient_id": patient, "body": {
        "state": "draft",
        "recommendations": [{"variant_id": variant, "units_to_purchase": 1}],
        "personal_message": "Zq9 message",
    }})
}

#[tokio::test]
async fn a_client_lists_tools_reads_masked_patients_and_drafts_a_plan_after_confirmation() {
    let (process, audit) = server("confirmed.jsonl");
    let yes = ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": true}));
    let person = person(yes);
    let asked = person.asked.clone();
    let client = person.serve(process).await.unwrap();

    let tools = client.peer().list_all_tools().await.unwrap();
    let writes = tools.iter().filter(|tool| {
        let annotations = tool.annotations.as_ref().unwrap();
        annotations.read_only_hint != Some(true)
    });
    let writes: Vec<_> = writes.map(|tool| tool.name.as_ref()).collect();
    assert_eq!(writes, ["create_treatment_plan"]);
    assert!(tools.iter().any(|tool| tool.name == "list_patients"));

    let patients = call(&client, "list_patients", json!({"page_size": 2})).await;
    let patients = patients.structured_content.unwrap();
    let patient = &patients["patients"][0];
    assert!(
        patient["id"].is_string() && patient["email"].is_null(),
        "{patients}"
    );
    assert!(asked.lock().unwrap().is_empty());

    let products = call(&client, "list_products", json!({"page_size": 1})).await;
    let products = products.structured_content.unwrap();
    let variant = &products["products"][0]["primary_variant"]["id"];
    let plan = plan(&patient["id"], variant);
    let drafted = call(&client, "create_treatment_plan", plan).await;
    let drafted = drafted
        .structured_content
        .unwrap_or_else(|| panic!("{:?}", drafted.content));
    assert_eq!(drafted["treatment_plan"]["state"], "draft", "{drafted}");
    assert_eq!(drafted["treatment_plan"]["personal_message"], Value::Null);
    {
        let asked = asked.lock().unwrap();
        assert!(asked[0].contains("Create a plan for a patient") && asked.len() == 1);
        assert!(asked[0].contains("\"state\": \"draft\""), "{}", asked[0]);
    }

    // What a model gets wrong is a result that it can read.
    let missing = call(&client, "get_patient", json!({})).await;
    assert_eq!(text(&missing), "get_patient: not sent: `id` is missing");
    let forbidden = call(&client, "create_patient", json!({})).await;
    assert!(text(&forbidden).contains("not allowed"));
    let unknown = call(&client, "Zq9", json!({"Zq9": 1})).await;
    assert_eq!(text(&unknown), "not sent: no tool has this name");
    client.cancel().await.unwrap();

    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(!audit.contains("Zq9"), "{audit}");
    let lines = audit
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines
        .map(|line| json!([line["tool"], line["arguments"], line["outcome"]]))
        .collect();
    assert_eq!(
        lines,
        [
            json!(["list_patients", ["page_size"], "ok"]),
            json!(["list_products", ["page_size"], "ok"]),
            json!(["create_treatment_plan", ["body", "patient_id"], "ok"]),
            json!(["get_patient", [], "failed"]),
            json!(["unknown", [], "failed"]),
            json!(["unknown", [], "failed"]),
        ]
    );
}

#[tokio::test]
async fn a_write_that_a_person_does_not_confirm_is_not_made() {
    let (process, audit) = server("refused.jsonl");
    let refusals = [
        ElicitResult::new(ElicitationAction::Decline),
        ElicitResult::new(ElicitationAction::Cancel),
        ElicitResult::new(ElicitationAction::Accept),
        ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": false})),
        ElicitResult::new(ElicitationAction::Accept).with_content(json!({"confirm": "yes"})),
    ];
    let mut processes = vec![(process, audit)];
    processes.extend((1..refusals.len()).map(|at| server(&format!("refused-{at}.jsonl"))));
    for (answer, (process, audit)) in refusals.into_iter().zip(processes) {
        let client = person(answer).serve(process).await.unwrap();
        let patients = call(&client, "list_patients", json!({})).await;
        let patients = patients.structured_content.unwrap();
        let patient = &patients["patients"][0]["id"];
        let before = json!({"patient_id": patient});
        let plans = call(&client, "list_patient_treatment_plans", before.clone()).await;
        let refused = call(&client, "create_treatment_plan", plan(patient, &json!("1"))).await;
        assert_eq!(
            text(&refused),
            "create_treatment_plan: not sent: a person did not confirm the call"
        );
        let after = call(&client, "list_patient_treatment_plans", before).await;
        assert_eq!(after.structured_content, plans.structured_content);
        client.cancel().await.unwrap();
        let audit = std::fs::read_to_string(audit).unwrap();
        assert!(audit.contains("not confirmed"), "{audit}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_a_person_makes_no_write() {
    let (process, _audit) = server("unable.jsonl");
    // A client without a handler.
    let client = ().serve(process).await.unwrap();
    let refused = call(
        &client,
        "create_treatment_plan",
        plan(&json!("1"), &json!("1")),
    )
    .await;
    assert!(text(&refused).contains("did not confirm"));
    client.cancel().await.unwrap();
}
