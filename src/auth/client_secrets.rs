//! The client secrets of an app: one in use, and another during a rotation.

use std::sync::{Arc, Mutex};

use super::token::ClientSecret;
use crate::lock::lock;

/// The client secrets of an app, which can be replaced at run time.
pub(super) struct ClientSecrets(Mutex<Arc<Secrets>>);

/// A snapshot of the client secrets.
pub(super) struct Secrets {
    /// The secret that the server accepted last; it signs states.
    pub(super) current: ClientSecret,
    /// The secret that is tried if the server rejects the other one.
    pub(super) alternate: Option<ClientSecret>,
}

impl ClientSecrets {
    pub(super) fn new(current: ClientSecret, alternate: Option<ClientSecret>) -> Self {
        Self(Mutex::new(Arc::new(Secrets { current, alternate })))
    }

    pub(super) fn get(&self) -> Arc<Secrets> {
        Arc::clone(&lock(&self.0))
    }

    pub(super) fn replace(&self, current: ClientSecret, alternate: Option<ClientSecret>) {
        *lock(&self.0) = Arc::new(Secrets { current, alternate });
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
