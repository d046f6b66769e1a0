//! Which operations of a document are lists that can be streamed, and what is
//! said of those that can't.

use xtask::codegen::generate;
use xtask::normalize::derive;

use crate::construct::{Construct, OVERLAY, constructs};

/// The client generated of a construct, without spaces and line breaks.
fn client_of(construct: &Construct) -> String {
    let document = derive(&construct.document(), OVERLAY).unwrap().document;
    let client = generate(&document.to_string()).unwrap().client;
    let client: String = client.split_whitespace().collect();
    // The formatter ends what it breaks into lines with a comma.
    client.replace(",>", ">").replace(",)", ")")
}

#[test]
fn a_list_is_streamed_wherever_its_answer_has_it() {
    let mut count = 0;
    for (name, construct) in constructs() {
        let Some((record, list)) = &construct.streamed else {
            continue;
        };
        let client = client_of(&construct);
        let stream = format!("pubfnpages(self)->crate::Pages<{record}>");
        assert!(client.contains(&stream), "{name}");
        assert!(client.contains(&format!("List::{list}(")), "{name}");
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
