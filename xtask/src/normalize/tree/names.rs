//! Conversion of names of the document to Rust names.

use heck::{ToPascalCase, ToSnakeCase};

/// Type names that would conflict with types that the generated code uses.
const TAKEN: &str = "\
    Box Client Clone Copy Debug Default Deserialize Display Eq Err Error From FromStr Hash Into \
    Iterator None Ok Option Ord PartialEq PartialOrd RequestBuilderExt Result Self Send Serialize \
    Some String ToString TryFrom TryInto Vec";

/// Returns whether generated code uses a type of this name.
pub(crate) fn is_taken_type(name: &str) -> bool {
    TAKEN.split_whitespace().any(|taken| taken == name)
}

/// Returns a Rust type name that does not conflict with generated code.
pub(crate) fn pascal(text: &str) -> String {
    // Applied twice, because `AB` becomes `Ab` only the second time.
    let name = words(text).to_pascal_case().to_pascal_case();
    match name.chars().next() {
        None => "Unnamed".into(),
        Some(first) if first.is_numeric() => format!("N{name}"),
        Some(_) if is_taken_type(&name) => format!("{name}Object"),
        Some(_) => name,
    }
}

/// Returns a Rust function or field name.
pub(crate) fn snake(text: &str) -> String {
    let name = words(text).to_snake_case();
    match name.chars().next() {
        None => "unnamed".into(),
        Some(first) if first.is_numeric() => format!("n{name}"),
        Some(_) => name,
    }
}

/// Returns the Rust name that the generator gives a field.
pub(crate) fn field(text: &str) -> String {
    match text {
        "+1" => return "plus1".into(),
        "-1" => return "minus1".into(),
        _ => {}
    }
    let word = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    let plain: String = text.chars().filter(|c| *c != '\'').map(word).collect();
    let name = plain.to_snake_case();
    match name.chars().next() {
        Some(first) if first.is_numeric() => format!("x{name}"),
        _ => name,
    }
}

/// Returns the Rust name of a parameter. Signs that distinguish parameters become words:
/// `DateCreated<` is `date_created_lt`.
pub(crate) fn argument(text: &str) -> String {
    const SIGNS: [(&str, &str); 6] = [
        ("<=", "-lte-"),
        (">=", "-gte-"),
        ("!=", "-ne-"),
        ("<", "-lt-"),
        (">", "-gt-"),
        ("!", "-not-"),
    ];
    if !text.contains(['<', '>', '!']) {
        return snake(text);
    }
    let spelled = SIGNS.iter().fold(text.to_string(), |text, (sign, word)| {
        text.replace(sign, word)
    });
    snake(&spelled)
}

fn words(text: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    text.chars().map(word).collect()
}

/// Returns the singular of an English plural, for the names of lists.
pub(crate) fn singular(name: &str) -> String {
    const ENDINGS: [(&str, &str); 5] = [
        ("ies", "y"),
        ("sses", "ss"),
        ("ses", "se"),
        ("xes", "x"),
        ("s", ""),
    ];
    const SINGULAR: [&str; 3] = ["ss", "us", "is"];
    if SINGULAR.iter().any(|ending| name.ends_with(ending)) {
        return name.into();
    }
    let mut replaced = ENDINGS
        .iter()
        .filter_map(|(plural, singular)| Some(name.strip_suffix(plural)?.to_string() + singular));
    replaced.next().unwrap_or_else(|| name.into())
}

/// Returns `base`, or `base` with the first number that makes it unique.
pub(crate) fn unique(base: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(base) {
        return base.into();
    }
    let numbered = (2..).map(|number| format!("{base}{number}"));
    let mut free = numbered.filter(|name| !is_taken(name));
    free.next().expect("numbers never run out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rust_names() {
        assert_eq!(pascal("my-thing.v2"), "MyThingV2");
        assert_eq!(pascal("1st"), "N1st");
        assert_eq!(pascal("option"), "OptionObject");
        assert_eq!(pascal("日本"), "Unnamed");
        assert_eq!(snake("page[number]"), "page_number");
        assert_eq!(argument("page[number]"), "page_number");
        assert_eq!(argument("DateCreated<="), "date_created_lte");
    }

    #[test]
    fn lists_name_their_members() {
        let pairs = [
            ("categories", "category"),
            ("addresses", "address"),
            ("staff", "staff"),
            ("doses", "dose"),
            ("tests", "test"),
            ("status", "status"),
        ];
        for (plural, expected) in pairs {
            assert_eq!(singular(plural), expected);
        }
    }
}
