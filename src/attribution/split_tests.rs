//! Claims about the apportioning that every model is made of.

use super::*;
use proptest::prelude::*;

#[test]
fn the_last_microjoule_goes_to_the_largest_remainder() {
    // 10 over 1:1:1 is 3 1/3 each; equal remainders are served in order.
    assert_eq!(apportion(Microjoules(10), &[1, 1, 1]), [Microjoules(4), Microjoules(3), Microjoules(3)]);
    // 10 over 5:3:1 is 5.56, 3.33, 1.11: one is left, for .56.
    assert_eq!(apportion(Microjoules(10), &[5, 3, 1]), [Microjoules(6), Microjoules(3), Microjoules(1)]);
    assert_eq!(apportion(Microjoules(10), &[0, 0]), [Microjoules(0), Microjoules(0)]);
    assert_eq!(apportion(Microjoules(10), &[]), []);
}

proptest! {
    #[test]
    fn apportioning_is_exact_and_within_one(total in 0u128..1 << 64, weights in prop::collection::vec(0u128..1 << 62, 1..60)) {
        let shares = apportion(Microjoules(total), &weights);
        let sum: u128 = weights.iter().sum();
        if sum > 0 {
            prop_assert_eq!(shares.iter().map(|s| s.0).sum::<u128>(), total);
        }
        if sum > 0 && sum < 1 << 63 {
            for (s, w) in shares.iter().zip(&weights) {
                let floor = total * w / sum;
                prop_assert!(s.0 == floor || s.0 == floor + 1);
            }
        }
    }
}
