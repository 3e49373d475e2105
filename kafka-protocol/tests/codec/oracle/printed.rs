//! A message as `Debug` prints it, with the names of its fields.

/// A printed value. `Some` is what is in it.
#[derive(Debug, PartialEq)]
pub(crate) enum Printed<'t> {
    /// The fields of a struct. Maps, which unknown tagged fields print as, are read as empty ones.
    Struct(Vec<(&'t str, Self)>),
    List(Vec<Self>),
    Text(String),
    Bytes(Vec<u8>),
    /// So many bytes that are not shown.
    Secret(usize),
    /// A number, a boolean, `None`, a uuid.
    Word(&'t str),
}

impl<'t> Printed<'t> {
    /// Reads what `Debug` has printed.
    ///
    /// # Panics
    ///
    /// If it cannot be read: then this knows less of `Debug` than it must.
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut parser = Parser { rest: text };
        let value = parser.value();
        parser.skip_space();
        assert_eq!(parser.rest, "", "in {text}");
        value
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn value(&mut self) -> Printed<'t> {
        self.skip_space();
        if self.eat("[") {
            return Printed::List(self.until("]", Self::value));
        }
        if self.eat("{") {
            self.until("}", |parser| {
                parser.value();
                parser.expect(":");
                parser.value();
            });
            return Printed::Struct(Vec::new());
        }
        if self.eat("b\"") {
            return Printed::Bytes(self.quoted());
        }
        if self.eat("\"") {
            return Printed::Text(String::from_utf8(self.quoted()).expect("a string is UTF-8"));
        }
        let word = self.word();
        self.skip_space();
        if self.eat("(") {
            let inner = self.until(")", Self::value);
            let [inner] = <[_; 1]>::try_from(inner).expect("one value in parentheses");
            return match inner {
                Printed::Word(len) if word == "Secret" => {
                    Printed::Secret(len.parse().expect("a length"))
                }
                inner => inner,
            };
        }
        if self.eat("{") {
            return Printed::Struct(self.until("}", |parser| {
                let name = parser.word();
                parser.expect(":");
                (name, parser.value())
            }));
        }
        Printed::Word(word)
    }

    /// What is between brackets, with commas between and, in pretty print, behind the last.
    fn until<T>(&mut self, end: &str, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut all = Vec::new();
        loop {
            self.skip_space();
            if self.eat(end) {
                return all;
            }
            all.push(one(self));
            self.skip_space();
            self.eat(",");
        }
    }

    fn word(&mut self) -> &'t str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        assert_ne!(end, 0, "a word at {}", self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// The rest of a string or of bytes, up to the quote that ends it.
    fn quoted(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let c = self.char();
            match c {
                '"' => return bytes,
                '\\' => self.escaped(&mut bytes),
                c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
    }

    fn escaped(&mut self, bytes: &mut Vec<u8>) {
        match self.char() {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            'x' => {
                let (digits, rest) = self.rest.split_at(2);
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                self.rest = rest;
            }
            'u' => {
                self.expect("{");
                let digits = self.word();
                self.expect("}");
                let code = u32::from_str_radix(digits, 16).expect("digits");
                let c = char::from_u32(code).expect("a character");
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }

    fn char(&mut self) -> char {
        let c = self.rest.chars().next().expect("a quote at the end");
        self.rest = &self.rest[c.len_utf8()..];
        c
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) {
        self.skip_space();
        assert!(self.eat(token), "{token} expected at {}", self.rest);
    }
}

#[test]
fn what_is_printed_is_read() {
    use Printed::{Bytes, List, Secret, Struct, Text, Word};
    assert_eq!(
        Printed::parse(
            "A { b: Some(\"x\\n\\u{7f}\\\"é\"), c: [1, -2], d: b\"\\0\\xff\\\"\", e: {1: b\"\"}, f: None, g: Secret(20) }"
        ),
        Struct(vec![
            ("b", Text("x\n\u{7f}\"é".to_owned())),
            ("c", List(vec![Word("1"), Word("-2")])),
            ("d", Bytes(vec![0, 0xff, b'"'])),
            ("e", Struct(Vec::new())),
            ("f", Word("None")),
            ("g", Secret(20)),
        ])
    );
}
