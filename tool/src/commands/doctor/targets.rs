//! The host asked about, with or without the port of a sink.

use std::net::{IpAddr, SocketAddr};

use super::super::Failure;
use super::as_ip;
use crate::load::{Family, resolve};

/// Where bytes would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The host.
    pub(super) ip: IpAddr,
    /// The port of a sink.
    pub(super) port: Option<u16>,
}

impl Target {
    /// `HOST`, `HOST:PORT`, `[V6]:PORT` or a bare address.
    ///
    /// # Errors
    /// [`Failure::Usage`]: the name has no address.
    pub(super) fn parse(text: &str) -> Result<Target, Failure> {
        if let Some(ip) = as_ip(text) {
            return Ok(Target { ip, port: None });
        }
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let found =
            if has_port { resolve(text, Family::Any)? } else { resolve(&format!("{text}:0"), Family::Any)? };
        let first = found.first().ok_or_else(|| Failure::Usage(format!("{text:?} has no address")))?;
        Ok(Target { ip: first.ip().to_canonical(), port: has_port.then(|| first.port()) })
    }

    /// Address and port of the sink.
    ///
    /// # Errors
    /// [`Failure::Usage`]: no port was given.
    pub(super) fn sink(&self) -> Result<SocketAddr, Failure> {
        let port = self.port.ok_or_else(|| {
            Failure::Usage(format!(
                "--prove needs a sink at {}; start `zcscope sink --listen '[::]:9000'` there and give --to {}",
                self.ip,
                SocketAddr::new(self.ip, 9000)
            ))
        })?;
        Ok(SocketAddr::new(self.ip, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port() {
        let parse = |text| Target::parse(text).map(|target| (target.ip.to_string(), target.port)).unwrap();
        assert_eq!(parse("10.0.0.2"), ("10.0.0.2".into(), None));
        assert_eq!(parse("10.0.0.2:9000"), ("10.0.0.2".into(), Some(9000)));
        assert_eq!(parse("fd00::1"), ("fd00::1".into(), None));
        assert_eq!(parse("[fd00::1]:9"), ("fd00::1".into(), Some(9)));
        assert!(Target::parse("10.0.0.2").unwrap().sink().unwrap_err().to_string().contains("zcscope sink"));
    }
}
