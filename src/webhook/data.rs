//! What events tell of: typed views of `data`.

use serde_json::{Map, Value};

use super::view::{field, view};
use crate::types::*;
use crate::value::{Date, Decimal, Timestamp};

/// Declares the types of events: for each its payload, and the key under which the payload names
/// the object that the event is about.
macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident($payload:ty) in $key:literal,)+) => {
        /// The payload of an event, by its type.
        ///
        /// Debug shows the type alone.
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum EventData {
            $($(#[$meta])* $variant($payload),)+
            /// Anything else: an event of a type that this version does not know or of whose
            /// payload nothing is known (`clinic_key.*`), or without an object as its payload
            /// (those of listings have none). Holds the payload, `null` if there is none.
            Unknown(Value),
        }

        impl EventData {
            fn known(type_: &EventType, payload: &Map<String, Value>) -> Option<Self> {
                match type_ {
                    $(EventType::$variant => {
                        let mut data = <$payload>::read(inner(payload, $key));
                        data.read_beside(payload);
                        Some(Self::$variant(data))
                    })+
                    _ => None,
                }
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

            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($variant),)+
                    Self::Unknown(_) => "Unknown",
                }
            }
        }
    };
}

events! {
    /// A patient has placed an order; the only sign that a lab was bought.
    OrderPlaced(OrderData) in "order",
    /// Results of a lab order have arrived in part or in whole, or were amended; no other change
    /// is reported.
    LabOrderUpdated(LabOrderData) in "lab_order",
    /// A plan was activated (not: drafted).
    TreatmentPlanCreated(TreatmentPlanData) in "treatment_plan",
    /// An active plan was cancelled.
    TreatmentPlanUpdated(TreatmentPlanData) in "treatment_plan",
    /// A recommendation of an active plan has changed.
    TreatmentPlanRecommendationUpdated(TreatmentPlanData) in "treatment_plan",
    /// A patient was created.
    PatientCreated(PatientData) in "patient",
    /// A patient has changed.
    PatientUpdated(PatientData) in "patient",
    /// A dependent has become independent.
    PatientEmancipated(PatientData) in "patient",
    /// A product was created.
    ProductCreated(ProductData) in "product",
    /// The name or dosage of a product has changed.
    ProductUpdated(ProductData) in "product",
    /// The description of a product has changed.
    ProductDescriptionUpdated(ProductData) in "product",
}

view! {
    /// An order that was placed.
    pub struct OrderData {
        /// The order.
        id: OrderId = "id",
        /// Its public number.
        order_number: String = "order_number",
        /// When it was completed; with the offset of some place, not `Z`.
        completed_at: Timestamp = "completed_at",
        /// The plans that it came from.
        treatment_plan_ids: Vec<TreatmentPlanId> = "treatment_plan_ids",
        /// Who placed it.
        patient_id: PatientId = "patient_id",
        /// The practitioners of the plans; only the newest pages have it.
        practitioner_ids: Vec<PractitionerId> = "practitioner_ids",
        /// What was bought.
        line_items: Vec<LineItemData> = "line_items",
    }

    /// A line of an order.
    pub struct LineItemData {
        /// What was bought.
        variant_id: VariantId = "variant_id",
        /// How many.
        quantity: i64 = "quantity",
        /// Supplement or labs; the pages call it `type` here and `lab_type`
        /// there.
        type_: LineItemType = "type" | "lab_type",
    }

    /// A lab order whose results have changed.
    pub struct LabOrderData {
        /// The lab order.
        id: LabOrderId = "id",
        /// Who ordered it.
        practitioner_id: PractitionerId = "practitioner_id",
        /// Whom it is for.
        patient_id: PatientId = "patient_id",
        /// First name of the patient.
        first_name: String = "first_name",
        /// Last name of the patient.
        last_name: String = "last_name",
        /// Address of the patient.
        email: String = "email",
        /// The state in the words of the REST API: webhooks say
        /// `results_received` for `partial_results`, and
        /// `all_results_received` for `results_ready`.
        state: LabOrderState = "status" | "state",
    }

    /// A treatment plan, or one with a changed recommendation.
    pub struct TreatmentPlanData {
        /// The plan.
        id: TreatmentPlanId = "id",
        /// Whether it is active; sent as the text `"true"`.
        active: bool = "active",
        /// The state, which events had in 2021 in place of `active`.
        state: TreatmentPlanState = "state",
        /// When the patient was sent the plan: a date or a time.
        available_at: Timestamp = "available_at",
        /// Whom it is for; only the newest pages have it.
        patient: PatientReferenceData = "patient",
        /// Who wrote it; only the newest pages have it.
        practitioner: PractitionerReferenceData = "practitioner",
        /// The recommended products.
        recommendations: Vec<RecommendationData> = "recommendations",
        /// The attached files.
        resources: Vec<ResourceData> = "resources",
        /// The recommended labs.
        lab_recommendations: Vec<LabRecommendationData> = "lab_recommendations",
    }

    /// Which patient.
    pub struct PatientReferenceData {
        /// The patient.
        id: PatientId = "id",
    }

    /// Which practitioner.
    pub struct PractitionerReferenceData {
        /// The practitioner.
        id: PractitionerId = "id",
    }

    /// A recommended product.
    pub struct RecommendationData {
        /// What is recommended.
        variant_id: VariantId = "variant_id",
        /// Whether the patient is reminded to buy again.
        refill: bool = "refill",
        /// How many units.
        units_to_purchase: i64 = "units_to_purchase",
        /// What to take it with.
        take_with: String = "take_with",
        /// How to take it.
        dosage: DosageData = "dosage",
    }

    /// How to take a product.
    pub struct DosageData {
        /// A number, range or fraction such as `1`, `1-2` or `1/2`.
        amount: String = "amount" | "recommended_amount",
        /// How often.
        frequency: DosageFrequency = "frequency" | "recommended_frequency",
        /// For how long: a number of days or words.
        duration: String = "duration" | "recommended_duration",
        /// Capsule, liquid and the like.
        format: DosageFormat = "format",
        /// More to know.
        additional_info: String = "additional_info",
        /// When in the day.
        time_of_day: Vec<String> = "time_of_day",
    }

    /// A file attached to a plan.
    pub struct ResourceData {
        /// The file.
        id: ResourceId = "id",
        /// Where it can be had.
        attachment_url: String = "attachment_url",
        /// What it is about.
        category: ResourceCategory = "category",
        /// Its name.
        name: String = "name",
        /// Guide, handout and the like.
        type_: ResourceType = "type",
    }

    /// A recommended lab.
    pub struct LabRecommendationData {
        /// The recommendation.
        id: String = "id",
        /// Its name.
        name: String = "name",
        /// Whether the patient has to fast.
        requires_fasting: bool = "requires_fasting",
        /// What the patient has to do.
        instructions: String = "instructions",
        /// The tests in it.
        tests: Vec<LabTestData> = "tests",
    }

    /// A lab test.
    pub struct LabTestData {
        /// The test.
        id: LabTestId = "id",
        /// Its name.
        name: String = "name",
    }

    /// A patient.
    pub struct PatientData {
        /// The patient.
        id: PatientId = "id",
        /// First name.
        first_name: String = "first_name",
        /// Last name.
        last_name: String = "last_name",
        /// Address for mail.
        email: String = "email",
        /// Date of birth.
        date_of_birth: Date = "date_of_birth",
        /// Biological sex.
        gender: Gender = "gender",
        /// The patient's own discount in percent.
        discount: Decimal = "discount",
        /// The discount in percent with the clinic's.
        total_discount: Decimal = "total_discount",
        /// Number of the mobile telephone.
        mobile_number: String = "mobile_number",
        /// Whether the patient takes text messages.
        text_message_notification: bool = "text_message_notification",
        /// Whether a guardian acts for the patient; with `patient.emancipated`.
        is_dependent: bool = "is_dependent",
        /// The guardian; with `patient.emancipated`.
        guardian_patient_id: PatientId = "guardian_patient_id",
    }

    /// A product; the documented samples have no id.
    pub struct ProductData {
        /// The product.
        id: ProductId = "id",
        /// Its name.
        name: String = "name",
        /// Its description, in HTML.
        description_html: String = "description_html",
        /// Its availability, summed over the variants.
        status: ProductStatus = "status",
        /// Who makes it.
        brand: BrandData = "brand",
        /// How to take it.
        dosage: DosageData = "dosage",
        /// The packages that it comes in.
        variants: Vec<VariantData> = "variants",
    }

    /// Who makes a product.
    pub struct BrandData {
        /// The brand.
        id: BrandId = "id",
        /// Its name.
        name: String = "name",
        /// What its SKUs begin with.
        prefix: String = "prefix",
    }

    /// A package of a product.
    pub struct VariantData {
        /// The variant.
        id: VariantId = "id",
        /// The vendor's SKU.
        sku: String = "sku",
        /// The maker's SKU.
        supplier_sku: String = "supplier_sku",
        /// The code on the package (UPC or EAN-13).
        upc: String = "upc",
        /// The suggested price.
        msrp: Decimal = "msrp",
        /// What a unit is (capsules, mL).
        unit_of_measure: String = "unit_of_measure",
        /// Units in the package.
        units: i64 = "units",
        /// Whether it can be bought.
        status: VariantStatus = "status",
        /// Whether it is the one shown first.
        primary: bool = "primary",
    }
}

impl EventData {
    /// Reads the payload of an event of this type.
    pub(super) fn read(type_: &EventType, data: Option<&Value>) -> Self {
        // One schema of 2021 declares the payload as a string.
        let parsed: Option<Map<_, _>> = data
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok());
        let payload = data.and_then(Value::as_object).or(parsed.as_ref());
        let known = payload.and_then(|payload| Self::known(type_, payload));
        known.unwrap_or_else(|| Self::Unknown(data.cloned().unwrap_or_default()))
    }
}

/// What a payload may hold beside the object that the event is about.
trait ReadBeside {
    fn read_beside(&mut self, _payload: &Map<String, Value>) {}
}

impl ReadBeside for OrderData {}
impl ReadBeside for LabOrderData {}
impl ReadBeside for PatientData {}
impl ReadBeside for ProductData {}

impl ReadBeside for TreatmentPlanData {
    /// Whether patient and practitioner stand in the plan or beside it is not documented.
    fn read_beside(&mut self, payload: &Map<String, Value>) {
        let patient = self.patient.take();
        self.patient = patient.or_else(|| field(payload, &["patient"]));
        let practitioner = self.practitioner.take();
        self.practitioner = practitioner.or_else(|| field(payload, &["practitioner"]));
    }
}

impl std::fmt::Debug for EventData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple(self.name()).finish_non_exhaustive()
    }
}

/// The object under a key that names it, or the payload itself where it is not
/// wrapped.
fn inner<'j>(object: &'j Map<String, Value>, wrapper: &str) -> &'j Map<String, Value> {
    let inner = object.get(wrapper).and_then(Value::as_object);
    inner.unwrap_or(object)
}
