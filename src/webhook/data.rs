//! Typed payloads of events.

use serde_json::Value;

use super::routes::EventKind;
use super::view::{Trail, field, view};
use crate::types::*;
use crate::value::json::{self, Content, Node};
use crate::value::{Date, Decimal, Timestamp};

/// Declares the event types: for each its payload type, and the key of the payload that holds the
/// object the event is about.
macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident($payload:ty) in $key:literal,)+) => {
        /// The payload of an event, by event type.
        ///
        /// `Debug` shows the event type and ids.
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum EventData {
            $($(#[$meta])* $variant($payload),)+
            /// Any other payload: the event type is unknown to this version, its payload is not
            /// documented (`clinic_key.*`), or the payload is not an object (listed events have
            /// none). Contains the payload, or `null` for a missing one.
            Unknown(Value),
        }

        $(
            $(#[$meta])*
            ///
            /// A name of the event type, to choose a handler with
            /// [`Events::on`](crate::webhook::Events::on).
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $variant;

            impl EventKind for $variant {
                type Data = $payload;
                const TYPE: EventType = EventType::$variant;

                fn data(data: &EventData) -> Option<&$payload> {
                    match data {
                        EventData::$variant(data) => Some(data),
                        _ => None,
                    }
                }
            }
        )+

        impl EventData {
            fn known(type_: &EventType, payload: &Node<'_>, trail: &mut Trail) -> Option<Self> {
                match type_ {
                    $(EventType::$variant => {
                        let mut data = read_inner(payload, $key, trail, <$payload>::read);
                        data.read_beside(payload, trail);
                        Some(Self::$variant(data))
                    })+
                    _ => None,
                }
            }

            fn is_typed(type_: &EventType) -> bool {
                matches!(type_, $(EventType::$variant)|+)
            }

            /// Returns the kind and the id of the object that the event is about, if the payload
            /// names it.
            pub(super) fn subject(&self) -> Option<(&'static str, &str)> {
                let (kind, id) = match self {
                    $(Self::$variant(data) => ($key, data.id.as_ref()?.as_ref()),)+
                    Self::Unknown(_) => return None,
                };
                let id: &str = id;
                (!id.is_empty()).then_some((kind, id))
            }
        }

        impl std::fmt::Debug for EventData {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant(data) => {
                        f.debug_tuple(stringify!($variant)).field(data).finish()
                    })+
                    Self::Unknown(_) => f.debug_tuple("Unknown").finish_non_exhaustive(),
                }
            }
        }
    };
}

events! {
    /// A patient placed an order. This is the only event that reports the purchase of a lab.
    OrderPlaced(OrderData) in "order",
    /// Results of a lab order arrived in part or in full, or were amended. No other change is
    /// reported.
    LabOrderUpdated(LabOrderData) in "lab_order",
    /// A treatment plan was activated. Drafts are not reported.
    TreatmentPlanCreated(TreatmentPlanData) in "treatment_plan",
    /// An active treatment plan was cancelled.
    TreatmentPlanUpdated(TreatmentPlanData) in "treatment_plan",
    /// A recommendation of an active treatment plan changed.
    TreatmentPlanRecommendationUpdated(TreatmentPlanData) in "treatment_plan",
    /// A patient was created.
    PatientCreated(PatientData) in "patient",
    /// A patient changed.
    PatientUpdated(PatientData) in "patient",
    /// A dependent became independent.
    PatientEmancipated(PatientData) in "patient",
    /// A product was created.
    ProductCreated(ProductData) in "product",
    /// The name or dosage of a product changed.
    ProductUpdated(ProductData) in "product",
    /// The description of a product changed.
    ProductDescriptionUpdated(ProductData) in "product",
}

view! {
    /// An order that was placed.
    pub struct OrderData {
        /// Id of the order.
        id: OrderId = "id",
        /// Public order number.
        order_number: String = "order_number",
        /// Time of completion, with a UTC offset other than `Z`.
        completed_at: Timestamp = "completed_at",
        /// Treatment plans that the order came from.
        treatment_plan_ids: Vec<TreatmentPlanId> = "treatment_plan_ids",
        /// Patient who placed the order.
        patient_id: PatientId = "patient_id",
        /// Practitioners of the treatment plans; only on Fullscript's newest pages.
        practitioner_ids: Vec<PractitionerId> = "practitioner_ids",
        /// Purchased items.
        line_items: Vec<LineItemData> = "line_items",
    }

    /// A line of an order.
    pub struct LineItemData {
        /// Purchased items.
        variant_id: VariantId = "variant_id",
        /// Number of units.
        quantity: i64 = "quantity",
        /// Supplement or lab. The pages call it `type` in one place and `lab_type` in another.
        type_: LineItemType = "type" | "lab_type",
    }

    /// A lab order whose results changed.
    pub struct LabOrderData {
        /// The lab order.
        id: LabOrderId = "id",
        /// Practitioner who ordered the lab.
        practitioner_id: PractitionerId = "practitioner_id",
        /// Patient of the lab order.
        patient_id: PatientId = "patient_id",
        /// First name of the patient.
        first_name: String = "first_name",
        /// Last name of the patient.
        last_name: String = "last_name",
        /// E-mail address of the patient.
        email: String = "email",
        /// State, with the names of the REST API: webhooks send `results_received` for
        /// `partial_results`, and `all_results_received` for `results_ready`.
        state: LabOrderState = "status" | "state",
        /// Treatment plan of the lab order; in the REST API, not documented for events.
        treatment_plan_id: TreatmentPlanId = "treatment_plan_id",
    }

    /// A treatment plan, or one with a changed recommendation.
    pub struct TreatmentPlanData {
        /// Id of the treatment plan.
        id: TreatmentPlanId = "id",
        /// Whether the plan is active; sent as the string `"true"`.
        active: bool = "active",
        /// State of the plan; events of 2021 had it in place of `active`.
        state: TreatmentPlanState = "state",
        /// When the plan was sent to the patient: a date or a time.
        available_at: Timestamp = "available_at",
        /// Patient of the plan; only on Fullscript's newest pages.
        patient: PatientReferenceData = "patient",
        /// Practitioner who wrote the plan; only on Fullscript's newest pages.
        practitioner: PractitionerReferenceData = "practitioner",
        /// Recommended products.
        recommendations: Vec<RecommendationData> = "recommendations",
        /// Attached files.
        resources: Vec<ResourceData> = "resources",
        /// Recommended labs.
        lab_recommendations: Vec<LabRecommendationData> = "lab_recommendations",
    }

    /// A reference to a patient.
    pub struct PatientReferenceData {
        /// Id of the patient.
        id: PatientId = "id",
    }

    /// A reference to a practitioner.
    pub struct PractitionerReferenceData {
        /// Id of the practitioner.
        id: PractitionerId = "id",
    }

    /// A recommended product.
    pub struct RecommendationData {
        /// Recommended product variant.
        variant_id: VariantId = "variant_id",
        /// Whether the patient receives refill reminders.
        refill: bool = "refill",
        /// Number of units to purchase.
        units_to_purchase: i64 = "units_to_purchase",
        /// What to take the product with.
        take_with: String = "take_with",
        /// Dosage.
        dosage: DosageData = "dosage",
    }

    /// The dosage of a product.
    pub struct DosageData {
        /// A number, range or fraction such as `1`, `1-2` or `1/2`.
        amount: String = "amount" | "recommended_amount",
        /// Frequency of intake.
        frequency: DosageFrequency = "frequency" | "recommended_frequency",
        /// Duration: a number of days, or words.
        duration: String = "duration" | "recommended_duration",
        /// Dosage form, such as capsule or liquid.
        format: DosageFormat = "format",
        /// Additional information.
        additional_info: String = "additional_info",
        /// Times of day.
        time_of_day: Vec<String> = "time_of_day",
    }

    /// A file attached to a plan.
    pub struct ResourceData {
        /// Id of the file.
        id: ResourceId = "id",
        /// Download address.
        attachment_url: String = "attachment_url",
        /// Category of the file.
        category: ResourceCategory = "category",
        /// Name.
        name: String = "name",
        /// Type of the file, such as guide or handout.
        type_: ResourceType = "type",
    }

    /// A recommended lab.
    pub struct LabRecommendationData {
        /// Id of the recommendation.
        id: String = "id",
        /// Name.
        name: String = "name",
        /// Whether the patient has to fast.
        requires_fasting: bool = "requires_fasting",
        /// Instructions for the patient.
        instructions: String = "instructions",
        /// Lab tests of the recommendation.
        tests: Vec<LabTestData> = "tests",
    }

    /// A lab test.
    pub struct LabTestData {
        /// Id of the lab test.
        id: LabTestId = "id",
        /// Name.
        name: String = "name",
    }

    /// A patient.
    pub struct PatientData {
        /// Id of the patient.
        id: PatientId = "id",
        /// First name.
        first_name: String = "first_name",
        /// Last name.
        last_name: String = "last_name",
        /// E-mail address.
        email: String = "email",
        /// Date of birth.
        date_of_birth: Date = "date_of_birth",
        /// Biological sex.
        gender: Gender = "gender",
        /// Patient discount in percent.
        discount: Decimal = "discount",
        /// Patient plus clinic discount in percent.
        total_discount: Decimal = "total_discount",
        /// Mobile phone number.
        mobile_number: String = "mobile_number",
        /// Whether the patient accepts text messages.
        text_message_notification: bool = "text_message_notification",
        /// Whether the patient is a dependent; only in `patient.emancipated`.
        is_dependent: bool = "is_dependent",
        /// Guardian of the patient; only in `patient.emancipated`.
        guardian_patient_id: PatientId = "guardian_patient_id",
    }

    /// A product; the documented samples have no id.
    pub struct ProductData {
        /// Id of the product.
        id: ProductId = "id",
        /// Name.
        name: String = "name",
        /// Description in HTML.
        description_html: String = "description_html",
        /// Availability across all variants.
        status: ProductStatus = "status",
        /// Brand.
        brand: BrandData = "brand",
        /// Dosage.
        dosage: DosageData = "dosage",
        /// Variants (packages) of the product.
        variants: Vec<VariantData> = "variants",
    }

    /// The brand of a product.
    pub struct BrandData {
        /// Id of the brand.
        id: BrandId = "id",
        /// Name.
        name: String = "name",
        /// Prefix of the brand's SKUs.
        prefix: String = "prefix",
    }

    /// A package of a product.
    pub struct VariantData {
        /// Id of the variant.
        id: VariantId = "id",
        /// Fullscript's SKU.
        sku: String = "sku",
        /// Supplier's SKU.
        supplier_sku: String = "supplier_sku",
        /// Barcode of the package (UPC or EAN-13).
        upc: String = "upc",
        /// Suggested retail price.
        msrp: Decimal = "msrp",
        /// Unit of measure (capsules, mL).
        unit_of_measure: String = "unit_of_measure",
        /// Units per package.
        units: i64 = "units",
        /// Availability.
        status: VariantStatus = "status",
        /// Availability in words, such as `In Stock`.
        availability: VariantAvailability = "availability",
        /// Whether this variant is displayed first.
        primary: bool = "primary",
    }
}

impl EventData {
    /// Reads the payload of an event of type `type_`.
    pub(super) fn read(type_: &EventType, data: Option<&Node<'_>>, trail: &mut Trail) -> Self {
        let Some(data) = data else {
            return Self::Unknown(Value::Null);
        };
        let known = trail.below("data", |trail| {
            // Listed events have no payload.
            if !Self::is_typed(type_) || matches!(data.content, Content::Null) {
                return None;
            }
            // A schema of 2021 declares the payload as a JSON string.
            let parsed = match &data.content {
                Content::Text(text) => json::parse(text.as_bytes()),
                _ => None,
            };
            if let Some(parsed) = &parsed {
                trail.report_flaws(parsed);
            }
            let payload = parsed.as_ref().map_or(data, |parsed| &parsed.root);
            let payload = trail.object(payload)?;
            Self::known(type_, payload, trail)
        });
        known.unwrap_or_else(|| Self::Unknown(data.into()))
    }
}

/// Reads fields of the payload next to the object that the event is about.
trait ReadBeside {
    fn read_beside(&mut self, _payload: &Node<'_>, _trail: &mut Trail) {}
}

impl ReadBeside for OrderData {}
impl ReadBeside for LabOrderData {}
impl ReadBeside for PatientData {}
impl ReadBeside for ProductData {}

impl ReadBeside for TreatmentPlanData {
    /// The documentation does not say whether patient and practitioner are inside the plan or next
    /// to it.
    fn read_beside(&mut self, payload: &Node<'_>, trail: &mut Trail) {
        if self.patient.is_none() {
            self.patient = field(payload, &["patient"], trail);
        }
        if self.practitioner.is_none() {
            self.practitioner = field(payload, &["practitioner"], trail);
        }
    }
}

/// Reads the object under the key `wrapper`, or the payload itself if it is not wrapped.
fn read_inner<T>(
    payload: &Node<'_>,
    wrapper: &str,
    trail: &mut Trail,
    read: fn(&Node<'_>, &mut Trail) -> T,
) -> T {
    let is_null = |node: &&Node<'_>| matches!(node.content, Content::Null);
    let wrapped = payload.field(wrapper).filter(|node| !is_null(node));
    let inner = wrapped.and_then(|inner| {
        trail.below(wrapper, |trail| {
            let object = trail.object(inner)?;
            Some(read(object, trail))
        })
    });
    inner.unwrap_or_else(|| read(payload, trail))
}
