//! A serial line with a unit that is as bad as a roll of dice makes it: late, lossy, noisy; in thousands of questions no answer may be that
//! of another, and when the unit comes to itself, so does the line. Time is tokio's, paused.

use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;
use crate::drivers::modbus::wire::pdu::Table;
use crate::drivers::serial::line::Line as Serial;
use crate::model::SystemClock;

/// Dice that fall the same way each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a unit makes of an echo.
#[derive(Clone, Copy, PartialEq)]
enum Echo {
    Gives,
    Refuses,
    Ignores,
}

/// Tenths of a second of the line's clock, as a register.
fn tick(clock: &SystemClock) -> u16 {
    u16::try_from(clock.now().nanos() / 100_000_000 % 60_000).unwrap()
}

/// The right answer: of each two registers the first is its own number, the second the time at which it was read.
fn right(question: &[u8], clock: &SystemClock, echo: Echo) -> Option<Vec<u8>> {
    let word = |at: usize| u16::from_be_bytes([question[at], question[at + 1]]);
    match (question[1], echo) {
        (8, Echo::Ignores) => None,
        (8, Echo::Refuses) => Some(vec![0x88, 1]),
        (8, Echo::Gives) => Some(question[1..6].to_vec()),
        (function, _) => {
            let mut pdu = vec![function, u8::try_from(word(4) * 2).unwrap()];
            for offset in 0..word(4) {
                let register = if offset % 2 == 0 { word(2) + offset } else { tick(clock) };
                pdu.extend(register.to_be_bytes());
            }
            Some(pdu)
        }
    }
}

/// Answers one question after the other; badly until `sound`.
async fn unit(mut far: DuplexStream, seed: u64, clock: Arc<SystemClock>, sound: Moment) {
    let mut dice = Dice(seed);
    let echo = [Echo::Gives, Echo::Refuses, Echo::Ignores][usize::try_from(seed % 3).unwrap()];
    let mut question = [0; 8];
    while far.read_exact(&mut question).await.is_ok() {
        let bad = clock.now() < sound;
        let Some(pdu) = right(&question, &clock, echo) else { continue };
        let mut frame = rtu::encode(question[0], &pdu);
        if bad {
            let millis = [0, 0, 30, 150, 350, 700, 1500, 4000][usize::try_from(dice.roll(8)).unwrap()];
            sleep(Duration::from_millis(millis)).await;
            let place = usize::try_from(dice.roll(u64::try_from(frame.len()).unwrap())).unwrap();
            match dice.roll(10) {
                0 | 1 => continue,
                2 => frame[place] ^= 0x24,
                3 => frame.truncate(place),
                4 => frame = [&[0x01, 0x04, 0x40, 0xFF][..], &frame].concat(),
                5 => frame = rtu::encode(question[0], &[question[1] | 0x80, 6]),
                _ => {}
            }
        }
        if far.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Asks one unit for as long as it is bad and a while longer: how many answers came, all right.
async fn ask_through(seed: u64) -> u32 {
    let clock = Arc::new(SystemClock::new());
    let sound = clock.now() + Duration::from_secs(60);
    let (near, far) = duplex(4096);
    let peer = tokio::spawn(unit(far, seed, Arc::clone(&clock), sound));
    let address = Address::Rtu("/dev/none".into(), Serial::at(9600));
    let mut line = Line::new(address, Arc::<SystemClock>::clone(&clock));
    line.stream = Some(Box::new(near));
    let terms = Terms {
        request_timeout: Duration::from_millis(300),
        retries: u32::try_from(seed % 4).unwrap(),
        poll_timeout: Duration::from_secs(5),
        pause: Duration::ZERO,
    };
    let mut dice = Dice(!seed);
    let (mut answers, mut failed) = (0, 0);
    while clock.now() < sound + Duration::from_secs(20) {
        let start = u16::try_from(dice.roll(20) * 10).unwrap();
        let request =
            Request::Read { table: Table::Input, start, count: if dice.roll(5) == 0 { 4 } else { 2 } };
        let asked = tick(&clock);
        // Some polls are cut off.
        let cut = Duration::from_millis(if dice.roll(4) == 0 { dice.roll(600) } else { 5000 });
        match timeout(cut, line.ask(1, request, &terms)).await {
            Ok(Ok(Answer::Registers(words))) => {
                assert_eq!(words[0], start, "seed {seed}: the answer to another question");
                assert!(words[1] >= asked, "seed {seed}: an answer of {} to a question of {asked}", words[1]);
                answers += 1;
                failed = 0;
            }
            Ok(Ok(Answer::Exception(_)) | Err(Fault::Silent { .. })) => failed += 1,
            Ok(other) => panic!("seed {seed}: {other:?}"),
            Err(_) => {}
        }
        // The unit may still be busy with what it was asked before.
        let come_back = sound + Duration::from_secs(10);
        assert!(clock.now() < come_back || failed < 3, "seed {seed}: the line does not come to itself");
        sleep(Duration::from_millis(dice.roll(400))).await;
    }
    peer.abort();
    answers
}

#[tokio::test(start_paused = true)]
async fn whatever_a_unit_does_no_answer_is_that_of_another_question() {
    let mut answers = 0;
    for seed in 0..150 {
        answers += ask_through(seed).await;
    }
    assert!(answers > 10_000, "{answers}");
}
