//! The server: lists the tools, asks a person before a write, calls, audits.

use std::borrow::Cow;

use fullscript::Client;
use fullscript::tools::{Tool, ToolSet};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitRequestParams,
    ElicitationAction, ElicitationSchema, Implementation, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use crate::audit::{Audit, Outcome};

/// The property of the form in which a person confirms a call.
const CONFIRM: &str = "confirm";

pub(crate) struct Server {
    client: Client,
    tools: ToolSet,
    audit: Audit,
}

impl Server {
    pub(crate) fn new(client: Client, tools: ToolSet, audit: Audit) -> Self {
        Self {
            client,
            tools,
            audit,
        }
    }

    /// Asks a person whether a call may be made, and shows its arguments.
    async fn is_confirmed(
        tool: &Tool,
        arguments: &Value,
        context: &RequestContext<RoleServer>,
    ) -> bool {
        let form = ElicitationSchema::builder().required_bool(CONFIRM).build();
        let Ok(requested_schema) = form else {
            return false;
        };
        let message = format!("{} {arguments:#}", tool.description());
        let request = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message,
            requested_schema,
        };
        // A client that cannot ask a person returns an error, or declines.
        match context.peer.create_elicitation(request).await {
            Ok(result) if result.action == ElicitationAction::Accept => {
                result.content.is_some_and(|form| form[CONFIRM] == true)
            }
            _ => false,
        }
    }

    /// Makes a call and returns its result, its outcome and the vendor's id of the request.
    async fn call(
        &self,
        name: &str,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> (CallToolResult, Outcome, Option<String>) {
        let failed = |text: String| CallToolResult::error(vec![ContentBlock::text(text)]);
        if let Some(tool) = self.tools.find(name)
            && !tool.hints().read_only
            && !Self::is_confirmed(tool, &arguments, context).await
        {
            let text = format!("{name}: not sent: a person did not confirm the call");
            return (failed(text), Outcome::NotConfirmed, None);
        }
        match self.tools.invoke(&self.client, name, arguments).await {
            Ok(response) => {
                let id = response.request_id().map(String::from);
                let result = CallToolResult::structured(response.into_inner());
                (result, Outcome::Ok, id)
            }
            Err(error) => {
                let id = error.request_id().map(String::from);
                (failed(error.to_string()), Outcome::Failed, id)
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("fullscript", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Operations of a clinic at Fullscript. Names, contact details and texts of \
                 patients are masked: null. A write is made after a person has confirmed it.",
            )
    }

    /// Later revisions do not let a server ask a person in the middle of a call.
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools.tools();
        let tools = tools.map(|tool| serde_json::from_value(tool.mcp()));
        let tools: Result<Vec<_>, _> = tools.collect();
        match tools {
            Ok(tools) => Ok(ListToolsResult::with_all_items(tools)),
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name;
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        // Names that a model made up are not written to the audit.
        let tool = self.tools.find(&name);
        let known = tool.and_then(|tool| tool.input_schema()["properties"].as_object());
        let names = known.into_iter().flat_map(|known| known.keys());
        let names: Vec<String> = names
            .filter(|name| arguments.get(name.as_str()).is_some())
            .cloned()
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (result, outcome, id) = self.call(&name, arguments, &context).await;
        let written = tool.map_or("unknown", Tool::name);
        let audited = self.audit.write(written, &names, outcome, id.as_deref());
        audited.map_err(|_| ErrorData::internal_error("the audit cannot be written", None))?;
        Ok(result.into())
    }
}
