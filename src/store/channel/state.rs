//! What of a channel outlives the process: its energy. Its values do not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Channel;
use crate::model::{ChannelId, Microjoules, Moment, Past};
use crate::store::energy::{Account, CounterState, DeviceCounter, Integral, IntegralState};

/// A [`Channel`], kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Its name.
    pub(in crate::store) channel: ChannelId,
    integral: Option<IntegralState>,
    device: Option<CounterState>,
    account: Microjoules,
    /// Whether its device's counter begins a new account: what it counted meanwhile is not wanted.
    renewed: bool,
}

impl ChannelState {
    /// Leaves out the time since the last reading.
    pub(in crate::store) fn unmiss(&mut self) {
        self.integral = self.integral.map(IntegralState::unmissed);
        self.renewed = true;
    }

    /// The same, kept `by` later, while nothing was heard of it.
    pub(in crate::store) fn aged(&self, by: Duration) -> Self {
        Self {
            channel: self.channel.clone(),
            integral: self.integral.map(|integral| integral.aged(by)),
            device: self.device.map(|device| device.aged(by)),
            account: self.account,
            renewed: self.renewed,
        }
    }
}

impl Channel {
    /// What is to be kept at `now`; none if it has no energy.
    pub(in crate::store) fn kept(&self, now: Moment) -> Option<ChannelState> {
        let (integral, device) = (self.integral.kept(now), self.device.as_ref().map(|d| d.kept(now)));
        let counts = integral.is_some() || device.is_some();
        counts.then(|| ChannelState {
            channel: self.id.clone(),
            integral,
            device,
            account: self.account.total(),
            renewed: self.renewed,
        })
    }

    /// Goes on from `state`.
    pub(in crate::store) fn resume(&mut self, state: &ChannelState, past: &Past) {
        if let Some(integral) = state.integral {
            self.integral = Integral::resume(integral, past);
        }
        self.device = state.device.and_then(|device| DeviceCounter::resume(&device, past));
        self.account = Account::resume(state.account);
        self.renewed = state.renewed;
    }
}
