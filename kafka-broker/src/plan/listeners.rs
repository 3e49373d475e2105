//! Where a broker listens and what clients are told, as Kafka's properties `listeners`, `advertised.listeners` and
//! `listener.security.protocol.map` say.
//!
//! A client that comes by a listener is told the address of that listener: so one broker serves those that reach it by
//! one name, such as other containers, and those that reach it by another, such as the host of the containers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::broker::BrokerConfig;
use crate::config::property::list;
use crate::plan::address::host_and_port;

/// A place where the broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedListener {
    /// In capitals.
    pub(crate) name: String,
    /// `HOST:PORT`; port 0 takes a free one.
    pub(crate) listen: String,
    /// What clients are told; `None` is where it listens.
    pub(crate) advertise: Option<(String, u16)>,
}

/// The listeners of a broker, at least one: `listen` and `advertise` are those of the only one, and go before the
/// properties.
///
/// # Errors
///
/// What is wrong, for people.
pub(crate) fn planned(
    config: &BrokerConfig,
    listen: Option<String>,
    advertise: Option<String>,
) -> Result<Vec<PlannedListener>, String> {
    let mut listeners = match (listen, config.given(LISTENERS)) {
        (Some(address), _) => vec![checked(PLAINTEXT.to_owned(), address)?],
        (None, Some(value)) => listed(LISTENERS, value)?
            .into_iter()
            .map(|(name, address)| checked(name, everywhere(address)))
            .collect::<Result<_, _>>()?,
        (None, None) => vec![checked(PLAINTEXT.to_owned(), LISTEN.to_owned())?],
    };
    check_protocols(config, &listeners)?;
    if let Some(address) = advertise {
        let [listener] = &mut *listeners else {
            return Err(format!(
                "{address} is to be advertised, but by which of the listeners? Say it with advertised.listeners"
            ));
        };
        listener.advertise = Some(told(&address)?);
    } else if let Some(value) = config.given(ADVERTISED) {
        for (name, address) in listed(ADVERTISED, value)? {
            let listener = listeners.iter_mut().find(|listener| listener.name == name);
            let listener = listener.ok_or_else(|| {
                invalid(
                    ADVERTISED,
                    value,
                    format!("names of listeners only, and {name} is none"),
                )
            })?;
            listener.advertise = Some(told(&address)?);
        }
    }
    Ok(listeners)
}

/// The names and addresses of a list of `NAME://HOST:PORT`.
fn listed(property: &str, value: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for word in list(value) {
        let Some((name, address)) = word.split_once("://") else {
            return Err(invalid(property, value, "a list of NAME://HOST:PORT"));
        };
        let name = name.to_uppercase();
        if found.iter().any(|(other, _)| *other == name) {
            return Err(invalid(property, value, format!("one address for {name}")));
        }
        found.push((name, address.to_owned()));
    }
    if found.is_empty() {
        return Err(invalid(property, value, "a list of NAME://HOST:PORT"));
    }
    Ok(found)
}

/// No host stands for all of this machine's addresses.
fn everywhere(address: String) -> String {
    match address.starts_with(':') {
        true => format!("0.0.0.0{address}"),
        false => address,
    }
}

fn checked(name: String, listen: String) -> Result<PlannedListener, String> {
    if host_and_port(&listen).is_none() {
        return Err(format!(
            "invalid address {listen} to listen at: must be HOST:PORT"
        ));
    }
    let advertise = None;
    Ok(PlannedListener {
        name,
        listen,
        advertise,
    })
}

/// What clients are told, which they must be able to connect to.
fn told(address: &str) -> Result<(String, u16), String> {
    let bad = |must: &str| format!("invalid address {address} to advertise: must {must}");
    let (host, port) = host_and_port(address).ok_or_else(|| bad("be HOST:PORT"))?;
    if port == 0 {
        return Err(bad("have the port that clients connect to, not 0"));
    }
    if host.parse().is_ok_and(|host: IpAddr| host.is_unspecified()) {
        return Err(bad("have a host that clients can reach"));
    }
    Ok((host, port))
}

/// Each listener must speak `PLAINTEXT`, by its name or by the map.
fn check_protocols(config: &BrokerConfig, listeners: &[PlannedListener]) -> Result<(), String> {
    let value = config.value(PROTOCOLS).unwrap_or_default();
    let mut protocols = BTreeMap::new();
    for word in list(value) {
        let Some((name, protocol)) = word.split_once(':') else {
            return Err(invalid(PROTOCOLS, value, "a list of NAME:PROTOCOL"));
        };
        protocols.insert(name.trim().to_uppercase(), protocol.trim().to_uppercase());
    }
    for PlannedListener { name, .. } in listeners {
        match protocols.get(name) {
            Some(protocol) if protocol == PLAINTEXT => {}
            Some(protocol) => {
                return Err(format!(
                    "the listener {name} is to speak {protocol}, and only {PLAINTEXT} is spoken here"
                ));
            }
            None => {
                return Err(format!(
                    "the listener {name} needs a protocol: {PROTOCOLS} must have {name}:{PLAINTEXT}"
                ));
            }
        }
    }
    Ok(())
}

fn invalid(property: &str, value: &str, must: impl std::fmt::Display) -> String {
    format!("invalid value {value} for configuration {property}: must be {must}")
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOLS: &str = "listener.security.protocol.map";
const PLAINTEXT: &str = "PLAINTEXT";

/// Where a broker listens that is told nothing.
const LISTEN: &str = "127.0.0.1:0";

#[cfg(test)]
mod tests {
    use super::*;

    type Plain<'a> = (&'a str, &'a str, Option<(&'a str, u16)>);

    fn plan(
        set: &[(&str, &str)],
        listen: Option<&str>,
        advertise: Option<&str>,
    ) -> Result<Vec<PlannedListener>, String> {
        let config = BrokerConfig::new(set.iter().copied()).unwrap();
        planned(
            &config,
            listen.map(str::to_owned),
            advertise.map(str::to_owned),
        )
    }

    fn expect(found: &Result<Vec<PlannedListener>, String>, expected: &[Plain<'_>]) {
        let found = found.as_ref().unwrap().iter();
        let found: Vec<Plain<'_>> = found
            .map(|one| {
                let told = one.advertise.as_ref().map(|(host, port)| (&**host, *port));
                (&*one.name, &*one.listen, told)
            })
            .collect();
        assert_eq!(found, expected);
    }

    const TWO: (&str, &str) = (LISTENERS, "internal://:9092, EXTERNAL://0.0.0.0:19092");
    const MAP: (&str, &str) = (PROTOCOLS, "INTERNAL:PLAINTEXT,external:plaintext");

    #[test]
    fn each_listener_has_its_own_address_to_tell() {
        expect(
            &plan(&[], None, None),
            &[("PLAINTEXT", "127.0.0.1:0", None)],
        );
        let one = [("PLAINTEXT", "a:1", Some(("b", 2)))];
        expect(&plan(&[], Some("a:1"), Some("b:2")), &one);
        let set = [
            (LISTENERS, "PLAINTEXT://a:1"),
            (ADVERTISED, "PLAINTEXT://b:2"),
        ];
        expect(&plan(&set, None, None), &one);
        // What is said directly goes before.
        let set = [
            (LISTENERS, "PLAINTEXT://c:3"),
            (ADVERTISED, "PLAINTEXT://d:4"),
        ];
        expect(&plan(&set, Some("a:1"), Some("b:2")), &one);
        let told = (
            ADVERTISED,
            "EXTERNAL://localhost:19092,INTERNAL://kafka:9092",
        );
        expect(
            &plan(&[TWO, MAP, told], None, None),
            &[
                ("INTERNAL", "0.0.0.0:9092", Some(("kafka", 9092))),
                ("EXTERNAL", "0.0.0.0:19092", Some(("localhost", 19092))),
            ],
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |set: &[(&str, &str)], advertise: Option<&str>, about: &str| {
            let error = plan(set, None, advertise).unwrap_err();
            assert!(error.contains(about), "{error}");
        };
        refused(&[TWO], None, "must have INTERNAL:PLAINTEXT");
        refused(&[(LISTENERS, "SSL://a:1")], None, "SSL is to speak SSL");
        refused(&[TWO, (PROTOCOLS, "INTERNAL")], None, "NAME:PROTOCOL");
        refused(&[TWO, MAP], Some("a:1"), "advertised.listeners");
        refused(
            &[TWO, MAP, (ADVERTISED, "OTHER://a:1")],
            None,
            "OTHER is none",
        );
        refused(&[(ADVERTISED, "PLAINTEXT://a")], None, "must be HOST:PORT");
        refused(&[], Some("a:0"), "not 0");
        for nowhere in ["0.0.0.0:1", "[::]:1"] {
            refused(&[], Some(nowhere), "clients can reach");
        }
        refused(
            &[(LISTENERS, "PLAINTEXT://a:1,plaintext://b:2")],
            None,
            LISTENERS,
        );
        for bad in ["", ",", "a:1", "PLAINTEXT://a", "PLAINTEXT://a:x"] {
            refused(&[(LISTENERS, bad)], None, "HOST:PORT");
        }
    }
}
