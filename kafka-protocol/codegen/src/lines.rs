//! Text with indentation, laid out as rustfmt lays it out, so that generated code needs no pass of it.

/// Lines of code.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.push_str(&" ".repeat(self.column()));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// Adds a line that opens a block; what follows is indented.
    pub(crate) fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    /// Ends a block with this line.
    pub(crate) fn close(&mut self, line: &str) {
        self.depth -= 1;
        self.line(line);
    }

    /// Ends the indentation of a statement of several lines.
    pub(crate) fn outdent(&mut self) {
        self.depth -= 1;
    }

    /// Ends a block and begins another, as in `} else {`.
    pub(crate) fn between(&mut self, line: &str) {
        self.close(line);
        self.depth += 1;
    }

    /// No lines yet, for what belongs into the block that was opened last.
    pub(crate) fn inside(&self) -> Self {
        Self {
            text: String::new(),
            depth: self.depth + 1,
        }
    }

    /// Adds lines that are indented already.
    pub(crate) fn append(&mut self, lines: &str) {
        self.text.push_str(lines);
    }

    /// Adds documentation, broken into lines.
    pub(crate) fn doc(&mut self, text: &str) {
        self.wrapped("/// ", text);
    }

    /// Adds documentation of the file, broken into lines.
    pub(crate) fn file_doc(&mut self, text: &str) {
        self.wrapped("//! ", text);
    }

    /// Adds a call, on one line if it fits: `before`, the arguments in parentheses, `after`.
    pub(crate) fn call(&mut self, before: &str, arguments: &[impl AsRef<str>], after: &str) {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let joined = arguments.join(", ");
        let width = self.column() + before.len() + joined.len() + after.len() + 2;
        if joined.len() <= CALL_WIDTH && width <= MAX_WIDTH {
            self.line(&format!("{before}({joined}){after}"));
        } else if let ([argument], Some((object, method))) =
            (arguments.as_slice(), before.rsplit_once('.'))
        {
            self.open(object);
            self.line(&format!(".{method}({argument}){after}"));
            self.depth -= 1;
        } else {
            self.open(&format!("{before}("));
            for argument in arguments {
                self.line(&format!("{argument},"));
            }
            self.close(&format!("){after}"));
        }
    }

    /// Adds an assignment of a call, which goes to a line of its own if it fits there and not behind
    /// the target.
    pub(crate) fn assign(
        &mut self,
        target: &str,
        before: &str,
        arguments: &[impl AsRef<str>],
        after: &str,
    ) {
        let joined = arguments
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(", ");
        let call = format!("{before}({joined}){after}");
        let width = self.column() + target.len() + 3 + call.len();
        let fits_below = self.column() + 4 + call.len() <= MAX_WIDTH;
        if joined.len() <= CALL_WIDTH && width + 1 >= MAX_WIDTH && fits_below {
            self.open(&format!("{target} ="));
            self.line(&call);
            self.depth -= 1;
        } else {
            self.call(&format!("{target} = {before}"), arguments, after);
        }
    }

    /// How far lines are indented.
    pub(crate) fn column(&self) -> usize {
        4 * self.depth
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn wrapped(&mut self, mark: &str, text: &str) {
        let room = MAX_WIDTH - self.column() - mark.len();
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > room {
                self.line(&format!("{mark}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&format!("{mark}{line}"));
    }
}

/// The longest line. Assigned calls stay two below it, as rustfmt has it where `?` follows.
pub(crate) const MAX_WIDTH: usize = 100;

/// The longest list of arguments on one line.
const CALL_WIDTH: usize = 60;

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn calls_break_where_rustfmt_breaks_them() {
        let mut lines = Lines::default();
        lines.open("fn f() {");
        lines.call("g", &["a", "b"], "?;");
        let long = "a".repeat(30);
        lines.call("g", &[&long, &long], ";");
        lines.close("}");
        assert_eq!(
            lines.into_text(),
            format!(
                "fn f() {{\n    g(a, b)?;\n    g(\n        {long},\n        {long},\n    );\n}}\n"
            )
        );
    }

    #[test]
    fn documentation_is_broken_between_words() {
        let mut lines = Lines::default();
        lines.doc(&["word"; 30].join(" "));
        let text = lines.into_text();
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.lines()
                .all(|line| line.starts_with("/// word") && line.len() <= 100)
        );
    }
}
