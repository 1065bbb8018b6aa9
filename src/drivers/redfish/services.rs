//! What the service root says of services beside the chassis and systems.

use super::expand::Features;
use super::lenient::{lenient, resource};
use super::resources::Link;

resource!(/// The service root once more, for what is not about the chassis.
Services {
    features: Features = "ProtocolFeaturesSupported" by "lenient",
    telemetry: Link = "TelemetryService" by "lenient",
    events: Link = "EventService" by "lenient",
});
