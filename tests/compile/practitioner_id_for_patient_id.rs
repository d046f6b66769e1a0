//! Ids of different types cannot be confused.

use fullscript::Client;
use fullscript::types::PractitionerId;

fn call(client: &Client, practitioner: PractitionerId) {
    client.get_patient().id(practitioner);
}

fn main() {}
