//! Calls the read operations of an environment.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use fullscript::operations::{self, Operation};
use fullscript::reqwest::Method;
use fullscript::testing::decode;
use fullscript::{AccessToken, CallOptions, Client, ClientBuilder, DriftReport};
use serde_json::{Value, json};

use super::report::{Facts, document, form, without_indexes};

/// An id that no object has.
const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// What is called.
pub(crate) struct Survey {
    /// The scopes of the token. `None`: all operations are called.
    pub(crate) scopes: Option<Vec<String>>,
    /// Whether a treatment plan is created and canceled.
    pub(crate) with_draft: bool,
}

impl Survey {
    /// Calls the operations and returns the report.
    pub(crate) async fn run(
        &self,
        builder: &dyn Fn() -> ClientBuilder,
        token: AccessToken,
    ) -> Value {
        let drifts: Arc<Mutex<Vec<DriftReport>>> = Arc::default();
        let seen = Arc::clone(&drifts);
        let once = CallOptions::new().max_attempts(1);
        let client = builder()
            .access_token(token)
            .options(once.clone())
            .on_drift(move |drift| seen.lock().unwrap().push(drift.clone()))
            .build()
            .unwrap();
        let stranger = builder()
            .access_token(AccessToken::new("not-a-token"))
            .options(once)
            .build()
            .unwrap();
        let mut run = Run {
            client,
            document: document(),
            ids: Ids::default(),
            facts: BTreeMap::new(),
        };
        // Lists come before the operations that need an id from them.
        let mut reads: Vec<&'static Operation> = operations::all()
            .iter()
            .filter(|it| it.method == "GET" && it.authenticated)
            .collect();
        reads.sort_by_key(|it| (it.path.matches('{').count(), !it.paged, it.id));
        for operation in reads {
            if self.may_call(operation) {
                run.read(operation).await;
            } else {
                run.of(operation).skipped = Some("the token lacks a scope");
            }
        }
        run.unauthorized(&stranger).await;
        if self.with_draft {
            run.draft().await;
        }
        for drift in drifts.lock().unwrap().iter() {
            let facts = run.facts.entry(drift.operation_id).or_default();
            let text = drift.to_string();
            let (_, text) = text.split_once(": ").unwrap();
            facts.drift.insert(text.into());
        }
        let facts = run.facts.into_iter();
        let facts: serde_json::Map<_, _> = facts
            .map(|(id, facts)| (id.to_string(), facts.into_json()))
            .collect();
        json!({ "crate": env!("CARGO_PKG_VERSION"), "operations": facts })
    }

    fn may_call(&self, operation: &Operation) -> bool {
        let Some(own) = &self.scopes else {
            return true;
        };
        let has = |scope: &&str| own.iter().any(|own| own == scope);
        let mut ways = operation.scopes.iter();
        operation.scopes.is_empty() || ways.any(|needed| needed.iter().all(&has))
    }
}

/// A survey under way.
struct Run {
    client: Client,
    document: Value,
    ids: Ids,
    facts: BTreeMap<&'static str, Facts>,
}

/// The parts of a response that a survey uses. They stay in memory.
struct Answer {
    status: Option<u16>,
    body: Vec<u8>,
    json: Value,
}

impl Run {
    fn of(&mut self, operation: &Operation) -> &mut Facts {
        self.facts.entry(operation.id).or_default()
    }

    async fn read(&mut self, operation: &'static Operation) {
        let Some(path) = self.ids.path(operation) else {
            self.of(operation).skipped = Some("the environment has no object for it");
            return;
        };
        let first = self.call(operation, &path, &[]).await;
        let Some(status) = first.status else {
            self.of(operation).skipped = Some("no response");
            return;
        };
        self.of(operation).status = Some(status);
        if (200..300).contains(&status) {
            self.ids.note(&path, &first.json);
            if operation.paged {
                self.pages(operation, &path, &first.json).await;
            }
        } else {
            self.of(operation).errors.insert(status, form(&first.body));
        }
        if let Some((before, _)) = operation.path.split_once("{id}") {
            let path = self.ids.fill(before).map(|before| before + UNKNOWN_ID);
            if let Some(path) = path {
                let missing = self.call(operation, &path, &[]).await;
                if let Some(status) = missing.status {
                    self.of(operation)
                        .errors
                        .insert(status, form(&missing.body));
                }
            }
        }
    }

    /// Reads two pages of one record each.
    async fn pages(&mut self, operation: &'static Operation, path: &str, whole: &Value) {
        let mut pages = Vec::new();
        for number in ["1", "2"] {
            let query = [("page[size]", "1"), ("page[number]", number)];
            pages.push(self.call(operation, path, &query).await.json);
        }
        let [one, two] = [&pages[0], &pages[1]].map(records);
        let mut found = Vec::new();
        let mut note = |is: bool, text: &'static str| found.extend(is.then_some(text));
        note(whole.get("meta").is_none(), "the response has no `meta`");
        note(one.len() > 1, "`page[size]` is not honored");
        note(
            !one.is_empty() && one == two,
            "the second page repeats the first",
        );
        let number = |page: &Value, name: &str| {
            let value = &page["meta"][name];
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        note(
            number(&pages[1], "current_page").is_some_and(|current| current != 2),
            "`meta.current_page` is not the requested page",
        );
        let (count, total) = (
            number(&pages[0], "total_count"),
            number(&pages[0], "total_pages"),
        );
        note(
            one.len() == 1 && count.is_some() && count != total,
            "`meta.total_pages` does not follow from `meta.total_count`",
        );
        self.of(operation).paging = found;
    }

    async fn call(
        &mut self,
        operation: &'static Operation,
        path: &str,
        query: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.client.request(Method::GET, path);
        for (name, value) in query {
            request = request.query(name, value);
        }
        let sent = request.send::<Value>().await;
        let facts = self.facts.entry(operation.id).or_default();
        let answer = match &sent {
            Ok(response) => {
                facts.note_headers(response.headers());
                Answer {
                    status: Some(response.status().as_u16()),
                    body: response.body().to_vec(),
                    json: Value::clone(response),
                }
            }
            Err(error) => {
                error
                    .headers()
                    .into_iter()
                    .for_each(|it| facts.note_headers(it));
                Answer {
                    status: error.status().map(|it| it.as_u16()),
                    body: error.body().unwrap_or_default().to_vec(),
                    json: Value::Null,
                }
            }
        };
        if answer
            .status
            .is_some_and(|status| (200..300).contains(&status))
        {
            facts.note_fields(&self.document, operation, &answer.json);
            match decode(operation.id, &answer.body) {
                Ok(decoded) => {
                    let issues = decoded.issues.iter();
                    facts
                        .drift
                        .extend(issues.map(|it| without_indexes(&it.to_string())));
                }
                Err(_) => {
                    facts.drift.insert("the response cannot be decoded".into());
                }
            }
        }
        answer
    }

    /// Notes the form of the error for a token that the server does not know.
    async fn unauthorized(&mut self, stranger: &Client) {
        let Err(error) = stranger.get_clinic().await else {
            return;
        };
        if let Some(status) = error.status() {
            let facts = self.facts.entry("get_clinic").or_default();
            let form = form(error.body().unwrap_or_default());
            facts.errors.insert(status.as_u16(), form);
        }
    }

    /// Creates a treatment plan as a draft, and cancels it.
    async fn draft(&mut self) {
        let [create, cancel] = ["create_treatment_plan", "cancel_treatment_plan"]
            .map(|id| operations::find(id).unwrap());
        let variant = self.ids.first("variants").cloned();
        let (Some(path), Some(variant)) = (self.ids.path(create), variant) else {
            self.of(create).skipped = Some("the environment has no patient or no product");
            return;
        };
        let plan = json!({
            "state": "draft",
            "recommendations": [{"variant_id": variant, "units_to_purchase": 1}],
        });
        let request = self.client.request(Method::POST, &path).json(&plan);
        let created = request.send::<Value>().await;
        let id = created.as_ref().ok();
        let id = id.and_then(|created| created["treatment_plan"]["id"].as_str().map(String::from));
        self.note(create, created);
        if let Some(id) = id {
            let path = cancel.path.replace("{id}", &id);
            let request = self.client.request(cancel.method.parse().unwrap(), &path);
            let canceled = request.send::<Value>().await;
            self.note(cancel, canceled);
        }
    }

    fn note(
        &mut self,
        operation: &'static Operation,
        sent: Result<fullscript::Response<Value>, fullscript::Error>,
    ) {
        let facts = self.facts.entry(operation.id).or_default();
        match sent {
            Ok(response) => {
                facts.status = Some(response.status().as_u16());
                facts.note_headers(response.headers());
            }
            Err(error) => {
                facts.status = error.status().map(|it| it.as_u16());
                if let Some(status) = facts.status {
                    facts
                        .errors
                        .insert(status, form(error.body().unwrap_or_default()));
                }
            }
        }
    }
}

/// Returns the records of a list response.
fn records(page: &Value) -> &[Value] {
    let fields = page.as_object().into_iter().flatten();
    let mut lists = fields.filter_map(|(_, value)| value.as_array());
    lists.next().map_or(&[], |list| list)
}

/// The first id of each collection.
#[derive(Default)]
struct Ids {
    /// By the path of the list.
    of_lists: HashMap<String, String>,
    /// By the key of a list in any response, such as `variants`.
    of_names: HashMap<String, String>,
}

impl Ids {
    fn note(&mut self, path: &str, response: &Value) {
        if let Some(id) = records(response).first().and_then(|it| it["id"].as_str()) {
            self.of_lists.insert(path.into(), id.into());
        }
        self.note_names(response);
    }

    fn note_names(&mut self, value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            for element in value.as_array().into_iter().flatten() {
                if let Some(id) = element["id"].as_str() {
                    self.of_names.entry(name.clone()).or_insert(id.into());
                }
                self.note_names(element);
            }
            self.note_names(value);
        }
    }

    fn first(&self, name: &str) -> Option<&String> {
        self.of_names.get(name)
    }

    /// Returns the path of an operation with ids of existing objects.
    fn path(&self, operation: &Operation) -> Option<String> {
        self.fill(operation.path)
    }

    fn fill(&self, path: &str) -> Option<String> {
        let mut filled = String::new();
        let mut name = "";
        for part in path.split('/').skip(1) {
            let is_variable = part.starts_with('{');
            let part = if is_variable {
                self.of_lists.get(&filled).or_else(|| self.first(name))?
            } else {
                name = part;
                part
            };
            filled = filled + "/" + part;
        }
        Some(filled)
    }
}
