//! Profiles against recordings of our own, written from the MIBs. Each expected number is worked out beside it.

use std::path::{Path, PathBuf};

use wattribute::drivers::snmp::Auth;
use wattribute::model::units::JOULES_PER_KILOWATT_HOUR;
use wattribute::model::{ErrorKind, Measure, Quality, Quantity};

use super::peers::{first_poll, open, settings, shared, snmpsim, v2c};
use super::{lines, reading, value};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snmp")
}

#[tokio::test]
async fn every_value_of_our_own_recordings_is_as_the_mib_says() {
    let sim = snmpsim(&recordings());
    let shared = shared();
    let device = |name: &str| settings(&sim.address, v2c(name));

    // apc_chain: a PDU of three phases, and a second one behind it.
    let apc = first_poll(&device("apc_chain"), &shared).await.unwrap();
    // Device power in hundredths of kW: 57 -> 570 W, 31 -> 310 W. Phases 24, 20, 13 -> 240, 200, 130 W; unit 2: 31.
    // Outlets in W. Outlet 3 says -1, "not supported": no reading.
    assert_eq!(
        lines(&apc, Quantity::Power),
        [
            "input 570",
            "outlet/1 212",
            "outlet/2 338",
            "phase/L1 240",
            "phase/L2 200",
            "phase/L3 130",
            "unit/2/input 310",
            "unit/2/outlet/1 133",
            "unit/2/outlet/2 0",
            "unit/2/phase/L1 310",
        ]
    );
    // Tenths of A.
    assert_eq!(
        lines(&apc, Quantity::Current),
        [
            "bank/1 1.5",
            "bank/2 1.1",
            "outlet/1 1",
            "outlet/2 1.5",
            "outlet/3 0",
            "phase/L1 1.1",
            "phase/L2 0.9",
            "phase/L3 0.6",
            "unit/2/bank/1 1.4",
            "unit/2/outlet/1 0.6",
            "unit/2/outlet/2 0",
            "unit/2/phase/L1 1.4",
        ]
    );
    // Tenths of kWh, 360,000 J each: 12345 -> 4.4442e9 J. The step is the quantum.
    let energy = apc
        .readings
        .iter()
        .find(|r| r.channel.as_str() == "input" && matches!(r.measure, Measure::Energy(_)));
    let Some(Measure::Energy(energy)) = energy.map(|r| r.measure) else { panic!("no energy") };
    assert_eq!(energy.total.get(), 1234.5 * JOULES_PER_KILOWATT_HOUR);
    assert_eq!(energy.quantum.get(), 0.1 * JOULES_PER_KILOWATT_HOUR);
    assert_eq!(energy.modulus, None);
    // Tenths of a degree; the second unit has no sensor (-1).
    assert_eq!(lines(&apc, Quantity::Temperature), ["sensor/1 23.9"]);
    assert_eq!(value(&apc, "input", Quantity::ApparentPower), Some(600.0));
    assert_eq!(value(&apc, "input", Quantity::PowerFactor), Some(0.95));
    let identity = apc.identity.unwrap();
    assert_eq!(
        (
            identity.vendor.as_str(),
            identity.model.as_str(),
            identity.serial.as_str(),
            identity.firmware.as_str()
        ),
        ("APC", "AP8000", "SER1", "v6.8.2")
    );
    assert_eq!(identity.profile, "apc-rpdu2");

    // apc_current_only: the device table says -1; 460 W are computed from a configured voltage.
    let apc = first_poll(&device("apc_current_only"), &shared).await.unwrap();
    assert_eq!(reading(&apc, "input", Quantity::Power), Some((460.0, Quality::Estimated)));
    assert_eq!(reading(&apc, "phase/L1", Quantity::Current), Some((2.0, Quality::Measured)));
    assert_eq!(value(&apc, "input", Quantity::Energy), None);

    // eaton_chain: strapping 0 has no total table but a total row (981 W, not 480 + 300 + 200); strapping 1 says -1
    // there, so its phases add up: 110 + 90 + 50 = 250 W. Energy is never a sum.
    let eaton = first_poll(&device("eaton_chain"), &shared).await.unwrap();
    assert_eq!(
        lines(&eaton, Quantity::Power),
        [
            "group/1 480",
            "input 981",
            "outlet/1 142",
            "outlet/2 80",
            "phase/L1 480",
            "phase/L2 300",
            "phase/L3 200",
            "unit/2/input 250",
            "unit/2/outlet/1 55",
            "unit/2/phase/L1 110",
            "unit/2/phase/L2 90",
            "unit/2/phase/L3 50",
        ]
    );
    assert_eq!(value(&eaton, "input", Quantity::Energy), Some(6007.0 * 3600.0));
    assert_eq!(value(&eaton, "unit/2/input", Quantity::Energy), None);
    // Outlet 2 has no row in the energy column.
    assert_eq!(value(&eaton, "outlet/1", Quantity::Energy), Some(385_352.0 * 3600.0));
    assert_eq!(value(&eaton, "outlet/2", Quantity::Energy), None);
    // mA and mV, by the wire that each row names: kind 2 of currents is the neutral.
    assert_eq!(
        lines(&eaton, Quantity::Voltage),
        ["group/1 229.9", "phase/L1 229.9", "phase/L2 230.1", "phase/L3 231"]
    );
    assert_eq!(value(&eaton, "phase/N", Quantity::Current), Some(0.412));
    assert_eq!(value(&eaton, "phase/L2", Quantity::Current), Some(1.347));
    assert_eq!(value(&eaton, "input", Quantity::Frequency), Some(50.0));
    assert_eq!(eaton.identity.unwrap().serial, "H000");

    // eaton_total: 1584 W in the total table comes before 1587 W in the total row and 1589 W of the phase.
    let eaton = first_poll(&device("eaton_total"), &shared).await.unwrap();
    assert_eq!(lines(&eaton, Quantity::Power), ["input 1584", "phase/L1 1589"]);
    let energy = eaton
        .readings
        .iter()
        .find(|r| r.channel.as_str() == "input" && matches!(r.measure, Measure::Energy(_)));
    let Some(Measure::Energy(energy)) = energy.map(|r| r.measure) else { panic!("no energy") };
    assert_eq!((energy.total.get(), energy.quantum.get()), (8_185_493.0 * 3600.0, 3600.0));
    // Unsigned32 in Wh: it wraps at 2^32 Wh.
    assert_eq!(energy.modulus.unwrap().get(), 4_294_967_296.0 * 3600.0);
    assert_eq!(eaton.identity.unwrap().model, "EMI000-2");

    // ups_three_phase: in 3700 + 3610 + 3890 = 11200 W, out 3500 + 3400 + 3700 = 10600 W. Found by its probes.
    let ups = first_poll(&device("ups_three_phase"), &shared).await.unwrap();
    assert_eq!(
        lines(&ups, Quantity::Power),
        [
            "bypass/L1 0",
            "bypass/L2 0",
            "bypass/L3 0",
            "input 11200",
            "input/L1 3700",
            "input/L2 3610",
            "input/L3 3890",
            "output 10600",
            "output/L1 3500",
            "output/L2 3400",
            "output/L3 3700",
        ]
    );
    assert_eq!(value(&ups, "input/L2", Quantity::Current), Some(16.5));
    assert_eq!(value(&ups, "input/L3", Quantity::Frequency), Some(49.9));
    assert_eq!(value(&ups, "output", Quantity::Frequency), Some(49.9));
    let identity = ups.identity.unwrap();
    assert_eq!((identity.vendor.as_str(), identity.model.as_str()), ("Maker", "Model 40k"));

    // ups_no_input_power: 0 W go in while 650 + 660 = 1310 W come out: the input is not measured.
    let ups = first_poll(&device("ups_no_input_power"), &shared).await.unwrap();
    assert_eq!(lines(&ups, Quantity::Power), ["output 1310", "output/L1 650", "output/L2 660"]);
    assert_eq!(value(&ups, "input/L1", Quantity::Voltage), Some(230.0));
    // ups_idle: nothing comes out, so nothing going in is a true 0.
    let ups = first_poll(&device("ups_idle"), &shared).await.unwrap();
    assert_eq!(lines(&ups, Quantity::Power), ["input 0", "input/L1 0", "output 0", "output/L1 0"]);

    // apc_nonsense_id: sysObjectID 0.0, found by its probe.
    let apc = first_poll(&device("apc_nonsense_id"), &shared).await.unwrap();
    assert_eq!(lines(&apc, Quantity::Power), ["input 120"]);
}

#[tokio::test]
async fn the_same_values_come_over_every_version_and_in_any_batch() {
    let sim = snmpsim(&recordings());
    let shared = shared();
    let v2 = first_poll(&settings(&sim.address, v2c("apc_chain")), &shared).await.unwrap();
    let v1 = Auth::V1("apc_chain".to_owned().into());
    let v3 = Auth::V3 {
        user: "simulator".into(),
        auth: Some((wattribute::drivers::snmp::AuthProtocol::Sha, "auctoritas".to_owned().into())),
        privacy: Some((wattribute::drivers::snmp::PrivacyProtocol::Aes128, "privatus".to_owned().into())),
        context: "apc_chain".into(),
    };
    for (auth, max_oids) in [(v1, 10), (v3, 48), (v2c("apc_chain"), 1), (v2c("apc_chain"), 10_000)] {
        let mut settings = settings(&sim.address, auth);
        settings.max_oids = max_oids;
        assert_eq!(
            first_poll(&settings, &shared).await.unwrap().readings,
            v2.readings,
            "max_oids {max_oids}"
        );
    }
}

#[tokio::test]
async fn a_device_that_no_profile_reads_says_so_and_what_to_do() {
    let sim = snmpsim(&recordings());
    let shared = shared();
    let error = first_poll(&settings(&sim.address, v2c("stranger")), &shared).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert_eq!(
        error.to_string(),
        "no profile reads this device: sysObjectID 1.3.6.1.4.1.99999.1, sysDescr \"A thing that is no meter\"; if one \
         that `wattribute profile list` shows fits, set `profile` to its name; otherwise write a profile as \
         docs/profiles.md shows"
    );
    // The operator says which: no question is asked, but there is nothing to read either.
    let mut fixed = settings(&sim.address, v2c("stranger"));
    fixed.profile = Some("ups-mib".into());
    let error = open(fixed, &shared).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    // The meter is the right one but says -1 everywhere.
    let error = open(settings(&sim.address, v2c("apc_silent_meter")), &shared).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert!(error.cause.starts_with("profile apc-rpdu2 fits, but none of its "), "{error}");
}
