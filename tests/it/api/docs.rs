//! The language of the public documentation: findable words, verbs first, error texts listed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, ImplItem, Item};

use crate::support::{is_public, rust_files};

/// Phrases of a private style, with the field's words that replace them.
const PHRASES: [(&str, &str); 26] = [
    ("whoever", "name the subject"),
    (" is none ", "missing, invalid"),
    (" are none ", "missing, invalid"),
    ("there is none", "missing, without"),
    ("there are none", "missing, without"),
    ("so many ", "the number of"),
    ("as good as", "equivalent to"),
    ("by hand of", "by"),
    ("comes of ", "is caused by"),
    ("is had ", "is available"),
    ("goes on by itself", "continues"),
    (" mend ", "fix"),
    (" mended", "fixed"),
    ("heed", "honor"),
    ("befall", "happen to"),
    (" lest ", "so that .. does not"),
    ("tried again", "retried"),
    ("try it again", "retry"),
    ("is told", "is returned, reported, emitted, notified"),
    ("are told", "are returned, reported, emitted, notified"),
    ("hear of", "receive, learn"),
    ("unless told", "default:"),
    ("the limit of requests", "rate limit"),
    ("the call's time", "timeout, deadline"),
    ("harm twice", "idempotent"),
    ("login that lasts", "tokens that refresh automatically"),
];

/// Words that users search for. Each stands in the README or in a guide.
const GLOSSARY: [&str; 34] = [
    "retry",
    "backoff",
    "jitter",
    "retry budget",
    "timeout",
    "deadline",
    "rate limit",
    "permit",
    "concurrency",
    "in-flight",
    "pagination",
    "page",
    "cursor",
    "resume",
    "response",
    "request",
    "idempotent",
    "idempotency key",
    "reconnect",
    "access token",
    "refresh token",
    "token set",
    "persist",
    "lease",
    "compare-and-swap",
    "deduplicate",
    "claim",
    "acknowledge",
    "webhook delivery",
    "signature",
    "challenge",
    "decode",
    "unknown value",
    "OpenAPI",
];

/// The place of the generated client in messages.
const GENERATED: &str = "the generated client.rs";

#[test]
fn the_first_line_of_each_public_function_starts_with_a_verb() {
    let mut found = Vec::new();
    let mut functions = 0;
    for (path, text) in sources() {
        let file = syn::parse_file(&text).unwrap();
        let mut check = |name: &syn::Ident, attributes: &[Attribute]| {
            let Some(line) = first_line(attributes) else {
                return;
            };
            functions += 1;
            let first = line.split_whitespace().next().unwrap_or_default();
            if !is_third_person(first) {
                found.push(format!("{}: {name}: {line}", path.display()));
            }
        };
        let inner = file.items.iter().flat_map(|item| match item {
            Item::Mod(module) => module.content.as_ref().map_or(&[][..], |(_, items)| items),
            _ => &[],
        });
        for item in file.items.iter().chain(inner) {
            match item {
                // The first lines of operations are the vendor's.
                Item::Impl(block) if is_generated(&path) && is_client(block) => {}
                Item::Fn(function) if is_public(&function.vis) => {
                    check(&function.sig.ident, &function.attrs);
                }
                Item::Impl(block) if block.trait_.is_none() => {
                    for member in &block.items {
                        if let ImplItem::Fn(method) = member
                            && is_public(&method.vis)
                        {
                            check(&method.sig.ident, &method.attrs);
                        }
                    }
                }
                Item::Trait(item) if is_public(&item.vis) => {
                    for member in &item.items {
                        if let syn::TraitItem::Fn(method) = member {
                            check(&method.sig.ident, &method.attrs);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    assert!(functions > 250, "only {functions} functions were read");
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_text_has_a_phrase_of_a_private_style() {
    let mut found = Vec::new();
    let mut check = |place: &Path, text: &str| {
        let text = text.to_lowercase();
        for (phrase, better) in PHRASES {
            // Not `tried against`.
            let ends = |rest: &str| !rest.starts_with(char::is_alphabetic);
            if text.split(phrase).skip(1).any(ends) {
                found.push(format!(
                    "{}: `{phrase}` ({better}): {text}",
                    place.display()
                ));
            }
        }
    };
    // The generated texts are the vendor's, those that the generator adds are ours.
    let sources = sources()
        .into_iter()
        .filter(|(path, _)| !is_generated(path));
    for (path, text) in sources.chain(library_files("codegen")) {
        let mut texts = Texts::default();
        texts.visit_file(&syn::parse_file(&text).unwrap());
        texts.0.iter().for_each(|text| check(&path, text));
    }
    let others =
        ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    for path in documents().into_iter().chain(others) {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().for_each(|line| check(&path, line));
    }
    // Comments and the names of functions, also in tests.
    for folder in [
        "src", "codegen", "tests", "xtask", "examples", "benches", "fuzz",
    ] {
        for (path, text) in rust_files(&root().join(folder)) {
            let lines = text.lines().filter(|_| !path.ends_with(file!()));
            for line in lines {
                if let Some((_, comment)) = line.split_once("//") {
                    check(&path, comment);
                }
                if let Some((_, name)) = line.split_once("fn ") {
                    check(&path, &name.replace('_', " "));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn users_find_the_words_that_they_search_for() {
    let texts: String = documents()
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap().to_lowercase())
        .collect();
    let missing: Vec<_> = GLOSSARY
        .iter()
        .filter(|word| !has_word(&texts, &word.to_lowercase()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Returns whether a text has a word or its plural, and not only as a part of another word.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let after = after.strip_prefix('s').unwrap_or(after);
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

/// The table of the errors guide holds the texts of the code, with `…` for what varies, up to the
/// advice that follows a semicolon.
#[test]
fn the_errors_guide_lists_the_texts_of_the_errors() {
    const GUIDE: &str = include_str!("../../../src/guide/errors.md");
    let mut written = BTreeSet::new();
    for (place, ty) in [
        ("error/display.rs", "Error"),
        ("auth/error.rs", "AuthError"),
        ("auth/error.rs", "CallbackFault"),
        ("replay/error.rs", "ReplayError"),
    ] {
        let text = std::fs::read_to_string(root().join("src").join(place)).unwrap();
        let texts = display_texts(&text, ty);
        assert!(!texts.is_empty(), "{ty} has no `Display` in {place}");
        written.extend(texts);
    }
    let (_, table) = GUIDE.split_once("## Texts to search for").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(text, _)| text.to_string())
        .collect();
    let unlisted: Vec<_> = written.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&written).collect();
    assert!(
        unlisted.is_empty() && stale.is_empty(),
        "not listed: {unlisted:#?}\nnot in the code: {stale:#?}"
    );
}

/// The texts that the `Display` of a type writes, as the guide lists them.
fn display_texts(source: &str, ty: &str) -> BTreeSet<String> {
    let file = syn::parse_file(source).unwrap();
    let mut texts = Texts::default();
    for item in &file.items {
        if let Item::Impl(block) = item
            && let Some((of, _)) = &block.trait_
            && of
                .segments
                .last()
                .is_some_and(|last| last.ident == "Display")
            && matches!(&*block.self_ty, syn::Type::Path(own) if own.path.is_ident(ty))
        {
            texts.visit_item_impl(block);
        }
    }
    let texts = texts.0.iter().map(|text| listed(text));
    let is_text = |text: &String| text.starts_with(char::is_alphabetic) && text.contains(' ');
    texts.filter(is_text).collect()
}

/// `timed out waiting for …` of `timed out waiting for {place}; retry later`.
fn listed(text: &str) -> String {
    let what_failed = text.split(';').next().unwrap_or_default();
    let parts = what_failed
        .split('{')
        .map(|part| match part.split_once('}') {
            Some((_, fixed)) => format!("…{fixed}"),
            None => part.to_string(),
        });
    parts.collect::<String>().trim().to_string()
}

/// Documentation and string literals.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

impl Texts {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => self.tokens(group.stream()),
                proc_macro2::TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.0.push(text.value());
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_third_person(word: &str) -> bool {
    // `Never sends ..` is as good.
    word == "Never"
        || word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.ends_with('s')
            && ![
                "This", "Its", "As", "Whose", "Is", "Was", "Has", "Does", "Says", "Tells",
            ]
            .contains(&word)
}

fn is_generated(path: &Path) -> bool {
    path == Path::new(GENERATED)
}

fn is_client(block: &syn::ItemImpl) -> bool {
    matches!(&*block.self_ty, syn::Type::Path(own) if own.path.is_ident("Client"))
}

fn first_line(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) => Some(text.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        })
}

fn root() -> &'static Path {
    Path::new(super::ROOT)
}

/// The README and the guides.
fn documents() -> Vec<PathBuf> {
    let guides = std::fs::read_dir(root().join("src/guide")).unwrap();
    let guides = guides.map(|entry| entry.unwrap().path());
    let guides = guides.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    std::iter::once(root().join("README.md"))
        .chain(guides)
        .collect()
}

/// The sources of the library and what was generated, without unit tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = vec![(PathBuf::from(GENERATED), super::GENERATED.client.clone())];
    found.extend(library_files("src"));
    found
}

/// The Rust files of a directory, without unit tests.
fn library_files(folder: &str) -> impl Iterator<Item = (PathBuf, String)> {
    let files = rust_files(&root().join(folder)).into_iter();
    let files = files.filter(|(path, _)| {
        !path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
    });
    files.map(|(path, text)| {
        let own = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        (path, own.to_string())
    })
}
