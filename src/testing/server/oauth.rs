//! The fake's OAuth server: codes, token sets, and when they are revoked.
//!
//! The default mode does what the vendor's server seems to do: a refresh creates a new row, and the
//! old one is revoked when the new access token is first used. Two stricter modes let an
//! integration be tested against all of them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::auth::UserKey;
use crate::testing::clock::timestamp;

/// The lifetime of an access token (source: the vendor's page on access tokens). A refresh token is
/// valid until it is replaced or revoked.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7_200);

/// The lifetime of an authorization code (source: the vendor's page on authorization codes).
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// The time at which the old token set is revoked after a refresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshMode {
    /// Revoked when the new access token is first used, as the vendor documents.
    #[default]
    RevokeOnFirstUse,
    /// Revoked immediately.
    RevokeAtOnce,
    /// Revoked immediately. A second use of an old refresh token revokes all token sets of the
    /// user.
    RevokeFamilyOnReuse,
}

#[derive(Default)]
pub(in crate::testing) struct TokenServer {
    pub(in crate::testing) mode: RefreshMode,
    /// The scopes of newly issued tokens.
    pub(in crate::testing) scope: String,
    /// The accepted client secrets; `None` accepts any.
    pub(in crate::testing) client_secrets: Option<Vec<String>>,
    issued: u64,
    codes: HashMap<String, Grant>,
    rows: Vec<Row>,
    /// The rows by access token and by refresh token.
    by_token: HashMap<String, usize>,
}

/// The request that a code was issued for; the exchange must repeat its values.
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
    /// The row that this one replaced, which is valid until this one is used.
    replaces: Option<usize>,
    /// The time at which the access token expires.
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

    /// Issues a code to a user who approved an authorization request.
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

    /// Returns whether an access token is valid. Its first use revokes the token set that it
    /// replaced.
    pub(in crate::testing) fn admit(&mut self, access: &str, now: SystemTime) -> bool {
        let Some(index) = self.by_access(access) else {
            return false;
        };
        let row = &self.rows[index];
        if row.revoked || now >= row.expires_at {
            return false;
        }
        if let Some(replaced) = self.rows[index].replaces.take() {
            self.rows[replaced].revoked = true;
        }
        true
    }

    /// Returns the user id and the scopes of an access token.
    pub(in crate::testing) fn holder(&self, access: &str) -> Option<(String, String)> {
        let row = &self.rows[self.by_access(access)?];
        Some((row.user.clone(), row.scope.clone()))
    }

    fn by_access(&self, access: &str) -> Option<usize> {
        let index = *self.by_token.get(access)?;
        (self.rows[index].access == access).then_some(index)
    }

    /// Expires all access tokens. Refresh tokens stay valid.
    pub(in crate::testing) fn expire(&mut self) {
        self.rows
            .iter_mut()
            .for_each(|row| row.expires_at = SystemTime::UNIX_EPOCH);
    }

    /// Revokes all tokens of a user.
    pub(in crate::testing) fn end(&mut self, user: &str) {
        self.rows
            .iter_mut()
            .filter(|row| row.user == user)
            .for_each(|row| row.revoked = true);
    }

    /// Handles a request to the token endpoint.
    pub(in crate::testing) fn token(
        &mut self,
        body: Option<&Value>,
        now: SystemTime,
    ) -> (u16, Value) {
        let text = |key: &str| body.and_then(|body| body[key].as_str()).unwrap_or_default();
        if text("client_id").is_empty() || !self.accepts_secret(body) {
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
        let index = self.by_token.get(refresh).copied();
        let of_client = |index: &usize| {
            let row = &self.rows[*index];
            row.refresh == refresh && row.client_id == client_id
        };
        let Some(index) = index.filter(of_client) else {
            return refused();
        };
        let user = self.rows[index].user.clone();
        // A refresh keeps the scopes, even if the dashboard has changed.
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
        let owner = UserKey::from(&user);
        let reply = json!({"oauth": {
            "access_token": format!("fake-access-{number}"),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME.as_secs(),
            "refresh_token": format!("fake-refresh-{number}"),
            "scope": scope,
            "created_at": timestamp(now),
            "resource_owner": {"id": owner.id(), "type": owner.kind()},
        }});
        for kind in ["access", "refresh"] {
            let token = format!("fake-{kind}-{number}");
            self.by_token.insert(token, self.rows.len());
        }
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

    fn accepts_secret(&self, body: Option<&Value>) -> bool {
        let secret = body.and_then(|body| body["client_secret"].as_str());
        let secret = secret.unwrap_or_default();
        let accepts = |secrets: &Vec<String>| secrets.iter().any(|it| it == secret);
        !secret.is_empty() && self.client_secrets.as_ref().is_none_or(accepts)
    }

    /// Handles a request to the revoke endpoint, with an access token or a refresh token.
    pub(in crate::testing) fn revoke(&mut self, body: Option<&Value>) -> (u16, Value) {
        if !self.accepts_secret(body) {
            return (401, json!({"error": "invalid_client"}));
        }
        let token = body
            .and_then(|body| body["token"].as_str())
            .unwrap_or_default();
        if let Some(index) = self.by_token.get(token) {
            self.rows[*index].revoked = true;
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
