//! One handler for each type of event.

use std::sync::{Arc, Mutex};

use fullscript::replay::Cursor;
use fullscript::testing::FakeFullscript;
use fullscript::types::{PatientId, UpdatePatientRequest};
use fullscript::webhook::{
    Event, Events, HandlerFuture, LabOrderUpdated, MemoryEventLog, OrderPlaced, PatientCreated,
    PatientEmancipated, PatientUpdated, ProductCreated, ProductDescriptionUpdated, ProductUpdated,
    TreatmentPlanCreated, TreatmentPlanRecommendationUpdated, TreatmentPlanUpdated, TypedEvent,
    process_once,
};
use fullscript::{Clock, SystemClock};
use serde_json::{Value, json};

/// The handlers that were called, each with the id of the object.
type Called = Arc<Mutex<Vec<String>>>;

/// Returns routes with a handler for each known type of event.
fn routes(called: &Called) -> impl Fn(Event) -> HandlerFuture<()> + Clone + use<> {
    macro_rules! routes {
        ($($kind:ident),+) => {{
            let events = Events::new();
            $(let events = events.on($kind, {
                let called = Arc::clone(called);
                move |event: TypedEvent<$kind>| {
                    let id = event.data.id.as_ref().map(ToString::to_string);
                    let call = format!("{} {id:?}", stringify!($kind));
                    called.lock().unwrap().push(call);
                    async { Ok(()) }
                }
            });
            )+
            events
        }};
    }
    let events = routes!(
        LabOrderUpdated,
        OrderPlaced,
        PatientCreated,
        PatientEmancipated,
        PatientUpdated,
        ProductCreated,
        ProductDescriptionUpdated,
        ProductUpdated,
        TreatmentPlanCreated,
        TreatmentPlanRecommendationUpdated,
        TreatmentPlanUpdated
    );
    let called = Arc::clone(called);
    events.otherwise(move |event| {
        let event_type = event.type_.map(|own| own.to_string());
        called
            .lock()
            .unwrap()
            .push(format!("otherwise {event_type:?}"));
        async { Ok(()) }
    })
}

async fn called_for(event: Value) -> Vec<String> {
    let called = Called::default();
    routes(&called)(Event::from_json(event)).await.unwrap();
    called.lock().unwrap().clone()
}

#[tokio::test]
async fn each_event_reaches_the_handler_of_its_type() {
    for (event_type, handler, key) in [
        ("lab_order.updated", "LabOrderUpdated", "lab_order"),
        ("order.placed", "OrderPlaced", "order"),
        ("patient.created", "PatientCreated", "patient"),
        ("patient.emancipated", "PatientEmancipated", "patient"),
        ("patient.updated", "PatientUpdated", "patient"),
        ("product.created", "ProductCreated", "product"),
        (
            "product.description.updated",
            "ProductDescriptionUpdated",
            "product",
        ),
        ("product.updated", "ProductUpdated", "product"),
        (
            "treatment_plan.created",
            "TreatmentPlanCreated",
            "treatment_plan",
        ),
        (
            "treatment_plan.recommendation.updated",
            "TreatmentPlanRecommendationUpdated",
            "treatment_plan",
        ),
        (
            "treatment_plan.updated",
            "TreatmentPlanUpdated",
            "treatment_plan",
        ),
    ] {
        let wrapped = json!({"type": event_type, "data": {key: {"id": "7"}}});
        let expected = [format!("{handler} Some(\"7\")")];
        assert_eq!(called_for(wrapped).await, expected);
        // Without the wrapper, in an envelope, and with data that cannot be read.
        let event = json!({"event": {"type": event_type, "data": {"id": 7}}});
        assert_eq!(called_for(event).await, expected);
        let event = json!({"type": event_type, "data": {key: {"id": []}}});
        assert_eq!(called_for(event).await, [format!("{handler} None")]);
    }
    for (event, expected) in [
        (
            json!({"type": "fulfillment.shipment.shipped"}),
            "otherwise Some(\"fulfillment.shipment.shipped\")",
        ),
        (
            json!({"type": "clinic_key.revoked", "data": {}}),
            "otherwise Some(\"clinic_key.revoked\")",
        ),
        (
            json!({"type": "order.placed", "data": "text"}),
            "otherwise Some(\"order.placed\")",
        ),
        (json!({"data": {"id": "1"}}), "otherwise None"),
        (json!("text"), "otherwise None"),
    ] {
        assert_eq!(called_for(event).await, [expected]);
    }
}

#[tokio::test]
async fn a_second_handler_of_a_type_replaces_the_first_and_errors_are_returned() {
    let handler = Events::new()
        .on(OrderPlaced, async |_| Err("first"))
        .on(OrderPlaced, async |_| Err("second"))
        .otherwise(async |_| Err("otherwise"));
    let event = |event_type: &str| Event::from_json(json!({"type": event_type, "data": {}}));
    assert_eq!(handler(event("order.placed")).await, Err("second"));
    assert_eq!(handler(event("patient.created")).await, Err("otherwise"));
}

#[tokio::test]
async fn routes_are_a_handler_that_is_called_once_for_each_event() {
    let called = Called::default();
    let (handler, event_log) = (routes(&called), MemoryEventLog::new());
    let event = Event::from_json(json!({"id": "1", "type": "order.placed", "data": {"id": "7"}}));
    for is_first in [true, false] {
        let now = SystemClock.now();
        let processed = process_once(&event_log, event.clone(), now, &handler).await;
        assert_eq!(processed.unwrap(), is_first);
    }
    assert_eq!(*called.lock().unwrap(), ["OrderPlaced Some(\"7\")"]);
}

/// Returns the latest event of the fake, as a typed event.
async fn latest<K: fullscript::webhook::EventKind>(fake: &FakeFullscript) -> TypedEvent<K> {
    let client = fake.client();
    let mut replay = client
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let mut latest = None;
    while let Some(missed) = replay.next().await {
        latest = TypedEvent::from_event(&missed.unwrap().event).or(latest);
    }
    latest.expect("the fake has such an event")
}

#[tokio::test]
async fn an_event_fetches_its_object_as_it_is_now() {
    let fake = FakeFullscript::start().await.unwrap();
    let (client, web_app) = (fake.client(), fake.web_app());
    let patient = web_app.add_patient(&json!({"first_name": "Ana"}));
    let id = PatientId::new(patient["id"].as_str().unwrap());
    let update = UpdatePatientRequest::new().first_name("Bea");
    client.update_patient().id(&id).body(update).await.unwrap();
    let created: TypedEvent<PatientCreated> = latest(&fake).await;
    assert_eq!(created.data.first_name.as_deref(), Some("Ana"));
    let now = created.fetch(&client).await.unwrap();
    assert_eq!(now.first_name.as_deref(), Some("Bea"));

    let order = web_app.add_order(&json!({}));
    let placed: TypedEvent<OrderPlaced> = latest(&fake).await;
    assert_eq!(
        placed.fetch(&client).await.unwrap().id.as_str(),
        order["id"]
    );
    let lab = web_app.add_lab_order(&json!({"state": "results_ready"}));
    let updated: TypedEvent<LabOrderUpdated> = latest(&fake).await;
    assert_eq!(updated.fetch(&client).await.unwrap().id.as_str(), lab["id"]);
    let plan = web_app.add_treatment_plan(&json!({}));
    let activated: TypedEvent<TreatmentPlanCreated> = latest(&fake).await;
    assert_eq!(
        activated.fetch(&client).await.unwrap().id.as_str(),
        plan["id"]
    );

    // An event that does not name its object sends nothing.
    let before = fake.requests().len();
    let nameless = Event::from_json(json!({"type": "order.placed", "data": {"order": {}}}));
    let nameless = TypedEvent::<OrderPlaced>::from_event(&nameless).unwrap();
    let error = nameless.fetch(&client).await.unwrap_err();
    assert!(error.is_invalid_request(), "{error}");
    assert_eq!(fake.requests().len(), before);
    // An object that is gone is a 404.
    let gone = Event::from_json(json!({"type": "order.placed", "data": {"id": "gone-1"}}));
    let gone = TypedEvent::<OrderPlaced>::from_event(&gone).unwrap();
    assert!(gone.fetch(&client).await.unwrap_err().is_not_found());
}
