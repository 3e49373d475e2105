//! Addresses as people write them.

/// The two parts of `HOST:PORT`; the host of an IPv6 address stands in brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(host) => host,
        None if host.contains(':') => return None,
        None => host,
    };
    if host.is_empty() {
        return None;
    }
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(host_and_port("a.b:9"), Some(("a.b".to_owned(), 9)));
        assert_eq!(host_and_port("[::1]:9"), Some(("::1".to_owned(), 9)));
        for bad in ["a", ":9", "a:", "a:65536", "::1:9", "a:b"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
