//! Tests of the policy with the vendor's limit, in simulated time.

use std::time::Duration;

use super::simulation::{LIMIT, SECOND, Simulation, WINDOW, fewest_in_any, most_in_any};

/// 99 % of the limit.
const SATURATED: usize = LIMIT * 99 / 100;

#[track_caller]
fn check_limit(simulation: &Simulation) {
    let most = most_in_any(WINDOW, &simulation.sent);
    assert!(most <= LIMIT, "{most} in a window");
}

/// Checks that every window including its margin is full from the second one on, and that windows
/// are full on average.
///
/// A window without the margin can lie between two bursts, which are a window and a margin apart.
#[track_caller]
fn check_saturation(simulation: &Simulation) {
    let end = *simulation.sent.last().unwrap();
    let fewest = fewest_in_any(WINDOW + SECOND, WINDOW + SECOND, end, &simulation.sent);
    assert!(fewest >= SATURATED, "{fewest} in a window");
    let windows = end as f64 / WINDOW as f64;
    let average = simulation.sent.len() as f64 / windows;
    assert!(average >= SATURATED as f64, "{average} in a window");
}

#[track_caller]
fn check_wait(simulation: &Simulation, users: &[usize]) {
    let longest = users.iter().map(|user| simulation.longest_wait(*user));
    let longest = longest.max().unwrap();
    assert!(longest < 2 * SECOND, "{} ms", longest / 1_000_000);
}

#[test]
fn a_million_requests_of_mixed_users_keep_the_limit_use_it_fully_and_are_fair() {
    let mut simulation = Simulation::new();
    simulation.bulk_user(0, 64);
    simulation.bulk_user(1_000 * SECOND, 1_000);
    let mut calls = 0;
    simulation.user(
        7 * SECOND,
        2_000,
        Box::new(move |now, random| {
            calls += 1;
            Some(match calls % 2_000 {
                0 => now + random.between(1, 900 * SECOND),
                _ => now,
            })
        }),
    );
    let light: Vec<_> = (0..20).map(|_| simulation.light_user()).collect();
    simulation.run_until(|simulation| simulation.sent.len() == 1_000_000);
    check_limit(&simulation);
    check_saturation(&simulation);
    check_wait(&simulation, &light);
}

#[test]
fn a_light_user_waits_less_than_two_seconds_beside_any_bulk_job() {
    for requests in [64, 10_000] {
        for light in [1, 20] {
            let mut simulation = Simulation::new();
            simulation.bulk_user(0, requests);
            let light: Vec<_> = (0..light).map(|_| simulation.light_user()).collect();
            simulation.run_for(3_600 * SECOND);
            check_limit(&simulation);
            check_saturation(&simulation);
            check_wait(&simulation, &light);
        }
    }
}

#[test]
fn twenty_users_with_simultaneous_requests_wait_less_than_two_seconds() {
    let mut simulation = Simulation::new();
    simulation.bulk_user(0, 5_000);
    let together = |now: u64| now - now % (10 * SECOND) + 10 * SECOND;
    let light: Vec<_> = (0..20)
        .map(|_| simulation.user(0, 1, Box::new(move |now, _| Some(together(now)))))
        .collect();
    simulation.run_for(3_600 * SECOND);
    check_limit(&simulation);
    check_saturation(&simulation);
    check_wait(&simulation, &light);
}

#[test]
fn a_light_user_waits_less_than_two_seconds_after_any_history() {
    let mut simulation = Simulation::new();
    let light = simulation.light_user();
    // Jobs of varying size, one after the other, with pauses of varying length. Each starts with
    // the budget that the last ones left.
    for job in 0..300 {
        let from = job * 97 * SECOND + job * job % 89 * SECOND;
        let mut remaining = job * job * 7 % 3_000;
        simulation.user(
            from,
            100,
            Box::new(move |now, _| {
                remaining = remaining.saturating_sub(1);
                (remaining > 100).then_some(now)
            }),
        );
    }
    simulation.run_for(9 * 3_600 * SECOND);
    check_limit(&simulation);
    check_wait(&simulation, &[light]);
}

#[test]
fn a_hundred_equal_users_get_equal_shares() {
    let mut simulation = Simulation::new();
    let users: Vec<_> = (0..100).map(|_| simulation.bulk_user(0, 50)).collect();
    // The burst at the start goes to the first users.
    simulation.run_for(SECOND);
    let sent = |simulation: &Simulation| -> Vec<_> {
        let sent = users.iter().map(|user| simulation.sent_by(*user));
        sent.collect()
    };
    let before = sent(&simulation);
    simulation.run_for(3_600 * SECOND);
    check_limit(&simulation);
    check_saturation(&simulation);
    let after = sent(&simulation);
    let shares = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before);
    assert!(shares.clone().max().unwrap() - shares.min().unwrap() <= 1);
}

#[test]
fn a_burst_of_a_thousand_requests_is_sent_at_once_if_the_window_is_empty() {
    let mut simulation = Simulation::new();
    for idle in [0, 400, 100_000, 3_000_000_000] {
        let from = simulation.now + idle * SECOND;
        let user = simulation.user(from, 1_000, Box::new(|_, _| None));
        simulation.run_for((idle + 302) * SECOND);
        assert_eq!(simulation.sent_by(user), 1_000);
        assert_eq!(simulation.longest_wait(user), 0);
    }
    check_limit(&simulation);
}

#[test]
fn simultaneous_requests_up_to_the_limit_are_sent_within_a_window() {
    let mut simulation = Simulation::new();
    let user = simulation.user(0, LIMIT, Box::new(|_, _| None));
    simulation.run_for(WINDOW + 2 * SECOND);
    assert_eq!(simulation.sent_by(user), LIMIT);
    check_limit(&simulation);
}

#[test]
fn small_limits_are_kept_and_fully_used() {
    for (requests, window) in [(1, 1_000), (1, 300_000), (2, 100), (10, 1_000), (7, 10_000)] {
        let window = Duration::from_millis(window);
        let mut simulation = Simulation::with_limit(requests, window);
        simulation.bulk_user(0, 3);
        simulation.bulk_user(0, 30);
        simulation.run_until(|simulation| simulation.sent.len() == 2_000);
        let nanos = window.as_nanos() as u64;
        assert!(most_in_any(nanos, &simulation.sent) <= requests as usize);
        let rounds = simulation.now as f64 / nanos as f64;
        let used = 2_000.0 / (rounds * f64::from(requests));
        assert!(used > 0.99, "{requests} in {window:?}: {used}");
    }
}

#[test]
fn a_429_delays_all_users_for_its_retry_after() {
    let mut simulation = Simulation::new();
    simulation.bulk_user(0, 100);
    simulation.run_for(60 * SECOND);
    let before = simulation.sent.len();
    simulation.throttled(Some(Duration::from_secs(20)));
    simulation.run_for(20 * SECOND - 1);
    assert_eq!(simulation.sent.len(), before);
    // Then requests are sent at the pace, although more of the limit is free.
    simulation.run_for(10 * SECOND);
    let after = simulation.sent.len() - before;
    assert!((130..140).contains(&after), "{after}");
    check_limit(&simulation);
}

#[test]
fn a_429_delays_no_user_for_longer_than_a_minute() {
    for retry_after in [61, 300, 86_400, u64::MAX] {
        let mut simulation = Simulation::new();
        let users = [simulation.bulk_user(0, 100), simulation.bulk_user(0, 100)];
        simulation.run_for(60 * SECOND);
        let retry_after = Some(Duration::from_secs(retry_after));
        simulation.user_throttled(users[0], retry_after);
        simulation.run_for(10 * SECOND);
        simulation.throttled(retry_after);
        let before = users.map(|user| simulation.sent_by(user));
        simulation.run_for(61 * SECOND);
        for (user, before) in users.into_iter().zip(before) {
            assert!(simulation.sent_by(user) > before);
        }
    }
}

#[test]
fn a_429_of_one_user_delays_no_other() {
    let mut simulation = Simulation::new();
    let [refused, other] = [(); 2].map(|()| simulation.bulk_user(0, 100));
    let light = simulation.light_user();
    simulation.run_for(60 * SECOND);
    for _ in 0..3 {
        let before = simulation.sent_by(refused);
        let others_before = simulation.sent_by(other);
        simulation.user_throttled(refused, Some(Duration::from_secs(30)));
        // A second 429 of the same user, for a request that was in flight.
        simulation.user_throttled(refused, Some(Duration::from_secs(20)));
        simulation.run_for(30 * SECOND - 1);
        assert_eq!(simulation.sent_by(refused), before);
        let others = simulation.sent_by(other) - others_before;
        assert!(others > 350, "{others}");
        simulation.run_for(30 * SECOND);
        assert!(simulation.sent_by(refused) > before);
    }
    check_limit(&simulation);
    check_wait(&simulation, &[light]);
}

#[test]
fn refusals_of_two_users_pause_all() {
    let mut simulation = Simulation::new();
    let users = [(); 3].map(|()| simulation.bulk_user(0, 100));
    simulation.run_for(60 * SECOND);
    let half_minute = Some(Duration::from_secs(30));
    simulation.user_throttled(users[0], half_minute);
    simulation.run_for(10 * SECOND);
    let before = simulation.sent.len();
    simulation.user_throttled(users[1], half_minute);
    simulation.run_for(30 * SECOND - 1);
    assert_eq!(simulation.sent.len(), before);
    // One after the other, they do not.
    simulation.run_for(100 * SECOND);
    simulation.user_throttled(users[0], half_minute);
    simulation.run_for(31 * SECOND);
    let before = simulation.sent_by(users[2]);
    simulation.user_throttled(users[1], half_minute);
    simulation.run_for(10 * SECOND);
    assert!(simulation.sent_by(users[2]) > before);
}

#[test]
fn the_pause_of_one_user_doubles_with_each_429_without_retry_after() {
    let mut simulation = Simulation::new();
    let refused = simulation.bulk_user(0, 100);
    let other = simulation.bulk_user(0, 100);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let before = [refused, other].map(|user| simulation.sent_by(user));
        simulation.user_throttled(refused, None);
        simulation.user_throttled(refused, None);
        simulation.run_for(pause * SECOND - 1);
        assert_eq!(simulation.sent_by(refused), before[0], "{pause} s");
        assert!(simulation.sent_by(other) > before[1], "{pause} s");
        simulation.run_for(SECOND);
        assert!(simulation.sent_by(refused) > before[0], "{pause} s");
    }
    simulation.run_for(61 * SECOND);
    let before = simulation.sent_by(refused);
    simulation.user_throttled(refused, None);
    simulation.run_for(2 * SECOND);
    assert!(simulation.sent_by(refused) > before);
}

#[test]
fn oauth_requests_keep_the_limit_and_do_not_delay_calls() {
    for calls in [0, 1, 100] {
        let mut simulation = Simulation::new();
        if calls > 0 {
            simulation.bulk_user(0, calls);
        }
        let light = simulation.light_user();
        simulation.run_for(400 * SECOND);
        // Two thousand users whose tokens expire at the same time, ten times in a row.
        for _ in 0..10 {
            let mut sent = 0;
            for _ in 0..100 {
                sent += (0..20).filter(|_| simulation.oauth()).count();
                simulation.run_for(SECOND / 10);
            }
            assert!(sent <= 2_000);
            simulation.run_for(90 * SECOND);
        }
        check_limit(&simulation);
        check_wait(&simulation, &[light]);
    }
}

#[test]
fn oauth_requests_of_many_users_are_sent_at_once_if_the_window_is_empty() {
    let mut simulation = Simulation::new();
    assert_eq!((0..3_000).filter(|_| simulation.oauth()).count(), 2_000);
    simulation.run_for(302 * SECOND);
    assert_eq!((0..3_000).filter(|_| simulation.oauth()).count(), 2_000);
    let small = Simulation::with_limit(3, Duration::from_secs(1));
    let mut small = small;
    assert_eq!((0..10).filter(|_| small.oauth()).count(), 2);
}

#[test]
fn oauth_requests_have_a_tenth_of_the_limit_and_what_calls_leave_unused() {
    for (calls, oauth) in [(0, 2_000), (1_000, 2_000), (3_000, 1_000), (4_500, 500)] {
        let mut simulation = Simulation::new();
        let between = WINDOW / calls.max(1);
        let mut remaining = calls;
        let next = move |now, _: &mut _| {
            remaining = remaining.saturating_sub(1);
            (remaining > 0).then_some(now + between)
        };
        if calls > 0 {
            simulation.user(0, 1, Box::new(next));
        }
        simulation.run_for(WINDOW);
        let sent = (0..3_000).filter(|_| simulation.oauth()).count();
        assert!(sent.abs_diff(oauth) <= 2, "{calls}: {sent}");
        check_limit(&simulation);
    }
}

#[test]
fn oauth_requests_and_calls_that_wait_get_permits_by_turns() {
    let mut simulation = Simulation::new();
    simulation.bulk_user(0, 1_000);
    let light = simulation.light_user();
    simulation.run_for(400 * SECOND);
    for _ in 0..20 {
        let started = simulation.now;
        let before = simulation.sent.len();
        for _ in 0..10 {
            while !simulation.oauth() {
                simulation.run_for(SECOND / 50);
            }
        }
        let took = simulation.now - started;
        assert!(took < 3 * SECOND, "{took}");
        let calls = simulation.sent.len() - before - 10;
        assert!(calls >= 8, "{calls}");
        simulation.run_for(20 * SECOND);
    }
    check_limit(&simulation);
    check_wait(&simulation, &[light]);
}

#[test]
fn the_pause_doubles_with_each_429_and_resets_after_a_window_without_one() {
    let mut simulation = Simulation::new();
    simulation.bulk_user(0, 100);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let before = simulation.sent.len();
        simulation.throttled(None);
        // A second 429, for a request that was in flight.
        simulation.throttled(None);
        simulation.run_for(pause * SECOND - 1);
        assert_eq!(simulation.sent.len(), before, "{pause} s");
        simulation.run_for(SECOND);
        assert!(simulation.sent.len() > before, "{pause} s");
    }
    simulation.run_for(302 * SECOND);
    simulation.throttled(None);
    simulation.run_for(SECOND - 1);
    let before = simulation.sent.len();
    simulation.run_for(SECOND);
    assert!(simulation.sent.len() > before);
    check_limit(&simulation);
}
