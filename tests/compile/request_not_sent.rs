#![deny(unused_must_use)]

fn main() {
    let client = fullscript::Client::builder(fullscript::Environment::UsSandbox)
        .build()
        .unwrap();
    client.get_clinic();
    client.list_patients().page_size(100);
}
