use super::*;
use crate::drivers::profiles::Profile as _;

const GOOD: &str = "protocol: modbus\nname: own\nabout: a meter\nchannels:\n";

fn mistakes(channels: &str) -> String {
    Profile::parse(&format!("{GOOD}{channels}")).unwrap_err()
}

#[test]
fn channels_of_a_kind_are_written_once() {
    let text = "protocol: modbus\nname: own\nabout: a meter\naccuracy: 1 %\n\
                defaults: {function: 4, type: i32, word_order: little}\nchannels:\n\
                - {channel: input, values: [{quantity: power, register: 0x28, scale: 0.1, accuracy: 0.5 %}]}\n\
                - channel: phase/L{n}\n  n: [1, 2, 3]\n  values:\n\
                \x20 - {quantity: voltage, register: [0, 2, 4], scale: 0.1}\n\
                - {channel: rated, values: [{quantity: power, register: 6, quality: estimated}]}\n";
    let profile = Profile::parse(text).unwrap();
    let channels: Vec<_> =
        profile.channels.iter().map(|c| (c.id.as_str(), c.accuracy.map(Ratio::get))).collect();
    let phase = |id| (id, Some(0.01));
    let [l1, l2, l3] = ["phase/L1", "phase/L2", "phase/L3"].map(phase);
    assert_eq!(channels, [("input", Some(0.005)), l1, l2, l3, ("rated", None)]);
    let places: Vec<_> = profile.values.iter().map(|v| (v.channel.as_str(), v.spans[0].start)).collect();
    assert_eq!(places, [("input", 40), ("phase/L1", 0), ("phase/L2", 2), ("phase/L3", 4), ("rated", 6)]);
    assert!(profile.values.iter().all(|v| v.order == Order::Little && v.spans[0].table == Table::Input));
}

#[test]
fn every_mistake_is_found_and_told_with_its_place() {
    let text = mistakes(
        "- {channel: input, values: [{quantity: watts, register: 0, type: u16}, {quantity: energy, register: 0, type: u32}, \
         {quantity: power, register: 65535, type: u32}, {quantity: power, register: 0}, {quantity: power, register: 1, type: u16, \
         function: 2}, {quantity: power, register: 1, type: u16, step: 1}]}\n\
         - {channel: 'phase/L{n}', values: []}\n- {channel: 'phase/L{n}', n: [1, 2], values: [{quantity: voltage, register: [0], type: u16}]}\n",
    );
    for part in [
        "channels entry 1 (input), value 1 (watts): is not a quantity; use one of power,",
        "value 2 (energy): energy needs `scale`, the joules of one step",
        "value 3 (power): register 65535: its number reaches past register 65535",
        "value 4 (power): `type` is missing, here and in `defaults`",
        "value 5 (power): function 2: write 3 (holding registers) or 4 (input registers)",
        "value 6 (power): `wraps_at`, `wraps_at_bits`, `step` and `add` are for energy only",
        "entry 2 (phase/L{n}): {n} in `channel` and the list `n` need each other",
        "entry 3 (phase/L{n}), value 1 (voltage): `register` needs one register for each word of `n`, so 2",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains('\n'));
}

#[test]
fn a_manuals_number_or_an_unknown_key_is_refused() {
    assert!(
        mistakes("- {channel: input, values: [{quantity: power, manual: 40001, type: u16}]}\n")
            .contains("manual")
    );
    assert!(
        mistakes("- {channel: input, values: [{quantity: power, register: 400001, type: u16}]}\n")
            .contains("channels")
    );
    assert!(
        Profile::parse("protocol: modbus\nname: Own\nabout: a\nchannels: []\n")
            .unwrap_err()
            .contains("lower-case")
    );
}

#[test]
fn the_schema_knows_every_key_that_profiles_use() {
    let schema = serde_json::to_string(schema().as_value()).unwrap();
    for key in ["max_gap", "word_order", "reversed", "wraps_at", "identity", "0x"] {
        assert!(schema.contains(key) || key == "0x", "{key}");
    }
}
