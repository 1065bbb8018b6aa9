//! `$expand`: a collection with all its members in one answer, where the service offers it, and what to believe of it.
//!
//! Services advertise it and then answer with an error, leave the query out of account, or nest something else. So the
//! answer is only taken for members that are known already, and a service that does not keep its word is not asked again.

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Failure};
use super::lenient::{lenient, resource};
use super::origin::ResourcePath;
use super::resources::{Collection, read};
use crate::model::{ErrorKind, PollError};

/// The most pages of one collection.
const MAX_PAGES: usize = 8;
/// The most members of one page that are looked at.
const MAX_MEMBERS: usize = 1024;
/// How often it may be too slow before it is given up.
const MAX_SLOW: u8 = 2;

resource!(/// `ProtocolFeaturesSupported` of the service root.
Features {
    expand: ExpandQuery = "ExpandQuery" by "lenient",
});

resource!(/// What `$expand` can do.
ExpandQuery {
    all: bool = "ExpandAll" by "lenient",
    contained: bool = "NoLinks" by "lenient",
    levels: bool = "Levels" by "lenient",
});

impl ExpandQuery {
    /// What to put behind a collection's path; contained members without the links they lead to are enough.
    const fn query(&self) -> Option<&'static str> {
        match (self.contained, self.all, self.levels) {
            (true, _, true) => Some("$expand=.($levels=1)"),
            (true, _, false) => Some("$expand=."),
            (false, true, true) => Some("$expand=*($levels=1)"),
            (false, true, false) => Some("$expand=*"),
            (false, false, _) => None,
        }
    }
}

/// Whether and how one service is asked.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    query: Option<&'static str>,
    /// It did not keep its word, which nothing that it says later makes up for.
    broken: bool,
    /// An answer is waited for. Still so at the next request: the poll's deadline came first.
    waiting: bool,
    slow: u8,
}

/// What one answer, of one or more pages, says of the members that were asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expanded {
    /// In the order asked for: a member's document, if it came along.
    pub(super) documents: Vec<Option<Value>>,
    /// Whether a member is in the collection by now.
    pub(super) listed: Vec<bool>,
    /// A member that is not known was there, or the list went on for too long.
    pub(super) others: bool,
}

impl Expanded {
    fn of(wanted: usize) -> Self {
        Self { documents: vec![None; wanted], listed: vec![false; wanted], others: false }
    }

    /// Takes one page's members in; the first copy of a member counts.
    fn add(&mut self, page: &Value, client: &Client, wanted: &[&ResourcePath]) {
        let members = page.get("Members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        self.others |= members.len() > MAX_MEMBERS;
        for member in members.iter().take(MAX_MEMBERS) {
            let Some(path) =
                member.get("@odata.id").and_then(Value::as_str).and_then(|id| client.origin().resolve(id))
            else {
                continue;
            };
            let Some(at) = wanted.iter().position(|known| known.same_resource(&path)) else {
                self.others = true;
                continue;
            };
            let (Some(listed), Some(document)) = (self.listed.get_mut(at), self.documents.get_mut(at)) else {
                continue;
            };
            *listed = true;
            if document.is_none() && is_more_than_a_link(member) {
                *document = Some(member.clone());
            }
        }
    }
}

impl Expansion {
    /// Takes from the service root what it offers.
    pub(super) fn learn(&mut self, features: &Features) {
        self.query = features.expand.query();
    }

    /// Whether it is worth asking.
    pub(super) const fn is_on(&self) -> bool {
        self.query.is_some() && !self.broken
    }

    /// Asks for `collection` with its members; nothing if the service does not do it, or not well enough.
    ///
    /// # Errors
    /// What leaves nothing more to be expected of this poll.
    pub(super) async fn read(
        &mut self,
        client: &mut Client,
        collection: &ResourcePath,
        wanted: &[&ResourcePath],
    ) -> Result<Option<Expanded>, PollError> {
        if self.waiting {
            self.was_slow();
        }
        let Some(query) = self.query.filter(|_| !self.broken) else { return Ok(None) };
        let mut next = Some(collection.with_query(query));
        let mut expanded = Expanded::of(wanted.len());
        for _ in 0..MAX_PAGES {
            let Some(path) = next.take() else { break };
            self.waiting = true;
            let page = client.get(&path).await;
            self.waiting = false;
            match page {
                Ok(page) => {
                    expanded.add(&page, client, wanted);
                    next = read::<Collection>(&page).next.and_then(|next| client.origin().resolve(&next));
                }
                Err(Failure::Gone | Failure::Refused(_)) => return Ok(self.give_up(collection, "an error")),
                Err(Failure::Broken(error)) => match error.kind {
                    // Too large for us, or the connection ended over it: member by member it may well go.
                    ErrorKind::Protocol => return Ok(self.give_up(collection, "a broken answer")),
                    ErrorKind::Timeout => {
                        self.was_slow();
                        return Err(error);
                    }
                    ErrorKind::Unreachable
                    | ErrorKind::Auth
                    | ErrorKind::Tls
                    | ErrorKind::NoReading
                    | ErrorKind::Busy => return Err(error),
                },
            }
        }
        expanded.others |= next.is_some();
        if !wanted.is_empty() && expanded.documents.iter().all(Option::is_none) {
            return Ok(self.give_up(collection, "no members"));
        }
        self.slow = 0;
        Ok(Some(expanded))
    }

    fn was_slow(&mut self) {
        self.waiting = false;
        self.slow += 1;
        self.broken |= self.slow >= MAX_SLOW;
    }

    fn give_up(&mut self, collection: &ResourcePath, why: &str) -> Option<Expanded> {
        tracing::debug!(collection = collection.as_str(), why, "$expand is not used any more");
        self.broken = true;
        None
    }
}

/// How long single reads may go on in one poll before the rest waits for the next: polls end before their deadline.
pub(super) fn patience(request_limit: Duration) -> Duration {
    request_limit / 2
}

fn is_more_than_a_link(member: &Value) -> bool {
    member.as_object().is_some_and(|fields| fields.keys().any(|key| !key.starts_with('@')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_least_that_the_service_offers_is_asked_for() {
        for (features, want) in [
            (json!({ "ExpandQuery": { "NoLinks": true, "Levels": true } }), Some("$expand=.($levels=1)")),
            (json!({ "ExpandQuery": { "NoLinks": true, "ExpandAll": true } }), Some("$expand=.")),
            (json!({ "ExpandQuery": { "ExpandAll": true, "Levels": true } }), Some("$expand=*($levels=1)")),
            (json!({ "ExpandQuery": { "ExpandAll": true, "NoLinks": "yes" } }), Some("$expand=*")),
            (json!({ "ExpandQuery": { "Links": true } }), None),
            (json!({ "ExpandQuery": null }), None),
            (json!({}), None),
        ] {
            let features: Features = read(&features);
            assert_eq!(features.expand.query(), want, "{features:?}");
        }
    }

    #[test]
    fn a_member_that_is_only_a_link_did_not_come_along() {
        for (member, want) in [
            (json!({ "@odata.id": "/a" }), false),
            (json!({ "@odata.id": "/a", "@odata.type": "#Outlet.v1_4_4.Outlet" }), false),
            (json!({ "@odata.id": "/a", "Id": "1" }), true),
            (json!([1]), false),
        ] {
            assert_eq!(is_more_than_a_link(&member), want, "{member}");
        }
    }
}
