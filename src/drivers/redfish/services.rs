//! What the service root says of services beside the chassis and systems.

use super::expand::Features;
use super::resources::{lenient, resource};

resource!(/// The service root once more, for what is not about the chassis.
Services {
    features: Features = "ProtocolFeaturesSupported" by "lenient",
});
