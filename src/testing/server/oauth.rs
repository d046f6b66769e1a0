//! The fake's OAuth: codes, pairs of tokens, and when which of them dies.
//!
//! As the vendor's server seems to do it: a refresh makes a new row, and the
//! old one dies when the new access token is first used. Two harsher ways are
//! there too, so that an integration can be tried on all.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::testing::clock::timestamp;

/// How long an access token lives (source: the vendor's page on access tokens).
/// A refresh token lives until it is replaced or revoked.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7_200);

/// How long a code may be exchanged (source: the vendor's page on authorization
/// codes).
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// When the old pair dies after a refresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshMode {
    /// When the new access token is first used: what the vendor documents.
    #[default]
    RevokeOnFirstUse,
    /// At once.
    RevokeAtOnce,
    /// At once, and a second use of an old refresh token ends all pairs of
    /// the user.
    RevokeFamilyOnReuse,
}

#[derive(Default)]
pub(in crate::testing) struct TokenServer {
    pub(in crate::testing) mode: RefreshMode,
    /// The scopes of tokens that a user gives from now on.
    pub(in crate::testing) scope: String,
    issued: u64,
    codes: HashMap<String, Grant>,
    rows: Vec<Row>,
}

/// What a code was given for; whoever exchanges it must say the same.
struct Grant {
    user: String,
    client_id: String,
    redirect_uri: String,
    expires_at: SystemTime,
    scope: String,
}

struct Row {
    user: String,
    client_id: String,
    access: String,
    refresh: String,
    scope: String,
    /// The row that this one replaced and that lives until this is used.
    replaces: Option<usize>,
    /// When the access token dies of age.
    expires_at: SystemTime,
    revoked: bool,
}

impl TokenServer {
    pub(in crate::testing) fn new(scope: String) -> Self {
        Self {
            scope,
            ..Self::default()
        }
    }

    /// A code for a user who said yes to an authorize request.
    pub(in crate::testing) fn code(
        &mut self,
        user: &str,
        request: &BTreeMap<String, String>,
        now: SystemTime,
    ) -> String {
        self.issued += 1;
        let code = format!("fake-code-{}", self.issued);
        let asked = |name: &str| request.get(name).cloned().unwrap_or_default();
        let grant = Grant {
            user: user.into(),
            client_id: asked("client_id"),
            redirect_uri: asked("redirect_uri"),
            expires_at: now + CODE_LIFETIME,
            scope: self.scope.clone(),
        };
        self.codes.insert(code.clone(), grant);
        code
    }

    /// Whether an access token is good; using it ends the pair it replaced.
    pub(in crate::testing) fn admit(&mut self, access: &str, now: SystemTime) -> bool {
        let found = self
            .rows
            .iter()
            .position(|row| row.access == access && now < row.expires_at && !row.revoked);
        let Some(index) = found else { return false };
        if let Some(replaced) = self.rows[index].replaces.take() {
            self.rows[replaced].revoked = true;
        }
        true
    }

    /// The id of the user whose access token this is, and its scopes.
    pub(in crate::testing) fn holder(&self, access: &str) -> Option<(String, String)> {
        let row = self.rows.iter().find(|row| row.access == access);
        row.map(|row| (row.user.clone(), row.scope.clone()))
    }

    /// All access tokens die of age; their refresh tokens stay good.
    pub(in crate::testing) fn expire(&mut self) {
        self.rows
            .iter_mut()
            .for_each(|row| row.expires_at = SystemTime::UNIX_EPOCH);
    }

    /// A user ends the connection in the vendor's web app.
    pub(in crate::testing) fn end(&mut self, user: &str) {
        self.rows
            .iter_mut()
            .filter(|row| row.user == user)
            .for_each(|row| row.revoked = true);
    }

    /// Answers the token endpoint.
    pub(in crate::testing) fn token(
        &mut self,
        body: Option<&Value>,
        now: SystemTime,
    ) -> (u16, Value) {
        let text = |key: &str| body.and_then(|body| body[key].as_str()).unwrap_or_default();
        if text("client_id").is_empty() || text("client_secret").is_empty() {
            return (401, json!({"error": "invalid_client"}));
        }
        match text("grant_type") {
            "authorization_code" => match self.codes.remove(text("code")) {
                Some(grant)
                    if now < grant.expires_at
                        && grant.client_id == text("client_id")
                        && grant.redirect_uri == text("redirect_uri") =>
                {
                    let owner = (grant.user, grant.client_id, grant.scope);
                    (200, self.issue(owner, None, now))
                }
                _ => refused(),
            },
            "refresh_token" => self.refresh(text("refresh_token"), text("client_id"), now),
            _ => (400, json!({"error": "unsupported_grant_type"})),
        }
    }

    fn refresh(&mut self, refresh: &str, client_id: &str, now: SystemTime) -> (u16, Value) {
        let of_client = |row: &Row| row.refresh == refresh && row.client_id == client_id;
        let Some(index) = self.rows.iter().position(of_client) else {
            return refused();
        };
        let user = self.rows[index].user.clone();
        // A refresh keeps the scopes, whatever the dashboard says by now.
        let scope = self.rows[index].scope.clone();
        if self.rows[index].revoked {
            if self.mode == RefreshMode::RevokeFamilyOnReuse {
                self.end(&user);
            }
            return refused();
        }
        let owner = (user, client_id.into(), scope);
        if self.mode == RefreshMode::RevokeOnFirstUse {
            return (200, self.issue(owner, Some(index), now));
        }
        self.rows[index].revoked = true;
        (200, self.issue(owner, None, now))
    }

    fn issue(
        &mut self,
        (user, client_id, scope): (String, String, String),
        replaces: Option<usize>,
        now: SystemTime,
    ) -> Value {
        self.issued += 1;
        let number = self.issued;
        let reply = json!({"oauth": {
            "access_token": format!("fake-access-{number}"),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME.as_secs(),
            "refresh_token": format!("fake-refresh-{number}"),
            "scope": scope,
            "created_at": timestamp(now),
            "resource_owner": {"id": user, "type": "Practitioner"},
        }});
        self.rows.push(Row {
            user,
            client_id,
            scope,
            access: format!("fake-access-{number}"),
            refresh: format!("fake-refresh-{number}"),
            replaces,
            expires_at: now + TOKEN_LIFETIME,
            revoked: false,
        });
        reply
    }

    /// Answers the revoke endpoint.
    pub(in crate::testing) fn revoke(&mut self, body: Option<&Value>) -> (u16, Value) {
        let token = body
            .and_then(|body| body["token"].as_str())
            .unwrap_or_default();
        for row in self.rows.iter_mut().filter(|row| row.access == token) {
            row.revoked = true;
        }
        (200, json!({}))
    }
}

fn refused() -> (u16, Value) {
    (
        400,
        json!({"error": "invalid_grant", "error_description": "The provided authorization grant is invalid, expired or revoked"}),
    )
}
