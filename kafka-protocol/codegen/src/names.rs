//! From Kafka's names to Rust's.

/// `ThrottleTimeMs` is `throttle_time_ms`; a keyword gets its prefix.
pub(crate) fn field(name: &str) -> String {
    let name = snake(name);
    if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else {
        name
    }
}

/// `KRaftVersionRecord` is `kraft_version_record`.
pub(crate) fn module(name: &str) -> String {
    snake(name)
}

/// Struct names are Kafka's, with a capital first letter.
pub(crate) fn structure(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Whether code names a type or variable: not as a part of a word, a field or in quotes.
pub(crate) fn occurs(name: &str, code: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, from) = code.split_at(at);
        let behind = from.split_at(name.len()).1;
        !before.ends_with(|c| is_word(c) || c == '.' || c == '"') && !behind.starts_with(is_word)
    })
}

/// Words end where a capital follows a small letter or digit, and before the last capital of several
/// that a small letter follows.
fn snake(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft").replace("2Pc", "_2pc");
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let begins_word = c.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if begins_word {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

const KEYWORDS: [&str; 6] = ["type", "match", "move", "ref", "use", "where"];

#[cfg(test)]
mod tests {
    use super::{field, module, occurs, structure};

    #[test]
    fn a_variable_is_no_field_and_no_text() {
        assert!(occurs("version", "if version >= 3 {"));
        assert!(!occurs(
            "version",
            "self.version = r.i16(\"version\")?; max_version(versions)"
        ));
    }

    #[test]
    fn names() {
        assert_eq!(field("ThrottleTimeMs"), "throttle_time_ms");
        assert_eq!(field("timeoutMs"), "timeout_ms");
        assert_eq!(field("V3AndBelowTopics"), "v3_and_below_topics");
        assert_eq!(field("ISRNodes"), "isr_nodes");
        assert_eq!(field("Enable2Pc"), "enable_2pc");
        assert_eq!(field("Type"), "r#type");
        assert_eq!(module("KRaftVersionRecord"), "kraft_version_record");
        assert_eq!(structure("endpoint"), "Endpoint");
    }
}
