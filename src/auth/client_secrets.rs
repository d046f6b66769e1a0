//! The client secrets of an app: one in use, and another during a rotation.

use std::sync::{Arc, Mutex};

use super::token::ClientSecret;
use crate::lock::lock;
use crate::transport::BuildError;

/// The client secrets of an app, which can be replaced at run time.
pub(super) struct ClientSecrets(Mutex<Arc<Secrets>>);

/// A snapshot of the client secrets.
pub(super) struct Secrets {
    /// The secret that the server accepted last; it signs states.
    pub(super) current: ClientSecret,
    /// The secret that is tried if the server rejects the other one.
    pub(super) alternate: Option<ClientSecret>,
}

impl Secrets {
    /// Returns secrets that are not empty, because anybody could sign a state with an empty one.
    fn checked(
        current: Option<ClientSecret>,
        alternate: Option<ClientSecret>,
    ) -> Result<Self, BuildError> {
        let is_given = |secret: &ClientSecret| !secret.expose().is_empty();
        let missing = "client secret: missing; set it with `client_secret`";
        Ok(Self {
            current: current
                .filter(is_given)
                .ok_or_else(|| BuildError::new(missing))?,
            alternate: alternate.filter(is_given),
        })
    }
}

impl ClientSecrets {
    pub(super) fn new(
        current: Option<ClientSecret>,
        alternate: Option<ClientSecret>,
    ) -> Result<Self, BuildError> {
        let secrets = Secrets::checked(current, alternate)?;
        Ok(Self(Mutex::new(Arc::new(secrets))))
    }

    pub(super) fn get(&self) -> Arc<Secrets> {
        Arc::clone(&lock(&self.0))
    }

    pub(super) fn replace(
        &self,
        current: ClientSecret,
        alternate: Option<ClientSecret>,
    ) -> Result<(), BuildError> {
        let secrets = Secrets::checked(Some(current), alternate)?;
        *lock(&self.0) = Arc::new(secrets);
        Ok(())
    }

    /// Returns the secret to try after the server has rejected `rejected`.
    pub(super) fn instead_of(&self, rejected: &ClientSecret) -> Option<ClientSecret> {
        let secrets = self.get();
        let all = [Some(&secrets.current), secrets.alternate.as_ref()];
        let other = all.into_iter().flatten().find(|it| !is_same(it, rejected));
        other.cloned()
    }

    /// Makes the secret that the server has accepted the one in use.
    pub(super) fn prefer(&self, accepted: &ClientSecret) {
        let mut secrets = lock(&self.0);
        if let Some(alternate) = &secrets.alternate
            && is_same(alternate, accepted)
        {
            *secrets = Arc::new(Secrets {
                current: alternate.clone(),
                alternate: Some(secrets.current.clone()),
            });
        }
    }
}

fn is_same(one: &ClientSecret, other: &ClientSecret) -> bool {
    one.expose() == other.expose()
}
