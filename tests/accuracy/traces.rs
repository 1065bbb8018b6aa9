//! The traces. Chosen to be unlike each other and to hold what is hard for each method, ours included; their figures are
//! round ones, set before the first run and not turned to anybody's favour.
//! Long, since it is a list.

use super::curve::{Curve, Shape};
use super::load::{bursts, steady, steps, waves};
use super::random::Random;
use super::trace::{Guest, METER, Machine, Meter, RAPL, Rapl, SECONDS, Trace};

const LINEAR: Curve = Curve::new(Shape::Linear { idle: 120.0, rise: 240.0 });
const ROOT: Curve = Curve::new(Shape::Root { idle: 110.0, rise: 250.0 });
/// Boavizta's default profile of a processor twice, for two sockets.
const LOG: Curve = Curve::new(Shape::Log { a: 342.4, b: 0.0354, c: 36.89, d: -20.26, rest: 60.0 });
/// The shape of a two-socket server of about 2019.
const SPEC: Curve =
    Curve::new(Shape::Spec([52.0, 118.0, 142.0, 164.0, 186.0, 211.0, 240.0, 276.0, 321.0, 364.0, 399.0]));
const FANS: Curve = Curve { shape: Shape::Linear { idle: 120.0, rise: 220.0 }, fans: Some((0.45, 30.0)) };
/// As most samples of hypervisors and meters are set up: every 10 s.
const USUAL: (Meter, usize) = (METER, 10);

fn machine(curve: Curve) -> Machine {
    Machine {
        cpus: 32.0,
        memory_gib: 128.0,
        overcommit: 1.0,
        curve,
        rapl: RAPL,
        own: steady(32, 0.01),
        own_memory_gib: 4.0,
    }
}

fn guest(name: &str, vcpus: u32, memory_gib: u32, load: Vec<f64>) -> Guest {
    Guest {
        name: name.to_owned(),
        vcpus,
        memory_gib,
        resident: 0.7,
        heat: 1.0,
        traffic_watts: 0.0,
        stays: vec![(0, SECONDS, 0)],
        load,
    }
}

/// Six guests of several sizes and habits on 28 of 32 CPUs: what most traces change one thing of.
fn house(seed: u64) -> Vec<Guest> {
    let mut r = Random::new(seed);
    vec![
        guest("web", 4, 8, steps(&mut r, 4, 0.10, 0.60)),
        guest("db", 8, 48, steps(&mut r, 8, 0.20, 0.50)),
        guest("batch", 8, 16, steps(&mut r, 8, 0.00, 1.00)),
        guest("ci", 4, 8, steps(&mut r, 4, 0.00, 0.90)),
        guest("mail", 2, 4, waves(2, 0.05, 0.30, 600)),
        guest("spare", 2, 16, steady(2, 0.005)),
    ]
}

/// Every trace. The loads follow from the seed: the page's is 0.
pub fn all(seed: u64) -> Vec<Trace> {
    let seed = seed * 1000;
    let mut all = curves(seed);
    all.extend(meters(seed));
    all.extend(guests(seed));
    all.extend(hosts(seed));
    all
}

fn one(
    name: &'static str,
    about: &'static str,
    why: &'static str,
    host: Machine,
    guests: Vec<Guest>,
    seen: (Meter, usize),
) -> Trace {
    Trace::new(name, about, why, vec![host], guests, seen)
}

fn curves(seed: u64) -> Vec<Trace> {
    vec![
        one(
            "linear",
            "Six guests of 2 to 8 vCPUs on a host whose power is a straight line over load. The house that most other traces change one thing of.",
            "Every assumption of ours holds; what is left is the 10 s between readings.",
            machine(LINEAR),
            house(seed + 1),
            USUAL,
        ),
        one(
            "concave, logarithm",
            "The house on a curve of the form that Boavizta publishes for processors.",
            "What was seen of a bent curve meets zero load above the true idle power: some dynamic energy is taken for idle.",
            machine(LOG),
            house(seed + 2),
            USUAL,
        ),
        one(
            "concave, square root",
            "The house on a strongly concave curve: the first tenth of load costs a third of the whole rise.",
            "Here a small guest's CPU second costs more than a large one's, which CPU time does not say; and the curve is steepest where nobody sees it.",
            machine(ROOT),
            house(seed + 3),
            USUAL,
        ),
        one(
            "eleven points",
            "The house on a curve of eleven points with a very low idle power, as SPECpower results have it: it leaps from idle to 10 %.",
            "A host that is never idle does not show its deep idle state, so nobody can learn it.",
            machine(SPEC),
            house(seed + 4),
            USUAL,
        ),
        one(
            "fan step",
            "The house on a straight line, but the fans take 30 W more from 45 % on.",
            "The step tilts what is learned of idle power. Who is there when it comes pays for it together.",
            machine(FANS),
            house(seed + 5),
            USUAL,
        ),
    ]
}

fn meters(seed: u64) -> Vec<Trace> {
    let house =
        |name, about, why, (curve, n), seen| one(name, about, why, machine(curve), house(seed + n), seen);
    vec![
        house(
            "1 s meter",
            "The house, meter and hypervisor read every second.",
            "The finest that is usual.",
            (LINEAR, 6),
            (METER, 1),
        ),
        house(
            "15 s meter",
            "The house, the meter shows a new value every 15 s and is read as often.",
            "A value that a meter took in one second stands for 15; the curve is bent beside.",
            (LOG, 7),
            (Meter { refresh: 15, ..METER }, 15),
        ),
        house(
            "noise 2 %",
            "The house, every reading off by 2 % (standard deviation).",
            "Noise averages out in energies; a least power seen is pulled down by it.",
            (LINEAR, 8),
            (Meter { noise: 0.02, ..METER }, 10),
        ),
        house(
            "steps of 1 W",
            "The house, the meter shows whole watts.",
            "The steps: next to nothing. The curve: its deep idle state is never seen.",
            (SPEC, 9),
            (Meter { step: 1.0, ..METER }, 10),
        ),
        house(
            "steps of 10 W",
            "The house, the meter shows tens of watts.",
            "Rounding averages out over an hour of varied load; what is left is the bent curve.",
            (LOG, 10),
            (Meter { step: 10.0, ..METER }, 10),
        ),
        house(
            "mean of a minute",
            "The house, the meter shows the mean of the last 60 s, as many BMCs do.",
            "Power comes half a minute late and blurred: it meets the CPU time of others. RAPL knows better.",
            (LINEAR, 11),
            (Meter { window: 60, ..METER }, 10),
        ),
        house(
            "15 s late",
            "The house, the meter shows what was 15 s ago.",
            "Power meets the CPU time of 15 s later; RAPL knows better. And the deep idle state of this curve is never seen.",
            (SPEC, 12),
            (Meter { lag: 15, ..METER }, 10),
        ),
    ]
}

fn guests(seed: u64) -> Vec<Trace> {
    let mut r = Random::new(seed + 20);
    let idlers = (0..6).map(|n| guest(&format!("idle-{n}"), 3, 12, steady(3, 0.005)));
    let idle = [
        guest("busy-0", 6, 16, steps(&mut r, 6, 0.1, 0.9)),
        guest("busy-1", 4, 32, steps(&mut r, 4, 0.1, 0.9)),
    ];
    let bursty = [
        guest("burst-0", 8, 16, bursts(&mut r, 8)),
        guest("burst-1", 4, 16, bursts(&mut r, 4)),
        guest("burst-2", 8, 32, bursts(&mut r, 8)),
        guest("constant", 8, 32, steady(8, 0.3)),
    ];
    let steadies = [
        guest("third", 8, 32, steady(8, 0.33)),
        guest("half", 8, 16, steady(8, 0.5)),
        guest("most", 4, 32, steady(4, 0.8)),
        guest("none", 8, 32, steady(8, 0.005)),
    ];
    let mut hot = house(seed + 21);
    for (g, heat) in hot.iter_mut().zip([1.0, 0.8, 1.4, 1.0, 0.8, 1.0]) {
        g.heat = heat;
    }
    let mut traffic = house(seed + 22);
    traffic[1].traffic_watts = 6.0;
    traffic[1].resident = 1.0;
    let mut ends = house(seed + 23);
    ends[0].stays = vec![(1003, SECONDS, 0)];
    ends[2].stays = vec![(0, 2047, 0)];
    ends[3].stays = vec![(598, 898, 0), (1795, 2991, 0)];
    let one = |name, about, why, guests, (curve, seen)| one(name, about, why, machine(curve), guests, seen);
    vec![
        one(
            "idle guests",
            "Two busy guests, and six that only hold what they reserved.",
            "Whoever splits by CPU time alone lets idle guests stay for nothing.",
            idlers.chain(idle).collect(),
            (LINEAR, USUAL),
        ),
        one(
            "bursts",
            "Three guests with bursts of 2 or 3 s, one steady; meter and hypervisor read every 15 s.",
            "A meter read at an instant hits a burst or misses it; the CPU time of the interval does not tell when.",
            bursty.into(),
            (LOG, (METER, 15)),
        ),
        one(
            "steady load",
            "Four guests whose load never changes.",
            "Power that never varies does not tell how much of it is idle: this is where idle power should be configured.",
            steadies.into(),
            (SPEC, USUAL),
        ),
        one(
            "unequal work",
            "The house, but a CPU second of `batch` costs 1.4 times the curve's, one of `db` and `mail` 0.8 (vector units, waiting on memory).",
            "No method sees it: CPU time is all they have.",
            hot,
            (LINEAR, USUAL),
        ),
        one(
            "memory traffic",
            "The house, but each CPU second of `db` costs 6 J in memory beside, which RAPL's memory domain sees.",
            "Nobody sees whose the traffic is: CPU time says nothing of it, and CEEMS's memory term goes by memory in use.",
            traffic,
            (LINEAR, USUAL),
        ),
        one(
            "start and stop",
            "The house, but `web` starts after 17 minutes, `batch` ends after 34, `ci` runs twice.",
            "Between its last sample and its end a guest uses what nobody can show it to have used.",
            ends,
            (LOG, USUAL),
        ),
    ]
}

fn hosts(seed: u64) -> Vec<Trace> {
    let mut r = Random::new(seed + 30);
    let crowd = (0..24)
        .map(|n| {
            let high = [0.1, 0.3, 0.6, 1.0][n % 4];
            let load = steps(&mut r, 4, 0.0, high);
            guest(&format!("vm-{n:02}"), 4, [2, 4, 6, 8][n / 6], load)
        })
        .collect();
    let crowded = Machine { overcommit: 3.0, ..machine(SPEC) };
    let mut moving = house(seed + 31);
    moving.push(guest("mover", 4, 16, steps(&mut r, 4, 0.3, 0.9)));
    moving[6].stays = vec![(0, 1443, 0), (1443, SECONDS, 1)];
    for g in moving.iter_mut().skip(3).take(3) {
        g.stays = vec![(0, SECONDS, 1)];
    }
    let own = steps(&mut r, 32, 0.08, 0.25);
    let part = Rapl { idle: (0.18, 0.0), load: (0.35, 0.0), has_memory: false };
    vec![
        one(
            "overcommit 3:1",
            "24 guests of 4 vCPUs on 32 CPUs, the curve of eleven points; at times they want more than there is.",
            "Who takes the size of a host for its capacity gives away more than all of it. Where all of a host is reserved three times over and well used, CPU time and reservation come near each other.",
            crowded,
            crowd,
            USUAL,
        ),
        Trace::new(
            "live migration",
            "Two hosts, straight line and logarithm; `mover` goes from one to the other after 24 minutes.",
            "A guest's energy is the sum over its hosts. Pooling the hosts lets one pay for the other's curve.",
            vec![machine(LINEAR), machine(LOG)],
            moving,
            USUAL,
        ),
        one(
            "busy hypervisor",
            "The house, but the host itself (network, storage, backup) uses 8 to 25 % of its CPUs.",
            "Whoever divides by the guests' CPU time alone charges them for the host's. And the deep idle state of this curve is never seen.",
            Machine { own, ..machine(SPEC) },
            house(seed + 32),
            USUAL,
        ),
        one(
            "RAPL of one socket",
            "The house, but RAPL shows one package of two and no memory.",
            "Methods that rest on RAPL see a quarter of the host.",
            Machine { rapl: part, ..machine(LINEAR) },
            house(seed + 33),
            USUAL,
        ),
    ]
}
