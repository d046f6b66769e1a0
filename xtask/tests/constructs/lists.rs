//! The operations of a document that are streamable lists, and the documentation of the others.

use xtask::codegen::generate;
use xtask::normalize::derive;

use crate::construct::{Construct, OVERLAY, constructs};

/// The generated client of a construct, without spaces and line breaks.
fn client_of(construct: &Construct) -> String {
    let document = derive(&construct.document(), OVERLAY).unwrap().document;
    let client = generate(&document.to_string()).unwrap().client;
    let client: String = client.split_whitespace().collect();
    // The formatter adds trailing commas when it breaks lines.
    client.replace(",>", ">").replace(",)", ")")
}

#[test]
fn a_list_is_streamed_from_any_place_of_its_response() {
    let mut count = 0;
    for (name, construct) in constructs() {
        let Some((record, paged)) = &construct.streamed else {
            continue;
        };
        let client = client_of(&construct);
        let stream = format!("pubfnpages(self)->crate::Pages<{record}>");
        assert!(client.contains(&stream), "{name}");
        assert!(client.contains(&format!("paged:{paged},")), "{name}");
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn a_paged_list_that_cannot_be_streamed_says_why() {
    let mut count = 0;
    for (name, construct) in constructs() {
        let Some(reason) = &construct.not_streamed else {
            continue;
        };
        let client = client_of(&construct);
        let note = format!("There is no `pages()`: {reason}.").replace(' ', "");
        assert!(client.contains(&note), "{name}");
        assert!(!client.contains("crate::Pages<"), "{name}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn an_object_is_no_list() {
    let client = client_of(&constructs()["d_md"]);
    assert!(!client.contains("crate::Pages<") && !client.contains("There is no `pages()`"));
}
