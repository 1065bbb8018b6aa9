//! A BMC that misbehaves: no wrong answer becomes a reading, the next good one is right, no session is left behind.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wattribute::drivers::Driver;
use wattribute::drivers::redfish::{Login, Settings, Trust, open, open_at, open_counted};
use wattribute::model::{ErrorKind, OpenSessions, PollError};

use crate::bmc::{Bmc, Fault};
use crate::nginx::certificate;
use crate::{input, lines, settings};

/// Short enough for tests that wait for it, long enough for a busy machine to answer in.
const REQUEST: Duration = Duration::from_millis(1500);

pub fn trusted(bmc: &Bmc, login: Login) -> Settings {
    let trust = Trust::Fingerprint(bmc.certificate.fingerprint);
    Settings { request_timeout: REQUEST, ..settings(&bmc.url, trust, login) }
}

pub fn open_driver(bmc: &Bmc, login: Login) -> Box<dyn Driver> {
    open(trusted(bmc, login)).unwrap()
}

/// A BMC that was polled well once, so that only readings are asked for from here on.
pub async fn ready(login: Login) -> (Bmc, Box<dyn Driver>) {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, login);
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    (bmc, driver)
}

async fn fails(driver: &mut Box<dyn Driver>) -> PollError {
    match driver.poll().await {
        Err(error) => error,
        Ok(batch) => panic!("a reading came of it: {:?}", lines(&batch)),
    }
}

pub async fn assert_next_is_right(bmc: &Bmc, driver: &mut Box<dyn Driver>) {
    bmc.set_watts(250.0);
    assert_eq!(input(&driver.poll().await.unwrap()), Some(250.0));
    bmc.set_watts(251.0);
    let batch = driver.poll().await.unwrap();
    assert_eq!(input(&batch), Some(251.0));
    assert!(lines(&batch).contains(&"psu/PSU1 power 205.5".to_owned()), "{:?}", lines(&batch));
}

#[tokio::test]
async fn a_broken_answer_is_an_error_and_the_next_one_is_right() {
    for (fault, kind) in [
        (Fault::Truncated, ErrorKind::Protocol),
        (Fault::Garbage, ErrorKind::Protocol),
        (Fault::Oversized, ErrorKind::Protocol),
        (Fault::Silence, ErrorKind::Timeout),
        (Fault::Drip, ErrorKind::Timeout),
        (Fault::Status(503, String::new()), ErrorKind::Busy),
        (Fault::Status(302, "Location: https://evil.example/redfish\r\n".to_owned()), ErrorKind::Protocol),
        (Fault::Status(307, "Location: //evil.example/redfish\r\n".to_owned()), ErrorKind::Protocol),
        (Fault::Status(302, "Location: http://127.0.0.1/\r\n".to_owned()), ErrorKind::Protocol),
    ] {
        let (bmc, mut driver) = ready(Login::Basic).await;
        bmc.fault("EnvironmentMetrics", fault.clone());
        if fault == Fault::Garbage {
            // An answer that is none at all is asked for once more.
            bmc.fault("EnvironmentMetrics", fault.clone());
        }
        let error = fails(&mut driver).await;
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
        assert!(!error.fix.is_empty() && !error.cause.contains('\n'), "{error}");
        assert_next_is_right(&bmc, &mut driver).await;
    }
}

#[tokio::test]
async fn an_endless_body_is_not_taken_into_memory() {
    let (bmc, mut driver) = ready(Login::Basic).await;
    for _ in 0..3 {
        bmc.fault("EnvironmentMetrics", Fault::Oversized);
        assert_eq!(fails(&mut driver).await.kind, ErrorKind::Protocol);
    }
    // Three times 512 KiB, and what the sockets hold on the way; of a body of a terabyte.
    assert!(bmc.sent() < 30 << 20, "{} bytes", bmc.sent());
}

#[tokio::test]
async fn a_resource_that_answers_an_error_or_a_page_leaves_only_its_own_readings_out() {
    for fault in [Fault::Status(500, String::new()), Fault::Status(403, String::new()), Fault::Page] {
        let (bmc, mut driver) = ready(Login::Basic).await;
        bmc.fault("PSU1/Metrics", fault.clone());
        let batch = driver.poll().await.unwrap();
        assert_eq!(input(&batch), Some(100.0), "{fault:?}");
        assert!(!lines(&batch).iter().any(|line| line.starts_with("psu/PSU1")), "{:?}", lines(&batch));
        bmc.fault("EnvironmentMetrics", fault);
        // PowerControl's 410 W stand in for the total.
        assert_eq!(input(&driver.poll().await.unwrap()), Some(410.0));
        assert_next_is_right(&bmc, &mut driver).await;
    }
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_a_later_one() {
    let (bmc, mut driver) = ready(Login::Basic).await;
    bmc.fault("EnvironmentMetrics", Fault::Late);
    assert_eq!(fails(&mut driver).await.kind, ErrorKind::Timeout);
    bmc.release();
    assert_next_is_right(&bmc, &mut driver).await;
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_read_once() {
    // Of the last resource of a poll, so that the copy waits for the next poll; and of one in between.
    for what in ["Chassis/Main/Power", "PSU1/Metrics", "EnvironmentMetrics"] {
        let (bmc, mut driver) = ready(Login::Basic).await;
        bmc.fault(&format!("{what} "), Fault::Twice);
        bmc.fault(what, Fault::Twice);
        assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0), "{what}");
        assert_next_is_right(&bmc, &mut driver).await;
    }
}

#[tokio::test]
async fn a_copy_of_the_answer_before_is_not_taken_for_the_answer() {
    for what in ["Chassis/Main/Power", "PSU1/Metrics", "EnvironmentMetrics"] {
        let (bmc, mut driver) = ready(Login::Basic).await;
        bmc.fault(what, Fault::TwiceLater);
        // The copy is met in this poll or, of the last resource, in the next one.
        let met = match driver.poll().await {
            Err(error) => error,
            Ok(batch) => {
                assert_eq!(input(&batch), Some(100.0));
                fails(&mut driver).await
            }
        };
        assert_eq!(met.kind, ErrorKind::Protocol, "{what}: {met}");
        assert_next_is_right(&bmc, &mut driver).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_reading() {
    let (bmc, mut driver) = ready(Login::Basic).await;
    bmc.fault("EnvironmentMetrics", Fault::HangUp);
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    assert_next_is_right(&bmc, &mut driver).await;
}

#[tokio::test]
async fn a_poll_may_be_dropped_anywhere() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    // Every resource is held back once, its poll is dropped there, and the look goes on where it stood.
    let all = [
        "v1/ ",
        "POST",
        "Systems",
        "Chassis",
        "Managers",
        "EnvironmentMetrics",
        "PSU1/Metrics",
        "Main/Power",
    ];
    for what in all {
        let what = what.trim_end();
        bmc.fault(what, Fault::Late);
        let asked = bmc.asked(what);
        {
            let mut poll = driver.poll();
            let reached = async {
                while bmc.asked(what) == asked {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::select! {
                _ended = &mut poll => panic!("nothing was held back at {what}"),
                () = reached => {}
            }
        }
        bmc.release();
    }
    assert_next_is_right(&bmc, &mut driver).await;
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn one_session_serves_all_polls_and_is_given_back() {
    let (bmc, mut driver) = ready(Login::Session).await;
    assert_next_is_right(&bmc, &mut driver).await;
    assert_eq!(bmc.sessions(), (1, 0, 1));
    assert_eq!(bmc.connections(), 1);
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn a_session_is_counted_while_the_bmc_holds_it() {
    let bmc = Bmc::start().await;
    let sessions = OpenSessions::default();
    let mut driver = open_counted(trusted(&bmc, Login::Session), sessions.clone()).unwrap();
    assert_eq!(sessions.count(), 0);
    for _ in 0..3 {
        driver.poll().await.unwrap();
        assert_eq!(sessions.count(), 1);
    }
    driver.close().await;
    assert_eq!(sessions.count(), 0);
}

#[tokio::test]
async fn a_dead_session_is_replaced_once_and_none_is_left() {
    let (bmc, mut driver) = ready(Login::Session).await;
    for (opened, watts) in [(2, 20.0), (3, 30.0), (4, 40.0)] {
        bmc.expire_sessions();
        bmc.set_watts(watts);
        assert_eq!(input(&driver.poll().await.unwrap()), Some(watts));
        assert_eq!(bmc.sessions(), (opened, 0, 1));
    }
    driver.close().await;
    assert_eq!(bmc.sessions(), (4, 1, 0));
}

#[tokio::test]
async fn a_live_session_that_is_refused_for_no_reason_is_deleted_before_the_next() {
    let (bmc, mut driver) = ready(Login::Session).await;
    bmc.fault("EnvironmentMetrics", Fault::Status(401, String::new()));
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    assert_eq!(bmc.sessions(), (2, 1, 1));
    // Refused twice in a row, once with a session just made: the credentials are at fault, and nothing stays open.
    bmc.fault("EnvironmentMetrics", Fault::Status(401, String::new()));
    bmc.fault("EnvironmentMetrics", Fault::Status(401, String::new()));
    assert_eq!(fails(&mut driver).await.kind, ErrorKind::Auth);
    assert_eq!(bmc.sessions(), (3, 3, 0));
    assert_next_is_right(&bmc, &mut driver).await;
    driver.close().await;
    assert_eq!(bmc.sessions(), (4, 4, 0));
}

#[tokio::test]
async fn a_login_that_is_answered_late_is_used_by_the_next_poll() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    bmc.fault("POST", Fault::Late);
    assert_eq!(fails(&mut driver).await.kind, ErrorKind::Timeout);
    bmc.release();
    assert_next_is_right(&bmc, &mut driver).await;
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn a_login_that_is_under_way_at_the_end_is_given_back() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    bmc.fault("POST", Fault::Late);
    assert_eq!(fails(&mut driver).await.kind, ErrorKind::Timeout);
    bmc.release();
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn a_driver_that_is_dropped_without_its_close_gives_its_session_back() {
    let (bmc, driver) = ready(Login::Session).await;
    drop(driver);
    bmc.until_sessions(|(_, deleted, open)| deleted == 1 && open == 0).await;
}

#[tokio::test]
async fn a_session_without_a_token_is_deleted() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    bmc.fault("POST", Fault::NoToken);
    let error = fails(&mut driver).await;
    assert_eq!((error.kind, bmc.sessions()), (ErrorKind::Protocol, (1, 1, 0)), "{error}");
    assert_next_is_right(&bmc, &mut driver).await;
}

#[tokio::test]
async fn a_wrong_password_opens_no_session_and_is_not_shown() {
    let bmc = Bmc::start().await;
    let mut wrong = trusted(&bmc, Login::Session);
    wrong.credentials = Some(("root".to_owned(), "Tr0ub4dor".to_owned().into()));
    assert!(!format!("{wrong:?}").contains("Tr0ub4dor"));
    let mut driver = open(wrong).unwrap();
    let error = fails(&mut driver).await;
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.cause.contains("root") && !format!("{error:?}").contains("Tr0ub4dor"), "{error}");
    assert_eq!(bmc.sessions(), (0, 0, 0));
    assert_eq!(bmc.asked("POST"), 1);
}

#[tokio::test]
async fn a_full_session_table_is_busy() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    bmc.fault("POST", Fault::Status(503, String::new()));
    let error = fails(&mut driver).await;
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.fix.contains("login: basic"), "{error}");
    assert_next_is_right(&bmc, &mut driver).await;
}

#[tokio::test]
async fn services_with_the_old_place_of_sessions_let_in() {
    let bmc = Bmc::start().await;
    let mut driver = open_driver(&bmc, Login::Session);
    bmc.fault("POST /redfish/v1/SessionService/Sessions", Fault::Status(405, String::new()));
    assert_next_is_right(&bmc, &mut driver).await;
    assert_eq!(bmc.asked("POST /redfish/v1/Sessions"), 1);
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn an_untrusted_certificate_is_shown_by_its_fingerprint() {
    let bmc = Bmc::start().await;
    let other = certificate();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &other.pem).unwrap();
    let shown: String = bmc.certificate.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    for trust in [Trust::WebPki, Trust::CaFile(file.path().to_owned()), Trust::Fingerprint(other.fingerprint)]
    {
        let mut driver = open(Settings { trust: trust.clone(), ..trusted(&bmc, Login::Session) }).unwrap();
        let error = fails(&mut driver).await;
        assert_eq!(error.kind, ErrorKind::Tls, "{trust:?}: {error}");
        assert!(error.cause.contains(&format!("sha256:{shown}")), "{error}");
        assert!(error.fix.contains("ca_file") && error.fix.contains("fingerprint"), "{error}");
    }
    assert_eq!(bmc.asked(""), 0, "nothing may be said to a stranger");
    assert_eq!(input(&open_driver(&bmc, Login::Session).poll().await.unwrap()), Some(100.0));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_but_may_be_pinned() {
    let bmc = Bmc::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bmc.certificate.pem).unwrap();
    // The certificate is for 127.0.0.1, not for localhost.
    let url = bmc.url.replace("127.0.0.1", "localhost");
    let named = Settings { url, trust: Trust::CaFile(file.path().to_owned()), ..trusted(&bmc, Login::Basic) };
    assert_eq!(fails(&mut open(named.clone()).unwrap()).await.kind, ErrorKind::Tls);
    let pinned = Settings { trust: Trust::Fingerprint(bmc.certificate.fingerprint), ..named };
    assert_eq!(input(&open(pinned).unwrap().poll().await.unwrap()), Some(100.0));
}

#[tokio::test]
async fn who_is_not_there_is_unreachable() {
    let (mut bmc, mut driver) = ready(Login::Basic).await;
    bmc.stop().await;
    let error = fails(&mut driver).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let url = "https://no-such-bmc.invalid".to_owned();
    let mut nobody = open(Settings { url, ..trusted(&bmc, Login::Basic) }).unwrap();
    let error = fails(&mut nobody).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_something_else_or_nothing_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let trust = Trust::Fingerprint([0; 32]);
    let settings = Settings { request_timeout: REQUEST, ..settings(&url, trust, Login::Basic) };
    let stranger = async {
        // Plain HTTP first, then a hang-up, then silence.
        let (mut plain, _) = listener.accept().await.unwrap();
        plain.read_buf(&mut Vec::new()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut plain, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let (mut brief, _) = listener.accept().await.unwrap();
        brief.read_buf(&mut Vec::new()).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut brief).await.unwrap();
        let _silent = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    };
    let kinds = async {
        let mut driver = open(settings).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..3 {
            kinds.push(fails(&mut driver).await.kind);
        }
        kinds
    };
    tokio::select! {
        () = stranger => panic!("the stranger ended"),
        kinds = kinds => assert_eq!(kinds, [ErrorKind::Tls, ErrorKind::Tls, ErrorKind::Timeout]),
    }
}

#[tokio::test]
async fn a_bmc_whose_place_is_fixed_is_found_there_whatever_its_name_leads_to() {
    let bmc = Bmc::start().await;
    let named =
        Settings { url: bmc.url.replace("127.0.0.1", "bmc.invalid"), ..trusted(&bmc, Login::Session) };
    let error = open(named.clone()).unwrap().poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let mut driver = open_at(named.clone(), "127.0.0.1".parse().unwrap(), OpenSessions::default()).unwrap();
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
    // The certificate must still be that of the name.
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), &bmc.certificate.pem).unwrap();
    let checked = Settings { trust: Trust::CaFile(authority.path().to_owned()), ..named };
    let error = open_at(checked, "127.0.0.1".parse().unwrap(), OpenSessions::default())
        .unwrap()
        .poll()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
}
