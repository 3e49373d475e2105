//! Bytes as text.

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(digit));
    }
    text
}

/// The bytes of hex.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = text.as_bytes().as_chunks();
    if !rest.is_empty() {
        return Err("hex of an odd length".to_owned());
    }
    pairs
        .iter()
        .map(|&[high, low]| {
            let byte = value(high).zip(value(low)).map(|(h, l)| h << 4 | l);
            byte.ok_or_else(|| "not hex".to_owned())
        })
        .collect()
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or_default()
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
