//! One handler for each type of event.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::data::EventData;
use super::event::Event;
use crate::types::EventType;

/// A type of event that this version knows, such as [`OrderPlaced`](super::OrderPlaced).
///
/// The types are those of the variants of [`EventData`].
pub trait EventKind: Copy + Send + Sync + 'static {
    /// The payload of the event.
    type Data: Clone + fmt::Debug + Send + Sync + 'static;

    /// The event type.
    const TYPE: EventType;

    /// Returns the payload, or `None` for an event of another type.
    fn data(data: &EventData) -> Option<&Self::Data>;
}

/// An event of a known type, with its payload; dereferences to [`Event`].
///
/// The payload is that of the time of the event. `fetch` (feature `client`) requests the object as
/// it is now.
///
/// `Debug` shows what that of [`Event`] shows.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TypedEvent<K: EventKind> {
    /// The event.
    pub event: Event,
    /// Payload of the event.
    pub data: K::Data,
}

impl<K: EventKind> TypedEvent<K> {
    /// Returns the event with its payload, or `None` if it has another type.
    #[must_use]
    pub fn from_event(event: &Event) -> Option<Self> {
        Some(Self {
            data: K::data(&event.data)?.clone(),
            event: event.clone(),
        })
    }
}

impl<K: EventKind> Deref for TypedEvent<K> {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl<K: EventKind> fmt::Debug for TypedEvent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

/// The future of a handler of [`Events`].
pub type HandlerFuture<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

/// Handles an event, or returns `None` if it has another type.
type Route<E> = Box<dyn Fn(&Event) -> Option<HandlerFuture<E>> + Send + Sync>;

/// One handler for each type of event.
///
/// [`otherwise`](Self::otherwise) returns a handler for
/// [`axum::receive_once`](super::axum::receive_once), [`process_once`](super::process_once) and the
/// like.
///
/// ```
/// use fullscript::types::OrderId;
/// use fullscript::webhook::{Event, Events, OrderPlaced, PatientCreated, TypedEvent};
///
/// /// Stores the order in the application's own database.
/// async fn order_placed(event: TypedEvent<OrderPlaced>) -> std::io::Result<()> {
///     let order: Option<OrderId> = event.data.id;
///     # drop(order);
///     Ok(())
/// }
///
/// let handler = Events::new()
///     .on(OrderPlaced, order_placed)
///     .on(PatientCreated, async |event| {
///         println!("new patient in clinic {:?}", event.clinic_id);
///         Ok(())
///     })
///     .otherwise(async |_| Ok(())); // an event type that this app does not process
/// # let event = Event::from_json(serde_json::json!({"type": "order.placed", "data": {"id": "1"}}));
/// # let _future = handler(event);
/// ```
pub struct Events<E> {
    routes: Vec<(EventType, Route<E>)>,
}

impl<E: 'static> Events<E> {
    /// Creates routes without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Sets the handler of a type of event, and replaces the previous one.
    #[must_use]
    pub fn on<K, H, F>(mut self, _kind: K, handler: H) -> Self
    where
        K: EventKind,
        H: Fn(TypedEvent<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.routes.retain(|(own, _)| *own != K::TYPE);
        let route = move |event: &Event| -> Option<HandlerFuture<E>> {
            Some(Box::pin(handler(TypedEvent::from_event(event)?)))
        };
        self.routes.push((K::TYPE, Box::new(route)));
        self
    }

    /// Sets the handler of all other events, and returns the handler of all events.
    ///
    /// These are events of other types, of types that this version does not know, and without a type.
    /// If the handler does nothing, such events count as processed.
    pub fn otherwise<H, F>(
        self,
        handler: H,
    ) -> impl Fn(Event) -> HandlerFuture<E> + Clone + Send + Sync + 'static
    where
        H: Fn(Event) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let handlers = Arc::new((self.routes, handler));
        move |event: Event| {
            let (routes, otherwise) = &*handlers;
            let mut routes = routes.iter();
            let route = routes.find(|(own, _)| event.type_.as_ref() == Some(own));
            let handled = route.and_then(|(_, route)| route(&event));
            handled.unwrap_or_else(|| Box::pin(otherwise(event)))
        }
    }
}

impl<E: 'static> Default for Events<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.routes.iter().map(|(own, _)| own.as_str());
        f.debug_list().entries(types).finish()
    }
}
