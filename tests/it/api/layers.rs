//! The modules of `src/` stand in layers: a module depends on lower ones only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Item, UseTree};

use crate::support::rust_files;

/// From the top layer to the lowest, as in `ARCHITECTURE.md`. Modules of one layer may depend on
/// each other, but not circularly.
const LAYERS: [&[&str]; 10] = [
    &["testing"],
    &[
        "encryption",
        "fetch",
        "postgres",
        "replay",
        "sqlite",
        "tools",
    ],
    &["client"],
    &["call"],
    &["error"],
    &["auth"],
    &["transport"],
    &["embed"],
    &["treatment_plan", "webhook"],
    &[
        "clock",
        "environment",
        "lock",
        "operations",
        "text",
        "types",
        "value",
    ],
];

/// One module's use of another.
struct Dependency {
    from: String,
    on: String,
    place: String,
}

#[test]
fn no_module_depends_on_a_higher_one() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let dependencies = dependencies();
    assert!(dependencies.len() > 100, "the sources were not read");
    let upward: Vec<_> = dependencies
        .iter()
        .filter(|dependency| layer(&dependency.from) > layer(&dependency.on))
        .map(|Dependency { from, on, place }| format!("{place}: `{from}` uses the higher `{on}`"))
        .collect();
    assert!(upward.is_empty(), "\n{}\n", upward.join("\n"));
}

#[test]
fn no_modules_depend_on_each_other_in_a_circle() {
    let mut uses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for Dependency { from, on, place } in dependencies() {
        uses.entry(from).or_default().entry(on).or_insert(place);
    }
    // A module without remaining dependencies is in no circle.
    loop {
        let left: BTreeSet<String> = uses.keys().cloned().collect();
        uses.values_mut()
            .for_each(|on| on.retain(|module, _| left.contains(module)));
        uses.retain(|_, on| !on.is_empty());
        if uses.len() == left.len() {
            break;
        }
    }
    assert!(uses.is_empty(), "a circle is among: {uses:#?}");
}

#[test]
fn the_architecture_shows_the_same_layers() {
    const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");
    let shown: Vec<_> = LAYERS.iter().map(|layer| layer.join(" ")).collect();
    let shown = format!("```text\n{}\n```", shown.join("\n"));
    assert!(
        ARCHITECTURE.contains(&shown),
        "ARCHITECTURE.md lacks\n{shown}"
    );
}

/// All dependencies between the modules that `lib.rs` declares, the generated code included.
fn dependencies() -> Vec<Dependency> {
    let source = Path::new(super::ROOT).join("src");
    let library = std::fs::read_to_string(source.join("lib.rs")).unwrap();
    let library = syn::parse_file(&library).unwrap();
    let (mut modules, mut exports) = (BTreeSet::new(), BTreeMap::new());
    collect(&library.items, &mut modules, &mut exports);
    for hidden in ["exports", "guide", "readme"] {
        modules.remove(hidden);
    }
    let listed: BTreeSet<_> = LAYERS.concat().iter().map(ToString::to_string).collect();
    assert_eq!(modules, listed, "the layers list the modules of lib.rs");

    let mut found = Vec::new();
    let mut read = |module: &str, depth: usize, name: &str, text: &str| {
        let mut reader = Reader {
            modules: &modules,
            exports: &exports,
            found: Vec::new(),
        };
        reader.tokens(text.parse().unwrap(), depth);
        let found_here = reader.found.into_iter().filter(|(_, on)| on != module);
        found.extend(found_here.map(|(line, on)| Dependency {
            from: module.into(),
            on,
            place: format!("{name}:{line}"),
        }));
    };
    for (file, text) in rust_files(&source) {
        let name = file.strip_prefix(&source).unwrap();
        let first = Path::new(name.iter().next().unwrap()).file_stem().unwrap();
        let module = first.to_str().unwrap();
        if modules.contains(module) {
            let is_folder = name.ends_with("mod.rs");
            let depth = name.components().count() - usize::from(is_folder);
            read(module, depth, &format!("src/{}", name.display()), &text);
        }
    }
    let client = &super::GENERATED.client;
    read("client", 2, "the generated client.rs", client);
    let types = &super::GENERATED.types;
    read("types", 1, "the generated types.rs", types);
    found
}

/// The modules of the crate, and the module of each name that its root exports.
fn collect(items: &[Item], modules: &mut BTreeSet<String>, exports: &mut BTreeMap<String, String>) {
    for item in items {
        match item {
            Item::Mod(module) => {
                modules.insert(module.ident.to_string());
                if let Some((_, items)) = &module.content {
                    collect(items, modules, exports);
                }
            }
            Item::Use(import) => export(&import.tree, None, exports),
            _ => {}
        }
    }
}

fn export(tree: &UseTree, module: Option<&str>, exports: &mut BTreeMap<String, String>) {
    match tree {
        UseTree::Path(path) if path.ident == "crate" => export(&path.tree, None, exports),
        UseTree::Path(path) => {
            let own = path.ident.to_string();
            export(&path.tree, Some(module.unwrap_or(&own)), exports);
        }
        UseTree::Group(group) => {
            let trees = group.items.iter();
            trees.for_each(|tree| export(tree, module, exports));
        }
        UseTree::Name(name) => {
            let module = module.map(str::to_string);
            exports.extend(module.map(|module| (name.ident.to_string(), module)));
        }
        UseTree::Rename(_) | UseTree::Glob(_) => {}
    }
}

/// Finds the paths of a file that lead to a module of the crate.
struct Reader<'m> {
    modules: &'m BTreeSet<String>,
    exports: &'m BTreeMap<String, String>,
    found: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// `depth` is the number of `super` steps from here to the crate root.
    fn tokens(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            // The modules of files are counted by their directories, inline modules here.
            let in_file = at > 1 && is(&tokens[at - 2], "mod");
            if let TokenTree::Group(group) = &tokens[at] {
                self.tokens(group.stream(), depth + usize::from(in_file));
            }
            let supers = supers(&tokens[at..]);
            if is(&tokens[at], "crate") && colons_follow(&tokens, at + 1) {
                self.lead_to(&tokens[at + 3..]);
            } else if supers == depth && supers > 0 && at + 3 * supers < tokens.len() {
                self.lead_to(&tokens[at + 3 * supers..]);
            }
            at += 3 * supers + usize::from(supers == 0);
        }
    }

    /// Returns the module of a path that starts at the crate root.
    fn lead_to(&mut self, path: &[TokenTree]) {
        match path.first() {
            Some(TokenTree::Ident(name)) => {
                let name_text = name.to_string();
                let module = if self.modules.contains(&name_text) {
                    Some(&name_text)
                } else {
                    self.exports.get(&name_text)
                };
                let line = name.span().start().line;
                self.found
                    .extend(module.map(|module| (line, module.clone())));
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let names: Vec<TokenTree> = group.stream().into_iter().collect();
                let starts = names.split(
                    |token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','),
                );
                starts.for_each(|name| self.lead_to(name));
            }
            _ => {}
        }
    }
}

fn is(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Returns whether `::` is at this position.
fn colons_follow(tokens: &[TokenTree], at: usize) -> bool {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// Returns the number of consecutive `super::`.
fn supers(tokens: &[TokenTree]) -> usize {
    let mut count = 0;
    while tokens
        .get(3 * count)
        .is_some_and(|token| is(token, "super"))
        && colons_follow(tokens, 3 * count + 1)
    {
        count += 1;
    }
    count
}
