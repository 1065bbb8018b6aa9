//! Which privilege level a session needs: the least that works, found out by asking. Pure.
//!
//! With a level in the configuration it is that one. With `auto` a session starts as a user's; where the BMC refuses power
//! or sensors for want of privilege, the next level is tried, up to the highest that the user has. A level that does not
//! help is given back, and not tried again for an hour, or ten minutes where the BMC only was silent.

use std::time::Duration;

use super::wire::message::Request;
use crate::model::Moment;

/// How long a level is believed not to help, or not to be had.
const REST: Duration = Duration::from_secs(3600);
/// The same where the BMC only said nothing: it may be a datagram that was lost.
const SILENT_REST: Duration = Duration::from_secs(600);

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Read.
    User,
    /// Read, and operate the machine.
    Operator,
    /// Everything.
    Administrator,
}

impl Level {
    /// Its number in IPMI.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }

    const fn above(self) -> Option<Self> {
        match self {
            Self::User => Some(Self::Operator),
            Self::Operator => Some(Self::Administrator),
            Self::Administrator => None,
        }
    }
}

/// What the configuration asks for. Readings need no more than `User` on most BMCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The least that works.
    Auto,
    /// Read.
    User,
    /// Read, and operate the machine.
    Operator,
    /// Everything.
    Administrator,
}

impl Privilege {
    /// The level that the first session is opened at.
    #[must_use]
    pub const fn first(self) -> Level {
        match self {
            Self::Auto | Self::User => Level::User,
            Self::Operator => Level::Operator,
            Self::Administrator => Level::Administrator,
        }
    }
}

/// What a higher level is worth a new session for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// DCMI.
    Dcmi,
    /// Sensors, and the repository that describes them.
    Sensors,
}

impl Need {
    /// What `request` is for; none if nobody's watts depend on it.
    #[must_use]
    pub const fn of(request: &Request) -> Option<Self> {
        match (request.net_fn, request.command) {
            // Get Power Reading; capabilities and temperatures are worth no more than they cost.
            (0x2c, 0x02) => Some(Self::Dcmi),
            (0x04, _) | (0x0a, 0x20..=0x23) => Some(Self::Sensors),
            _ => None,
        }
    }
}

/// One value for each need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Each<T> {
    dcmi: T,
    sensors: T,
}

impl<T> Each<T> {
    const fn of(&self, need: Need) -> &T {
        match need {
            Need::Dcmi => &self.dcmi,
            Need::Sensors => &self.sensors,
        }
    }

    const fn of_mut(&mut self, need: Need) -> &mut T {
        match need {
            Need::Dcmi => &mut self.dcmi,
            Need::Sensors => &mut self.sensors,
        }
    }
}

/// For which needs a refusal is worth a session at a higher level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch(Each<bool>);

impl Watch {
    /// For none.
    pub const NOTHING: Self = Self(Each { dcmi: false, sensors: false });

    /// What a refusal of `request` is worth reporting for.
    #[must_use]
    pub fn over(self, request: &Request) -> Option<Need> {
        Need::of(request).filter(|need| *self.0.of(*need))
    }
}

/// The levels of one BMC: what each need was found to need.
#[derive(Debug, Clone)]
pub struct Ladder {
    climbs: bool,
    first: Level,
    needed: Each<Level>,
    /// Until when a need is not tried to be met.
    rests: Each<Option<Moment>>,
    /// The highest level at which a session was had.
    had: Option<Level>,
}

impl Ladder {
    /// As `privilege` says.
    #[must_use]
    pub const fn new(privilege: Privilege) -> Self {
        let first = privilege.first();
        Self {
            climbs: matches!(privilege, Privilege::Auto),
            first,
            needed: Each { dcmi: first, sensors: first },
            rests: Each { dcmi: None, sensors: None },
            had: None,
        }
    }

    /// The level that the next session is opened at.
    #[must_use]
    pub fn level(&self) -> Level {
        self.needed.dcmi.max(self.needed.sensors)
    }

    /// The level to be named to people: none where the configuration names it.
    #[must_use]
    pub fn found(&self) -> Option<Level> {
        self.climbs.then(|| self.level())
    }

    /// Which refusals [`Ladder::lacks`] is to be told of.
    #[must_use]
    pub fn watch(&self, now: Moment) -> Watch {
        let open = |rests: Option<Moment>| self.climbs && rests.is_none_or(|until| until <= now);
        Watch(Each { dcmi: open(self.rests.dcmi), sensors: open(self.rests.sensors) })
    }

    /// A session at [`Ladder::level`] is up.
    pub fn opened(&mut self) {
        self.had = self.had.max(Some(self.level()));
    }

    /// At [`Ladder::level`] the BMC refuses what `need` is for.
    pub fn lacks(&mut self, need: Need, now: Moment) {
        match self.level().above() {
            Some(above) => *self.needed.of_mut(need) = above,
            None => self.give_up(need, now + REST),
        }
    }

    /// Whether a session at [`Ladder::level`] would be the first above what the BMC is known to give.
    #[must_use]
    pub fn climbs_now(&self) -> bool {
        self.level() > self.first && self.had < Some(self.level())
    }

    /// There is no session at [`Ladder::level`]. `refused`: the BMC says that the user does not have it; else a level
    /// that was had before is not to blame. True if a lower level is now worth trying.
    pub fn not_had(&mut self, refused: bool, now: Moment) -> bool {
        let level = self.level();
        if level == self.first || !refused && self.had >= Some(level) {
            return false;
        }
        for need in [Need::Dcmi, Need::Sensors] {
            if *self.needed.of(need) == level {
                self.give_up(need, now + if refused { REST } else { SILENT_REST });
            }
        }
        true
    }

    fn give_up(&mut self, need: Need, until: Moment) {
        *self.needed.of_mut(need) = self.first;
        *self.rests.of_mut(need) = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment::ZERO;

    fn watches(ladder: &Ladder, now: Moment) -> (bool, bool) {
        let dcmi = ladder.watch(now).over(&Request::new(0x2c, 0x02, []));
        let sensors = ladder.watch(now).over(&Request::new(0x04, 0x2d, []));
        assert!(
            dcmi.is_none_or(|need| need == Need::Dcmi) && sensors.is_none_or(|need| need == Need::Sensors)
        );
        (dcmi.is_some(), sensors.is_some())
    }

    #[test]
    fn a_level_from_the_configuration_stays() {
        for (privilege, level) in [
            (Privilege::User, Level::User),
            (Privilege::Operator, Level::Operator),
            (Privilege::Administrator, Level::Administrator),
        ] {
            let mut ladder = Ladder::new(privilege);
            assert_eq!(
                (ladder.level(), ladder.found(), watches(&ladder, NOON)),
                (level, None, (false, false))
            );
            assert!(!ladder.not_had(true, NOON), "nothing else is tried");
        }
    }

    #[test]
    fn the_least_level_that_works_is_found_and_kept() {
        let mut ladder = Ladder::new(Privilege::Auto);
        assert_eq!((ladder.level(), watches(&ladder, NOON)), (Level::User, (true, true)));
        ladder.opened();
        ladder.lacks(Need::Dcmi, NOON);
        assert_eq!((ladder.level(), ladder.found()), (Level::Operator, Some(Level::Operator)));
        ladder.opened();
        assert!(!ladder.not_had(false, NOON), "it was had once: silence is not the level's fault");
        assert_eq!(ladder.level(), Level::Operator);
    }

    #[test]
    fn a_level_that_does_not_help_is_given_back_for_an_hour() {
        let mut ladder = Ladder::new(Privilege::Auto);
        for level in [Level::User, Level::Operator, Level::Administrator] {
            assert_eq!(ladder.level(), level);
            ladder.opened();
            ladder.lacks(Need::Dcmi, NOON);
        }
        assert_eq!((ladder.level(), watches(&ladder, NOON)), (Level::User, (false, true)));
        assert_eq!(watches(&ladder, NOON + REST), (true, true));
    }

    #[test]
    fn a_sensor_that_nobody_may_read_does_not_cost_dcmi_its_level() {
        let mut ladder = Ladder::new(Privilege::Auto);
        ladder.lacks(Need::Dcmi, NOON);
        ladder.lacks(Need::Sensors, NOON);
        assert_eq!(ladder.level(), Level::Administrator);
        ladder.lacks(Need::Sensors, NOON);
        assert_eq!((ladder.level(), watches(&ladder, NOON)), (Level::Operator, (true, false)));
    }

    #[test]
    fn a_level_that_the_user_does_not_have_is_not_asked_for_again() {
        for refused in [true, false] {
            let mut ladder = Ladder::new(Privilege::Auto);
            ladder.opened();
            ladder.lacks(Need::Dcmi, NOON);
            assert!(ladder.not_had(refused, NOON), "some BMCs meet it with silence");
            assert_eq!((ladder.level(), watches(&ladder, NOON)), (Level::User, (false, true)));
            assert!(!ladder.not_had(refused, NOON), "there is nothing below");
        }
        // Taken away later: only the BMC's word counts then.
        let mut ladder = Ladder::new(Privilege::Auto);
        ladder.lacks(Need::Dcmi, NOON);
        ladder.opened();
        assert!(!ladder.not_had(false, NOON) && ladder.not_had(true, NOON));
    }

    #[test]
    fn only_power_and_sensors_are_worth_a_higher_level() {
        let of = |net_fn, command| Need::of(&Request::new(net_fn, command, []));
        assert_eq!(of(0x2c, 0x02), Some(Need::Dcmi));
        for (net_fn, command) in [(0x04, 0x2d), (0x04, 0x23), (0x0a, 0x20), (0x0a, 0x23)] {
            assert_eq!(of(net_fn, command), Some(Need::Sensors));
        }
        // FRU, chassis status, device id.
        for (net_fn, command) in [(0x0a, 0x10), (0x0a, 0x11), (0x00, 0x01), (0x06, 0x01)] {
            assert_eq!(of(net_fn, command), None);
        }
    }
}
