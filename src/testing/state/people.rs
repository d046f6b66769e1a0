//! Practitioners and staff, and the protocols, templates and resources of practitioners.

use serde_json::{Value, json};

use super::list::page;
use super::records::{Records, change, wrapped};
use super::{People, State, blank};
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::recorded::example;

impl State {
    pub(super) fn list_people(&self, people: People, call: &Call<'_>) -> Answer {
        page(call, people.names().0, self.people(people).iter().collect())
    }

    pub(super) fn get_person(&self, people: People, call: &Call<'_>) -> Answer {
        let person = self.people(people).find(call.variable("id"))?;
        Ok((200, wrapped(people.names().1, person)))
    }

    pub(super) fn create_person(&mut self, people: People, call: &Call<'_>) -> Answer {
        let body = call.body.unwrap_or(&Value::Null);
        self.check_person(people, "", body, &["first_name", "last_name", "email"])?;
        let mut person = self.new_person(people);
        change(&mut person, body);
        let answer = wrapped(people.names().1, &person);
        self.people_mut(people).insert(person);
        Ok((201, answer))
    }

    pub(super) fn update_person(&mut self, people: People, call: &Call<'_>) -> Answer {
        let (id, body) = (call.variable("id"), call.body.unwrap_or(&Value::Null));
        self.people(people).find(id)?;
        self.check_person(people, id, body, &[])?;
        let person = self.people_mut(people).find_mut(id)?;
        change(person, body);
        Ok((200, wrapped(people.names().1, person)))
    }

    /// Returns whether a user works at the clinic.
    pub(in crate::testing) fn employs(&self, id: &str) -> bool {
        self.practitioners.get(id).is_some() || self.staff.get(id).is_some()
    }

    /// Adds a user who connected to the practitioners of the clinic.
    pub(in crate::testing) fn add_connected_practitioner(&mut self, id: &str) {
        if !self.employs(id) {
            let mut practitioner = self.new_person(People::Practitioners);
            practitioner["id"] = id.into();
            practitioner["invite_accepted"] = true.into();
            self.practitioners.insert(practitioner);
        }
    }

    /// Lists the protocols or templates of a practitioner.
    pub(super) fn list_of_practitioner(&self, call: &Call<'_>, name: &str, one: &str) -> Answer {
        let practitioner = call.variable("practitioner_id");
        self.practitioners.find(practitioner)?;
        let of = format!("get_{one}");
        let owner = &example(&of)[one];
        let is_own =
            owner["practitioner"]["id"] == practitioner || owner["practitioner_id"] == practitioner;
        let recorded = example(call.operation.id)[name].as_array();
        let kept = recorded.into_iter().flatten().filter(|kept| {
            let state = call.argument("current_state");
            let ownership = call.argument("ownership_type");
            is_own
                && state.is_none_or(|state| kept["current_state"] == state)
                && ownership.is_none_or(|own| own == "all" || kept["ownership_type"] == own)
        });
        page(call, name, kept.collect())
    }

    /// The vendor's responses about resources are not known; these contain the resource as plans
    /// show it.
    pub(super) fn list_resources(&self, call: &Call<'_>) -> Answer {
        page(call, "resources", self.resources_of(call)?.iter().collect())
    }

    pub(super) fn get_resource(&self, call: &Call<'_>) -> Answer {
        let resource = self.resources_of(call)?.find(call.variable("id"))?;
        Ok((200, wrapped("resource", resource)))
    }

    pub(super) fn create_resource(&mut self, call: &Call<'_>) -> Answer {
        self.resources_of(call)?;
        let id = self.new_id("resource");
        let mut resource = json!({
            "id": id,
            "attachment_url": format!(
                "https://api-us-snd.fullscript.io/api/clinic/resources/{id}/download?type=practitioner_resource"
            ),
            "category": "Nutrition",
            "name": "",
            "type": "Handout",
        });
        change(&mut resource, call.body.unwrap_or(&Value::Null));
        let answer = wrapped("resource", &resource);
        let own = self
            .resources
            .entry(call.variable("practitioner_id").into());
        own.or_default().insert(resource);
        Ok((200, answer))
    }

    pub(super) fn update_resource(&mut self, call: &Call<'_>) -> Answer {
        self.resources_of(call)?.find(call.variable("id"))?;
        let own = self
            .resources
            .entry(call.variable("practitioner_id").into());
        let resource = own.or_default().find_mut(call.variable("id"))?;
        change(resource, call.body.unwrap_or(&Value::Null));
        Ok((200, wrapped("resource", resource)))
    }

    pub(super) fn delete_resource(&mut self, call: &Call<'_>) -> Answer {
        self.resources_of(call)?;
        let own = self
            .resources
            .entry(call.variable("practitioner_id").into());
        own.or_default().remove(call.variable("id"))?;
        Ok((204, Value::Null))
    }

    /// Returns the resources of the practitioner in the path, or a 404.
    fn resources_of(&self, call: &Call<'_>) -> Result<&Records, Refusal> {
        static NONE: std::sync::LazyLock<Records> = std::sync::LazyLock::new(Records::default);
        let practitioner = call.variable("practitioner_id");
        self.practitioners.find(practitioner)?;
        Ok(self.resources.get(practitioner).unwrap_or(&NONE))
    }

    pub(super) fn new_person(&mut self, people: People) -> Value {
        let (kind, count) = (people.names().1, self.people(people).len() + 1);
        let mut person = json!({
            "id": self.new_id(kind),
            "first_name": "Example",
            "last_name": "Person",
            "email": format!("{kind}.{count}@example.com"),
            "metadata": {"id": null},
        });
        if people == People::Practitioners {
            let types = &example("list_practitioner_types")["practitioner_types"];
            person["practitioner_type_id"] = types[0]["id"].clone();
            person["invite_accepted"] = false.into();
        }
        person
    }

    fn check_person(
        &self,
        people: People,
        id: &str,
        body: &Value,
        needed: &[&str],
    ) -> Result<(), Refusal> {
        let mut reasons = blank(body, needed);
        if let Some(email) = body["email"].as_str() {
            if !email.contains('@') {
                reasons.push("Email is invalid".into());
            } else if self.people(people).has_another(id, "email", email) {
                reasons.push("Email has already been taken".into());
            }
        }
        Refusal::if_any(&reasons)
    }

    fn people(&self, people: People) -> &Records {
        match people {
            People::Practitioners => &self.practitioners,
            People::Staff => &self.staff,
        }
    }

    fn people_mut(&mut self, people: People) -> &mut Records {
        match people {
            People::Practitioners => &mut self.practitioners,
            People::Staff => &mut self.staff,
        }
    }
}
