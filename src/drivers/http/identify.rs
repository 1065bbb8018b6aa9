//! Which profile reads a device: its well-known answers tell, as the profiles' `match` says.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::poll::{ask, parse};
use super::profile::Profile;
use crate::drivers::profiles::Library;
use crate::model::{ErrorKind, PollError};
use crate::web::Client;

/// The most questions a device is asked to find out what it is.
const MAX_QUESTIONS: usize = 12;

/// Asks the device, without credentials, until a profile fits.
///
/// # Errors
/// `NoReading` if none does; `Auth` if none does and the device asks for credentials; otherwise as an exchange.
pub(super) async fn identify(
    client: &mut Client,
    library: &Library<Profile>,
) -> Result<Arc<Profile>, PollError> {
    let mut answers: HashMap<&str, Option<Value>> = HashMap::new();
    let mut locked = false;
    for profile in library.iter() {
        for one in &profile.matching {
            if !answers.contains_key(one.path.as_str()) {
                if answers.len() >= MAX_QUESTIONS {
                    continue;
                }
                let answer = question(client, &one.path, &mut locked).await?;
                answers.insert(&one.path, answer);
            }
            let answer = answers.get(one.path.as_str()).and_then(Option::as_ref);
            if answer.is_some_and(|answer| one.conditions.iter().all(|condition| condition.holds(answer))) {
                return Ok(Arc::clone(profile));
            }
        }
    }
    let fix = format!("set `profile` to one of {}, or write it as docs/profiles.md shows", library.names());
    Err(if locked {
        PollError::new(ErrorKind::Auth, "the meter does not say what it is without credentials", fix)
    } else {
        PollError::new(ErrorKind::NoReading, "no profile knows this meter's answers", fix)
    })
}

/// One question; no answer where the device does not know it.
async fn question(client: &mut Client, path: &str, locked: &mut bool) -> Result<Option<Value>, PollError> {
    match client.get(&ask(path, None)).await {
        Ok(body) => Ok(parse(&body)),
        Err(error) => match error.kind {
            ErrorKind::Auth => {
                *locked = true;
                Ok(None)
            }
            // Some other page, or none: the next question may be known.
            ErrorKind::Protocol | ErrorKind::NoReading => Ok(None),
            ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Tls | ErrorKind::Busy => Err(error),
        },
    }
}
