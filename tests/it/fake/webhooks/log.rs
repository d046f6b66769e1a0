//! The list of deliveries, and a replay that reads it.

use fullscript::Clock;
use fullscript::replay::EventList;
use fullscript::types::SortOrder;
use fullscript::webhook::{Event, MemoryEventLog};

use super::{App, CHALLENGE, MINUTE, happens, subscribed};

#[tokio::test]
async fn the_list_of_deliveries_contains_each_attempt() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 1;
    let event = happens(&fake);
    fake.advance(MINUTE).await;
    fake.advance(48 * 60 * MINUTE).await;
    let other = happens(&fake);
    fake.deliveries_done().await;
    let client = fake.client();
    let all = client.list_webhook_deliveries().send().await.unwrap();
    let tries: Vec<_> = all.webhook_deliveries.iter().collect();
    assert_eq!(tries.len(), 3);
    assert_eq!(tries[0].attempt_number, Some(1));
    assert_eq!(tries[0].response_status, Some(503));
    assert!(tries[0].response_errors.as_deref().unwrap().contains("503"));
    assert!(tries[0].next_attempt_at.is_some());
    assert_eq!(tries[1].previous_attempt_at, tries[0].attempted_at);
    assert!(
        tries[1]
            .response_body
            .as_deref()
            .unwrap()
            .contains(CHALLENGE)
    );
    assert_eq!(tries[1].response_ip_address.as_deref(), Some("127.0.0.1"));
    assert!(
        tries[1]
            .response_header
            .as_deref()
            .unwrap()
            .contains("application/json")
    );
    let ids = async |list: fullscript::builder::ListWebhookDeliveries| {
        let deliveries = list.items().collect_all().await.unwrap();
        let ids = deliveries.iter().map(|delivery| {
            let payload = delivery.event_payload.as_ref().unwrap();
            let id = Event::from(payload).id.unwrap().to_string();
            assert!(id == event || id == other);
            (id == event, delivery.attempt_number.unwrap())
        });
        ids.collect::<Vec<_>>()
    };
    let list = || client.list_webhook_deliveries();
    assert_eq!(
        ids(list().page_size(1)).await,
        [(true, 1), (true, 2), (false, 1)]
    );
    assert_eq!(ids(list().order_by(SortOrder::Desc)).await[0], (false, 1));
    assert_eq!(ids(list().successfully_delivered(false)).await, [(true, 1)]);
    assert_eq!(ids(list().event_id(&*other)).await, [(false, 1)]);
    let today = all.webhook_deliveries[2].attempted_at.as_ref().unwrap();
    let today = today.instant().unwrap().date_naive();
    assert_eq!(
        ids(list().attempted_at(today.to_string())).await,
        [(false, 1)]
    );
    assert_eq!(
        ids(list().attempted_at(format!("<{today}"))).await,
        [(true, 1), (true, 2)]
    );
    assert_eq!(ids(list().attempted_at(format!(">{today}"))).await, []);
    assert_eq!(
        ids(list().attempted_at(format!("{today}..{today}"))).await,
        [(false, 1)]
    );
    fake.advance(31 * 24 * 60 * MINUTE).await;
    assert_eq!(ids(list()).await, []);
}

#[tokio::test]
async fn an_event_that_was_given_up_is_found_by_a_replay_of_the_deliveries() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 6;
    let event = happens(&fake);
    fake.advance(7 * 60 * MINUTE).await;
    assert_eq!(app.came().len(), 6);
    let events = fake.client().events(MemoryEventLog::new());
    let mut replay = events
        .lists([EventList::Deliveries])
        .replay(fake.clock().now());
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.event.id.as_ref().unwrap().to_string(), event);
    missed.acknowledge().await.unwrap();
    assert!(replay.next().await.is_none());
}
