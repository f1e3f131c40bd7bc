//! What a run of the engine has to do with a sink that is asked for it: agree before connecting, begin before sending,
//! ask for the figures after closing. Without such a sink, nothing.

use std::time::Duration;

use socket2::Socket;

use super::client::Session;
use super::message::Ask;
use crate::load::LoadError;
use crate::load::engine::Plan;
use crate::load::result::LoadReport;

/// A run agreed with the sink, where one is asked.
#[derive(Debug)]
pub(in crate::load) struct Agreement(Option<Session>);

impl Agreement {
    /// Asks the sink of the plan for the run.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(in crate::load) fn make(plan: &Plan) -> Result<Self, LoadError> {
        let session =
            plan.peer.as_ref().map(|target| Session::open(target, &ask(plan, target.mode.as_ref())));
        Ok(Self(session.transpose()?))
    }

    /// Every stream is connected: the sink must receive them before anything is sent.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub(in crate::load) fn begin(&mut self, sockets: &[Socket]) -> Result<(), LoadError> {
        let Some(session) = &mut self.0 else { return Ok(()) };
        let local = |socket: &Socket| socket.local_addr().ok().and_then(|address| address.as_socket());
        session.begin(sockets.iter().filter_map(local).collect())
    }

    /// Every stream is closed: adds the receiver's figures to the report, and what it complains of.
    pub(in crate::load) fn conclude(self, report: &mut LoadReport) {
        let Some(session) = self.0 else { return };
        let complaint = match session.finish(report.error.is_some()) {
            Ok(peer) => report.peer.insert(peer).complaint(),
            // A run that failed already says why.
            Err(_) if report.error.is_some() => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(complaint) = complaint {
            report.error = Some(match report.error.take() {
                Some(error) => format!("{complaint}; {error}"),
                None => complaint,
            });
        }
    }
}

fn ask(plan: &Plan, mode: Option<&String>) -> Ask {
    Ask {
        mode: mode.cloned(),
        verify: plan.setup.verify.is_some(),
        tls: plan.path.path == zcscope_common::Path::Ktls,
        streams: plan.streams as u64,
        send_size: plan.setup.size as u64,
        duration_ns: u64::try_from(longest(plan).as_nanos()).unwrap_or(u64::MAX),
        bytes: plan.bytes,
    }
}

/// The longest the plan may send: warm-up, the lap that finds the maximum, and every level.
fn longest(plan: &Plan) -> Duration {
    let laps = match plan.levels.len() {
        0 => 1,
        levels => levels + 1,
    };
    let laps = plan.duration.saturating_mul(u32::try_from(laps).unwrap_or(u32::MAX));
    laps.saturating_add(plan.warm_up.limit().unwrap_or_default())
}
