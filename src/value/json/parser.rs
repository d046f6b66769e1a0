//! A parser that reads JSON in spite of its flaws.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Content, Flaw, List, Node, Parsed, Step};

/// The deepest nesting of lists and objects, as in serde_json. Deeper values have no meaning.
const MAX_DEPTH: usize = 127;

/// The number of fields up to which comparing all names is faster than hashing them.
const FEW: usize = 24;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads an object or a list, or returns `None` if the text is neither, not even with flaws.
///
/// Accepted are a byte order mark, control characters in strings, and duplicate keys, of which the
/// last one counts. These values have no meaning: strings with invalid UTF-8, lone surrogates or unknown
/// escapes, numbers beyond the range of 64-bit floats, words such as `NaN`, and values that are
/// nested too deeply. A text that is cut off is refused.
pub(crate) fn parse(text: &[u8]) -> Option<Parsed<'_>> {
    let mut parser = Parser {
        text,
        at: 0,
        path: Vec::new(),
        flaws: Vec::new(),
    };
    if text.starts_with(BYTE_ORDER_MARK) {
        parser.at = BYTE_ORDER_MARK.len();
    }
    let root = parser.value()?;
    parser.skip_space();
    let is_whole = parser.at == text.len();
    let is_container = matches!(root.content, Content::List(_) | Content::Object(_));
    (is_whole && is_container).then_some(Parsed {
        root,
        flaws: parser.flaws,
    })
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    /// The path of the value that is being read.
    path: Vec<Step>,
    flaws: Vec<(Vec<Step>, Flaw)>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Returns the next byte after white space without consuming it.
    fn peek_token(&mut self) -> Option<u8> {
        self.skip_space();
        self.peek()
    }

    fn flaw(&mut self, flaw: Flaw) {
        self.flaws.push((self.path.clone(), flaw));
    }

    fn value(&mut self) -> Option<Node<'t>> {
        let first = self.peek_token()?;
        let start = self.at;
        let content = match first {
            b'{' | b'[' if self.path.len() >= MAX_DEPTH => {
                self.skip_nested()?;
                self.flaw(Flaw::Malformed);
                Content::Malformed
            }
            b'{' => self.object()?,
            b'[' => self.list()?,
            b'"' => match self.string()? {
                Some(text) => Content::Text(text),
                None => Content::Malformed,
            },
            _ => self.word()?,
        };
        Some(Node {
            span: start..self.at,
            content,
        })
    }

    fn list(&mut self) -> Option<Content<'t>> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.peek_token()? == b']' {
            self.at += 1;
        } else {
            loop {
                self.path.push(Step::Element(elements.len()));
                elements.push(self.value()?);
                self.path.pop();
                self.skip_space();
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        Some(Content::List(List { first: 0, elements }))
    }

    fn object(&mut self) -> Option<Content<'t>> {
        self.at += 1;
        let mut fields: Vec<(Cow<'t, str>, Node<'t>)> = Vec::new();
        if self.peek_token()? == b'}' {
            self.at += 1;
            return Some(Content::Object(fields));
        }
        loop {
            if self.peek_token()? != b'"' {
                return None;
            }
            self.path.push(Step::Field(fields.len()));
            // The place of a key with flaws is the place of its value.
            let name = self.string()?;
            self.skip_space();
            if self.next()? != b':' {
                return None;
            }
            let known = self.flaws.len();
            let mut value = self.value()?;
            self.path.pop();
            if name.is_none() {
                // The value has no name, and one report is enough.
                value.content = Content::Malformed;
                self.flaws.truncate(known);
            }
            fields.push((name.unwrap_or_default(), value));
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.drop_duplicates(&mut fields);
        Some(Content::Object(fields))
    }

    fn drop_duplicates(&mut self, fields: &mut [(Cow<'t, str>, Node<'t>)]) {
        if fields.len() <= FEW && !has_duplicates(fields) {
            return;
        }
        let mut known = HashSet::new();
        for (at, (name, value)) in fields.iter_mut().enumerate().rev() {
            let name: &str = name;
            let is_nameless = name.is_empty() && !value.is_present();
            if !is_nameless && !known.insert(name) {
                value.content = Content::Absent;
                let mut path = self.path.clone();
                path.push(Step::Field(at));
                self.flaws.push((path, Flaw::Duplicate));
            }
        }
    }

    /// Reads a string; the inner `None` is a string without a meaning.
    fn string(&mut self) -> Option<Option<Cow<'t, str>>> {
        self.at += 1;
        let plain = self.plain()?;
        let (text, has_control) = if self.next()? == b'"' {
            let text = std::str::from_utf8(plain).ok().map(Cow::Borrowed);
            (text, plain.iter().any(|byte| *byte < b' '))
        } else {
            self.escaped(plain)?
        };
        if text.is_none() {
            self.flaw(Flaw::Malformed);
        } else if has_control {
            self.flaw(Flaw::ControlCharacter);
        }
        Some(text)
    }

    /// Reads the rest of a string from the first escape on, after its backslash. Returns the text,
    /// if it has a meaning, and whether it contains control characters that are not escaped.
    fn escaped(&mut self, plain: &[u8]) -> Option<(Option<Cow<'t, str>>, bool)> {
        let mut text = Vec::from(plain);
        let mut has_control = plain.iter().any(|byte| *byte < b' ');
        let mut is_valid = true;
        loop {
            match self.escape()? {
                Some(character) => {
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None => is_valid = false,
            }
            let plain = self.plain()?;
            has_control |= plain.iter().any(|byte| *byte < b' ');
            text.extend_from_slice(plain);
            if self.next()? == b'"' {
                let text = String::from_utf8(text).ok().filter(|_| is_valid);
                return Some((text.map(Cow::Owned), has_control));
            }
        }
    }

    /// Reads the part of a string up to the next quotation mark or backslash.
    fn plain(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..)?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        self.at += end;
        rest.get(..end)
    }

    /// Reads an escape after its backslash; the inner `None` is an escape without a meaning.
    fn escape(&mut self) -> Option<Option<char>> {
        Some(match self.next()? {
            known @ (b'"' | b'\\' | b'/') => Some(char::from(known)),
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{c}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => self.unicode(),
            _ => None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let unit = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&unit) {
            // A lone second half of a pair is not a character.
            return char::from_u32(unit);
        }
        // Without its second half, what follows is read as if it stood alone.
        let after = self.at;
        let rest = self.text.get(after..).unwrap_or_default();
        if rest.starts_with(b"\\u") {
            self.at += 2;
            if let Some(second @ 0xDC00..0xE000) = self.four_digits() {
                return char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (second - 0xDC00));
            }
        }
        self.at = after;
        None
    }

    /// Reads four hexadecimal digits, or nothing.
    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let mut digits = digits.iter().map(|digit| char::from(*digit).to_digit(16));
        let unit = digits.try_fold(0, |unit, digit| Some(unit * 16 + digit?))?;
        self.at += 4;
        Some(unit)
    }

    /// Reads a number, `true`, `false`, `null`, or another word, which has no meaning.
    fn word(&mut self) -> Option<Content<'t>> {
        let rest = self.text.get(self.at..)?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-._".contains(*byte);
        let length = rest.iter().take_while(is_part).count();
        let word = std::str::from_utf8(&rest[..length]).ok()?;
        let content = match word {
            "" => return None,
            "true" => Content::Boolean(true),
            "false" => Content::Boolean(false),
            "null" => Content::Null,
            _ if is_number(word) => Content::Number(word.into()),
            _ => Content::Malformed,
        };
        self.at += length;
        if matches!(content, Content::Malformed) {
            self.flaw(Flaw::Malformed);
        }
        Some(content)
    }

    /// Skips a list or an object without reading it.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => loop {
                    match self.next()? {
                        b'"' => break,
                        b'\\' => self.at += 1,
                        _ => {}
                    }
                },
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// Returns whether an object of few fields has two of the same name.
fn has_duplicates(fields: &[(Cow<'_, str>, Node<'_>)]) -> bool {
    let mut rest = fields;
    while let [(name, _), after @ ..] = rest {
        if after.iter().any(|(other, _)| other == name) {
            return true;
        }
        rest = after;
    }
    false
}

/// Returns whether a word is a JSON number within the range of a 64-bit float.
fn is_number(word: &str) -> bool {
    word.parse::<serde_json::Number>().is_ok() && word.parse().is_ok_and(f64::is_finite)
}
