//! The product catalog, and other read-only data as recorded.

use serde_json::{Value, json};

use super::State;
use super::list::page;
use super::records::{fill, id_of, wrapped};
use crate::testing::server::call::{Answer, Call, Refusal};
use crate::testing::server::recorded::example;

impl State {
    pub(super) fn list_products(&self, call: &Call<'_>) -> Answer {
        let listed: Vec<Value> = self.products.iter().map(listed).collect();
        page(call, "products", listed.iter().collect())
    }

    pub(super) fn list_similar_products(&self, call: &Call<'_>) -> Answer {
        self.products.find(call.variable("product_id"))?;
        self.list_products(call)
    }

    pub(super) fn list_category_products(&self, call: &Call<'_>) -> Answer {
        let category = &example("get_category")["category"];
        if id_of(category) == call.variable("category_id") {
            self.list_products(call)
        } else {
            Err(Refusal::not_found())
        }
    }

    /// Searches by words of the name and by brand. Products have no values for the other arguments,
    /// so these exclude no product.
    pub(super) fn search_products(&self, call: &Call<'_>) -> Answer {
        let query = call.argument("query").unwrap_or_default().to_lowercase();
        let brand = call.argument("brand_id");
        let is_found = |product: &&Value| {
            let name = product["name"].as_str().unwrap_or_default().to_lowercase();
            let is_named = query.split_whitespace().all(|word| name.contains(word));
            is_named && brand.is_none_or(|brand| product["brand"]["id"] == brand)
        };
        let found = self.products.iter().filter(is_found);
        let found: Vec<Value> = found.map(listed).collect();
        page(call, "products", found.iter().collect())
    }

    pub(super) fn get_product(&self, call: &Call<'_>) -> Answer {
        let product = self.products.find(call.variable("id"))?;
        Ok((200, wrapped("product", product)))
    }

    pub(super) fn get_variant(&self, call: &Call<'_>) -> Answer {
        let id = call.variable("id");
        let (product, variant) = self.with_variant(id).ok_or_else(Refusal::not_found)?;
        let mut variant = variant.clone();
        variant["product"] = json!({
            "id": product["id"],
            "name": product["name"],
            "brand": product["brand"],
        });
        Ok((200, json!({ "variant": variant })))
    }

    /// Adds a product to the catalog and emits its event.
    pub(in crate::testing) fn add_product(&mut self, given: &Value) -> Value {
        let product = fill(self.new_product("Example Capsules", 1_999), given);
        self.products.insert(product.clone());
        // The vendor's sample event has no wrapper and no id.
        let mut event_data = product.clone();
        event_data
            .as_object_mut()
            .map(|event_data| event_data.remove("id"));
        self.emit("product.created", event_data);
        product
    }

    /// Creates a product with two variants, the second at twice the price.
    pub(super) fn new_product(&mut self, name: &str, cents: u64) -> Value {
        let recorded = &example("get_product")["product"];
        let mut product = recorded.clone();
        let number = self.products.len() + 1;
        product["id"] = self.new_id("product").into();
        product["name"] = name.into();
        product["variants"] = [1, 2]
            .map(|packages| {
                let mut variant = recorded["variants"][0].clone();
                let price = cents * packages;
                variant["id"] = self.new_id("variant").into();
                variant["sku"] = format!("FAKE-{number:04}-{packages}").into();
                variant["msrp"] = format!("{}.{:02}", price / 100, price % 100).into();
                variant["primary"] = (packages == 1).into();
                variant
            })
            .to_vec()
            .into();
        product
    }

    /// Returns a variant by its id.
    pub(super) fn variant(&self, id: &str) -> Option<&Value> {
        self.with_variant(id).map(|(_, variant)| variant)
    }

    fn with_variant(&self, id: &str) -> Option<(&Value, &Value)> {
        self.products.iter().find_map(|product| {
            let mut variants = product["variants"].as_array()?.iter();
            let variant = variants.find(|variant| variant["id"] == id)?;
            Some((product, variant))
        })
    }
}

/// Returns a product as lists show it: with its first variant only.
fn listed(product: &Value) -> Value {
    let mut listed = product.clone();
    let variants = product["variants"].as_array();
    listed["variant_count"] = variants.map_or(0, Vec::len).into();
    listed["primary_variant"] = product["variants"][0].clone();
    listed["status"] = "available".into();
    listed
}
