//! Proof that traffic left through a device: its transmit byte counter, before and after.

use std::time::{Duration, Instant};

use super::LoadError;
use super::connect::no_device;
use super::result::DeviceCheck;
use crate::host::device::{Counters, Device};
use crate::units::bytes;

/// Some drivers refresh their counters only about once a second.
const REFRESH: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(50);

/// A device and its counter before the traffic.
pub struct DeviceWatch {
    name: String,
    before: u64,
}

impl DeviceWatch {
    /// Reads the counter of `name`.
    ///
    /// # Errors
    /// [`LoadError::Usage`] when there is no such device in this network namespace.
    pub fn begin(name: &str) -> Result<Self, LoadError> {
        let before = transmitted(name).ok_or_else(|| LoadError::Usage(no_device(name)))?;
        Ok(Self { name: name.to_owned(), before })
    }

    /// Compares the counter with `sent` bytes of payload, waiting a little for a lazy driver.
    #[must_use]
    pub fn end(self, sent: u64) -> DeviceCheck {
        let begin = Instant::now();
        loop {
            let Some(now) = transmitted(&self.name) else {
                let why = format!("{} is gone", self.name);
                return DeviceCheck { name: self.name, tx_bytes: 0, verified: false, why };
            };
            let tx_bytes = now.wrapping_sub(self.before);
            if tx_bytes >= sent || begin.elapsed() > REFRESH {
                let (verified, why) = judge(sent, tx_bytes);
                return DeviceCheck { name: self.name, tx_bytes, verified, why };
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Why a load failed: that its device went down or away, when it did and bytes were `lost` or there is an `error`;
/// else the error as it is.
#[must_use]
pub fn explain(device: &str, error: Option<String>, lost: bool) -> Option<String> {
    let what = match Device::load(device) {
        Ok(facts) if facts.running => return error,
        Ok(facts) if facts.up => "lost its carrier",
        Ok(_) => "was set down",
        Err(_) => "disappeared",
    };
    match error {
        Some(error) => Some(format!("device {device} {what} during the run: {error}")),
        None if lost => Some(format!("device {device} {what} during the run; what it had not sent is lost")),
        None => None,
    }
}

/// Bytes `name` has transmitted, in the network namespace of the calling thread.
fn transmitted(name: &str) -> Option<u64> {
    Counters::read(name).ok().map(|counters| counters.tx_bytes)
}

fn judge(sent: u64, transmitted: u64) -> (bool, String) {
    if transmitted < sent {
        let why = format!(
            "the device transmitted {} of {} sent: the traffic took another way (local addresses always go over lo)",
            bytes(transmitted),
            bytes(sent)
        );
        return (false, why);
    }
    let mut why = format!("the device transmitted {} for {} sent", bytes(transmitted), bytes(sent));
    if transmitted / 5 > sent / 4 {
        why.push_str("; other traffic used it too, so this proves little");
    }
    (true, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_bytes_do_not_verify() {
        assert!(!judge(1_000_000, 999_999).0);
        let (verified, why) = judge(1_000_000, 1_050_000);
        assert!(verified && !why.contains("other traffic"), "{why}");
        let (verified, why) = judge(1_000_000, 3_000_000);
        assert!(verified && why.contains("other traffic"), "{why}");
    }

    #[test]
    fn a_failure_names_the_device_only_when_it_is_the_cause() {
        let error = Some("reset".to_owned());
        assert_eq!(explain("lo", error.clone(), true), error);
        assert_eq!((explain("lo", None, true), explain("nosuchdev0", None, false)), (None, None));
        for explained in [explain("nosuchdev0", error, false), explain("nosuchdev0", None, true)] {
            assert!(explained.unwrap().contains("nosuchdev0 disappeared"));
        }
    }

    #[test]
    fn loopback_exists_and_an_invented_device_does_not() {
        assert!(DeviceWatch::begin("lo").is_ok());
        assert!(matches!(DeviceWatch::begin("nosuchdev0"), Err(LoadError::Usage(_))));
    }
}
