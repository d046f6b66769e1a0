//! The users of a job that were started, in order, up to the checkpoint.

use std::collections::VecDeque;

use crate::auth::user::UserKey;

/// The number of users that may be started after the first one that has not ended: 10,000.
///
/// One user whose job takes long stops no others for a while, and the memory is bounded.
const MAX_AHEAD: usize = 10_000;

/// The users that were started and are not covered by the checkpoint.
#[derive(Default)]
pub(super) struct Progress {
    /// The place of the first user.
    first: u64,
    users: VecDeque<Started>,
}

struct Started {
    user: UserKey,
    has_ended: bool,
}

impl Progress {
    /// Returns whether a further user may be started.
    pub(super) fn has_room(&self) -> bool {
        self.users.len() < MAX_AHEAD
    }

    /// Adds a user, and returns its place.
    pub(super) fn start(&mut self, user: UserKey) -> u64 {
        self.users.push_back(Started {
            user,
            has_ended: false,
        });
        self.first + self.users.len() as u64 - 1
    }

    /// Ends the user at a place, and returns the user and the checkpoint, if it has moved.
    pub(super) fn end(&mut self, place: u64) -> Option<(UserKey, Option<UserKey>)> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        let started = self.users.get_mut(index)?;
        started.has_ended = true;
        let user = started.user.clone();
        let mut checkpoint = None;
        while self.users.front().is_some_and(|first| first.has_ended) {
            checkpoint = self.users.pop_front().map(|ended| ended.user);
            self.first += 1;
        }
        Some((user, checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_never_passes_a_user_that_has_not_ended() {
        let mut progress = Progress::default();
        let places: Vec<u64> = (0..5)
            .map(|number| progress.start(UserKey::from(number.to_string())))
            .collect();
        let key = |number: usize| UserKey::from(number.to_string());
        for (ended, checkpoint) in [
            (2, None),
            (0, Some(0)),
            (4, None),
            (1, Some(2)),
            (3, Some(4)),
        ] {
            let (user, moved) = progress.end(places[ended]).unwrap();
            assert_eq!(user, key(ended));
            assert_eq!(moved, checkpoint.map(key), "after {ended}");
        }
        assert!(progress.end(places[0]).is_none());
        let place = progress.start(key(5));
        assert_eq!(progress.end(place), Some((key(5), Some(key(5)))));
    }

    #[test]
    fn the_number_of_users_after_one_that_hangs_is_bounded() {
        let mut progress = Progress::default();
        let hangs = progress.start(UserKey::from("hangs"));
        let mut started = 1;
        while progress.has_room() {
            let place = progress.start(UserKey::from("other"));
            progress.end(place);
            started += 1;
        }
        assert_eq!(started, MAX_AHEAD);
        progress.end(hangs);
        assert!(progress.has_room());
    }
}
