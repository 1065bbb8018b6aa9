//! net-snmp's snmpd, serving a PDU's variables: the real SNMPv3, and what it says when credentials are wrong.

use wattribute::drivers::snmp::{Auth, AuthProtocol, PrivacyProtocol, Settings};
use wattribute::model::{ErrorKind, Quantity};

use super::lines;
use super::peers::{Peer, first_poll, open, settings, shared, snmpd, up, v2c};

const OUTLETS: &str = "1.3.6.1.4.1.318.1.1.26.9.4.3.1";

fn pdu() -> Peer {
    let mut conf = String::from(
        "sysobjectid 1.3.6.1.4.1.318.1.3.4.6\n\
         rocommunity open\n\
         createUser sha SHA authpassword AES privpassword\n\
         createUser sha256 SHA-256 authpassword AES-256 privpassword\n\
         createUser sha512 SHA-512 authpassword AES-192 privpassword\n\
         createUser plain MD5 authpassword\n\
         rouser sha priv\nrouser sha256 priv\nrouser sha512 priv\nrouser plain auth\n\
         override 1.3.6.1.4.1.318.1.1.26.4.3.1.2.1 integer 1\n\
         override 1.3.6.1.4.1.318.1.1.26.4.3.1.5.1 integer 114\n",
    );
    for outlet in 1..=3 {
        for (column, value) in [(2, 1), (4, outlet), (7, 100 * outlet + 7)] {
            conf += &format!("override {OUTLETS}.{column}.{outlet} integer {value}\n");
        }
    }
    snmpd(&conf)
}

fn v3(user: &str, auth: (AuthProtocol, &str), privacy: Option<(PrivacyProtocol, &str)>) -> Auth {
    Auth::V3 {
        user: user.into(),
        auth: Some((auth.0, auth.1.to_owned().into())),
        privacy: privacy.map(|(protocol, password)| (protocol, password.to_owned().into())),
        context: String::new(),
    }
}

#[tokio::test]
async fn snmpd_is_read_over_every_version_and_strength() {
    let pdu = pdu();
    let shared = shared();
    let password = "authpassword";
    for auth in [
        v2c("open"),
        Auth::V1("open".to_owned().into()),
        v3("sha", (AuthProtocol::Sha, password), Some((PrivacyProtocol::Aes128, "privpassword"))),
        v3("sha256", (AuthProtocol::Sha256, password), Some((PrivacyProtocol::Aes256, "privpassword"))),
        v3("sha512", (AuthProtocol::Sha512, password), Some((PrivacyProtocol::Aes192, "privpassword"))),
        v3("plain", (AuthProtocol::Md5, password), None),
    ] {
        let settings = settings(&pdu.address, auth);
        let batch = first_poll(&settings, &shared).await.unwrap();
        // 114 hundredths of kW; outlets of 107, 207 and 307 W.
        let expected = ["input 1140", "outlet/1 107", "outlet/2 207", "outlet/3 307"];
        assert_eq!(lines(&batch, Quantity::Power), expected, "{:?}", settings.auth);
        // And again on the same session, without walking.
        let mut driver = open(settings, &shared);
        driver.poll().await.unwrap();
        let again = driver.poll().await.unwrap();
        assert_eq!(lines(&again, Quantity::Power), expected);
        assert_eq!(again.identity, None);
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_and_never_printed() {
    let pdu = pdu();
    let shared = shared();
    up(&settings(&pdu.address, v2c("open")), &shared).await;
    let aes = Some((PrivacyProtocol::Aes128, "privpassword"));
    let brief = |auth: Auth| Settings {
        request_timeout: std::time::Duration::from_millis(300),
        ..settings(&pdu.address, auth)
    };
    for (auth, kind, cause, fix) in [
        (
            v2c("hunter2-c"),
            ErrorKind::Timeout,
            "no answer from",
            "the community (a wrong one is met with silence)",
        ),
        (
            v3("nobody", (AuthProtocol::Sha, "hunter2-auth"), aes),
            ErrorKind::Auth,
            "does not know the SNMPv3 user \"nobody\"",
            "check `user`",
        ),
        (
            v3("sha", (AuthProtocol::Sha, "hunter2-auth"), aes),
            ErrorKind::Auth,
            "refused the authentication",
            "check the authentication password",
        ),
        (
            v3("sha", (AuthProtocol::Sha256, "authpassword"), aes),
            ErrorKind::Auth,
            "refused the authentication",
            "password and protocol",
        ),
        (
            v3("sha", (AuthProtocol::Sha, "authpassword"), Some((PrivacyProtocol::Aes128, "hunter2-priv"))),
            ErrorKind::Timeout,
            "no answer",
            "privacy protocol and password",
        ),
        (
            v3("plain", (AuthProtocol::Md5, "authpassword"), aes),
            ErrorKind::Auth,
            "at this security level",
            "exactly as the device has them",
        ),
        (
            v3("sha", (AuthProtocol::Sha, "authpassword"), None),
            ErrorKind::Auth,
            "does not let us read",
            "give this community or user a view",
        ),
    ] {
        let error = open(brief(auth.clone()), &shared).poll().await.unwrap_err();
        assert_eq!(error.kind, kind, "{auth:?}: {error}");
        assert!(error.cause.contains(cause), "{error}");
        assert!(error.fix.contains(fix), "{error}");
        assert!(!format!("{error} {error:?} {auth:?}").contains("hunter2"), "{error}");
    }
    // The right ones are not shut out by the wrong ones before.
    let right = v3("sha", (AuthProtocol::Sha, "authpassword"), aes);
    assert_eq!(open(settings(&pdu.address, right), &shared).poll().await.unwrap().readings.len(), 4);
}

#[tokio::test]
async fn an_agent_that_restarts_with_its_boot_counter_lost_is_read_again() {
    let shared = shared();
    let auth =
        v3("sha256", (AuthProtocol::Sha256, "authpassword"), Some((PrivacyProtocol::Aes256, "privpassword")));
    let first = pdu();
    let settings = settings(&first.address, auth);
    up(&settings, &shared).await;
    let mut driver = open(settings.clone(), &shared);
    driver.poll().await.unwrap();
    let address = first.address.clone();
    drop(first);
    // The same port, a new engine: another agent altogether for SNMPv3.
    let second = super::peers::snmpd_at(&address, &pdu_conf());
    let tries = async { while driver.poll().await.is_err() {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), tries).await.expect("never read again");
    drop(second);
}

fn pdu_conf() -> String {
    "sysobjectid 1.3.6.1.4.1.318.1.3.4.6\n\
     createUser sha256 SHA-256 authpassword AES-256 privpassword\nrouser sha256 priv\n\
     override 1.3.6.1.4.1.318.1.1.26.4.3.1.2.1 integer 1\n\
     override 1.3.6.1.4.1.318.1.1.26.4.3.1.5.1 integer 77\n"
        .to_owned()
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses() {
    let pdu = pdu();
    let shared = shared();
    up(&settings(&pdu.address, v2c("open")), &shared).await;
    // The agent listens on 127.0.0.1 only; `localhost` may mean ::1 first.
    let name = pdu.address.replace("127.0.0.1", "localhost");
    let brief =
        Settings { request_timeout: std::time::Duration::from_millis(300), ..settings(&name, v2c("open")) };
    let mut driver = open(brief, &shared);
    let tries = async { while driver.poll().await.is_err() {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), tries)
        .await
        .expect("no address of the name was right");
}

#[tokio::test]
async fn what_cannot_be_an_address_or_a_profile_is_said_at_once() {
    let shared = shared();
    let refused = |settings: Settings| {
        wattribute::drivers::snmp::open(settings, std::sync::Arc::clone(&shared)).err().unwrap()
    };
    for address in ["pdu-1", "pdu-1:x", ":161", "pdu-1:70000"] {
        assert_eq!(refused(settings(address, v2c("open"))).kind, ErrorKind::Unreachable, "{address}");
    }
    let unknown = Settings { profile: Some("apc".into()), ..settings("pdu-1:161", v2c("open")) };
    let unknown = refused(unknown).to_string();
    assert!(unknown.starts_with("there is no profile \"apc\" for snmp; "), "{unknown}");
    let error = open(settings("no-such-host.invalid:161", v2c("open")), &shared).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.cause.starts_with("no-such-host.invalid:161 cannot be resolved"), "{error}");
}
