//! The leader of a replay: one at a time, with the cursor that was saved last.

use std::time::Duration;

use crate::cluster::shared;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_process_leads_the_replay_of_a_clinic_and_its_cursor_outlives_it() {
    let Some(cluster) = shared() else { return };
    let builder = cluster.builder(cluster.pooled()).await;
    let [one, other] = [builder.connect().await, builder.connect().await];
    let (one, other) = (one.unwrap(), other.unwrap());
    let mut first = one.replay_leader("clinic");
    let mut second = other.replay_leader("clinic");
    assert!(!second.save("early", MINUTE).await.unwrap());
    let state = first.lead(MINUTE).await.unwrap().unwrap();
    assert_eq!(state.cursor, None);
    assert!(second.lead(MINUTE).await.unwrap().is_none());
    let mut elsewhere = other.replay_leader("another clinic");
    assert!(elsewhere.lead(MINUTE).await.unwrap().is_some());
    assert!(first.save("1", MINUTE).await.unwrap());
    assert!(!second.save("2", MINUTE).await.unwrap());
    // A leader that renews its lease finds its own cursor.
    let state = first.lead(MINUTE).await.unwrap().unwrap();
    assert_eq!(state.cursor.as_deref(), Some("1"));
    first.resign().await.unwrap();
    let state = second.lead(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(state.cursor.as_deref(), Some("1"));
    assert!(!first.save("3", MINUTE).await.unwrap());
    // The lease of the second has expired.
    let mut third = one.replay_leader("clinic");
    assert!(third.lead(MINUTE).await.unwrap().is_some());
    assert!(!second.save("4", MINUTE).await.unwrap());
    second.resign().await.unwrap();
    assert!(third.save("5", MINUTE).await.unwrap());
    assert!(!format!("{third:?} {one:?}").contains("clinic"));
}
