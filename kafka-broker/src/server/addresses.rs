//! How many connections each address has, so that one client cannot take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The addresses that have connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection of an address, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// One more connection of this address, unless it has `max` already.
    pub(crate) fn take(&self, address: IpAddr, max: usize) -> Option<Seat> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.get(&address).copied().unwrap_or_default();
        if held >= max {
            return None;
        }
        counts.insert(address, held + 1);
        Some(Seat {
            addresses: self.clone(),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let counts = &self.addresses.counts;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = counts.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_address_has_so_many_seats_and_gets_them_back() {
        let addresses = Addresses::default();
        let one = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
        let other = IpAddr::from(Ipv4Addr::new(10, 0, 0, 2));
        let first = addresses.take(one, 2);
        let second = addresses.take(one, 2);
        assert!(first.is_some() && second.is_some() && addresses.take(one, 2).is_none());
        assert!(addresses.take(other, 2).is_some());
        drop(first);
        let third = addresses.take(one, 2);
        assert!(third.is_some() && addresses.take(one, 2).is_none());
        // Whoever is there stays when there is to be room for fewer.
        assert!(addresses.take(one, 1).is_none() && addresses.take(one, 3).is_some());
        drop((second, third));
        assert!(addresses.counts.lock().unwrap().is_empty());
    }
}
