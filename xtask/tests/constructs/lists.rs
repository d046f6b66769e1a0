//! Which operations of a document are lists that can be streamed, and what is
//! said of those that can't.

use xtask::codegen::generate;
use xtask::normalize::derive;

use crate::construct::{OVERLAY, constructs};

/// The client generated of a construct, without spaces and line breaks.
fn client_of(name: &str) -> String {
    let construct = constructs()[name].document();
    let document = derive(&construct, OVERLAY).unwrap().document;
    let client = generate(&document.to_string()).unwrap().client;
    let client: String = client.split_whitespace().collect();
    // The formatter ends what it breaks into lines with a comma.
    client.replace(",>", ">").replace(",)", ")")
}

#[test]
fn a_list_is_streamed_wherever_its_answer_has_it() {
    for (name, stream, list) in [
        ("l_root_at_once", "Pages<types::Thing>", "List::at_once("),
        ("l_root_paged", "Pages<types::Thing>", "List::in_pages("),
        (
            "l_named_root_paged",
            "Pages<types::Thing>",
            "List::in_pages(",
        ),
        ("l_object_at_once", "Pages<types::Thing>", "List::at_once("),
        (
            "l_of_text_paged",
            "Pages<::std::string::String>",
            "List::in_pages(",
        ),
        (
            "l_of_objects_paged",
            "Pages<::serde_json::Map<::std::string::String,::serde_json::Value>>",
            "List::in_pages(",
        ),
        (
            "l_any_paged",
            "Pages<::serde_json::Value>",
            "List::in_pages(",
        ),
        (
            "l_page_number_with_bounds",
            "Pages<types::Thing>",
            "List::in_pages(",
        ),
        (
            "l_argument_called_client",
            "Pages<types::Thing>",
            "List::in_pages(",
        ),
    ] {
        let client = client_of(name);
        let stream = format!("pubfnpages(self)->crate::{stream}");
        assert!(client.contains(&stream), "{name}");
        assert!(client.contains(list), "{name}");
    }
}

#[test]
fn a_paged_list_that_cannot_be_streamed_says_why() {
    for (name, reason) in [
        ("l_two_lists_paged", "its answer holds 2 lists"),
        ("l_argument_called_pages", "an argument is called `pages`"),
        (
            "l_page_number_of_text",
            "it has no `page_number` that is an integer",
        ),
        ("l_scalar_paged", "its answer is no object"),
    ] {
        let client = client_of(name);
        let note = format!("It has no `pages()`: {reason}.").replace(' ', "");
        assert!(client.contains(&note), "{name}");
        assert!(!client.contains("crate::Pages<"), "{name}");
    }
}

#[test]
fn an_object_is_no_list() {
    let client = client_of("d_md");
    assert!(!client.contains("crate::Pages<") && !client.contains("It has no `pages()`"));
}
