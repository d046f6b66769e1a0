//! An MCP server over stdio whose tools are operations of the Fullscript partner API.
//!
//! All operations that only read are tools, and one that writes: `create_treatment_plan`, which a
//! person must confirm in the MCP client. Fields of patients are masked. Each call is audited, as a
//! line of JSON without values, in the file `FULLSCRIPT_AUDIT`, or on standard error.
//!
//! Without settings it runs against the embedded fake. With `FULLSCRIPT_TOKEN` it runs against the
//! US sandbox.
//!
//! ```text
//! cargo run -p mcp
//! ```

mod audit;
mod server;

use std::env;
use std::error::Error;

use fullscript::testing::FakeFullscript;
use fullscript::tools::{Mask, ToolSet};
use fullscript::{AccessToken, Client, Environment};
use rmcp::ServiceExt;
use rmcp::transport::stdio;

use audit::Audit;
use server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The fake runs as long as its handle lives.
    let (client, _fake) = match env::var("FULLSCRIPT_TOKEN") {
        Ok(token) => {
            let client = Client::builder(Environment::UsSandbox);
            (client.access_token(AccessToken::new(token)).build()?, None)
        }
        Err(_) => {
            let fake = FakeFullscript::start().await?;
            (fake.client(), Some(fake))
        }
    };
    let tools = ToolSet::read_only()
        .allow("create_treatment_plan")?
        .mask(Mask::patient_fields());
    let audit = Audit::open(env::var_os("FULLSCRIPT_AUDIT"))?;
    let server = Server::new(client, tools, audit);
    server.serve(stdio()).await?.waiting().await?;
    Ok(())
}
