//! Calls by name.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde_json::{Map, Value, json};

use super::arguments::{Place, check, drop_nulls};
use super::definition::Tool;
use super::output::conform;
use super::schema::types;
use super::set::ToolSet;
use crate::call::prepare::{call, encode_path};
use crate::call::response::Response;
use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Calls an operation that only reads, by its id, with arguments as JSON.
    ///
    /// The call is made like a typed one: same token, retries, rate limit and errors. For other
    /// operations and for masked results, use [`ToolSet::invoke`](crate::tools::ToolSet::invoke).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let fake = fullscript::testing::FakeFullscript::start().await?;
    /// # let client = fake.client();
    /// use serde_json::json;
    ///
    /// let page = client.invoke("list_patients", json!({"page_size": 10})).await?;
    /// println!("{}", page["meta"]["total_count"]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ToolSet::invoke`](crate::tools::ToolSet::invoke).
    pub async fn invoke(
        &self,
        operation_id: &str,
        arguments: Value,
    ) -> Result<Response<Value>, Error> {
        ToolSet::read_only()
            .invoke(self, operation_id, arguments)
            .await
    }
}

impl ToolSet {
    /// Calls an operation by its id, with arguments as JSON.
    ///
    /// The arguments are those of [`Tool::input_schema`]. The result conforms to
    /// [`Tool::output_schema`]: a value of another type is converted or null, as it is absent in a
    /// model. It is an empty object if the operation returns nothing.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] of the kind
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), and sends nothing, if the operation is
    /// not in this list or the arguments do not match the schema. Its text names what to change,
    /// and contains no value. Otherwise returns the errors of the typed call.
    ///
    /// The text of an error is fit for a model; [`Error::body`] is not, because the server may
    /// quote what was sent.
    pub async fn invoke(
        &self,
        client: &Client,
        operation_id: &str,
        arguments: Value,
    ) -> Result<Response<Value>, Error> {
        let Some(tool) = self.find(operation_id) else {
            // The name may be any text of a model, so that only a known one is shown.
            return Err(match super::find(operation_id) {
                Some(tool) => Error::invalid_request(
                    tool.name(),
                    "the operation is not allowed; use another tool, or allow it with \
                     `ToolSet::allow`"
                        .into(),
                ),
                None => Error::invalid_request("", "no tool has this name".into()),
            });
        };
        let request = tool.request(client, arguments)?;
        let mut call = call(Some(tool.operation), &client.context, request)?;
        let mut response = match &tool.output_schema {
            Some(schema) => {
                let response = call.json::<Map<String, Value>>().await?;
                let mut response = response.map(Value::Object);
                conform(response.value_mut(), schema);
                response
            }
            None if tool.returns_json => call.json().await?,
            None => call.nothing().await?.map(|()| json!({})),
        };
        match &self.mask {
            Some(mask) if tool.hints().touches_patient_data => {
                mask.apply(response.value_mut());
                Ok(response.without_body())
            }
            _ => Ok(response),
        }
    }
}

impl Tool {
    /// Checks the arguments and builds the request.
    fn request(&self, client: &Client, mut arguments: Value) -> Result<Request, Error> {
        let invalid = |reason: String| Error::invalid_request(self.name(), reason);
        if arguments.is_null() {
            // Some models send nothing for a tool without required arguments.
            arguments = json!({});
        }
        drop_nulls(&mut arguments, &self.input_schema);
        check(&arguments, &self.input_schema).map_err(invalid)?;

        let mut path = self.operation.path.to_string();
        let (mut query, mut body) = (vec![], None);
        for argument in &self.arguments {
            let Some(value) = arguments.get_mut(&argument.name).map(Value::take) else {
                continue;
            };
            match argument.place {
                Place::Path => {
                    let id = text(&value);
                    if matches!(id.trim(), "" | "." | "..") {
                        let name = &argument.name;
                        return Err(invalid(format!("`{name}` must not be empty or dots")));
                    }
                    let variable = format!("{{{}}}", argument.wire_name);
                    path = path.replacen(&variable, &encode_path(&id), 1);
                }
                Place::Query => match value {
                    Value::Array(values) => {
                        let values = values
                            .iter()
                            .map(|value| (&argument.wire_name, text(value)));
                        query.extend(values);
                    }
                    value => query.push((&argument.wire_name, text(&value))),
                },
                Place::Body => body = Some(value),
            }
        }
        let mut url = client.context.address(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let method = Method::from_bytes(self.operation.method.as_bytes())
            .map_err(|_| invalid("the method is invalid".into()))?;
        let mut request = Request::new(method, url);
        let json = HeaderValue::from_static("application/json");
        if self.returns_json {
            request.headers_mut().insert(ACCEPT, json.clone());
        }
        if let Some(mut body) = body {
            write_as_text(&mut body, &self.input_schema["properties"]["body"]);
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(body.to_string().into());
        }
        Ok(request)
    }
}

/// Returns a value of a path or a query as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Without an exponent, and without a fraction that is zero: `1.0` is an integer too.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}

/// Writes each number and flag as text that may be text, as models of this crate write decimals and
/// flags.
fn write_as_text(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                write_as_text(value, &schema["properties"][name.as_str()]);
            }
        }
        Value::Array(values) => {
            let values = values.iter_mut();
            values.for_each(|value| write_as_text(value, &schema["items"]));
        }
        Value::Number(_) | Value::Bool(_) if types(schema).contains(&"string") => {
            *value = text(value).into();
        }
        _ => {}
    }
}
