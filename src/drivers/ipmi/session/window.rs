//! Which sequence numbers of the BMC's packets were seen: none counts twice.

/// How far behind the newest a packet may come, in packets. IPMI v2.0 section 6.12.13 has 16; some BMCs skip numbers.
const WIDTH: u32 = 32;

/// The newest number, and which of those before it were seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    newest: u32,
    /// Bit n: number `newest - n` was seen.
    seen: u32,
}

impl Window {
    /// The newest number seen; 0 before the first.
    #[must_use]
    pub const fn newest(&self) -> u32 {
        self.newest
    }

    /// Whether `a` comes after `b`, over the wrap. 0 is no packet's number: every packet comes after it, wherever the
    /// BMC begins to count.
    #[must_use]
    pub const fn newer(a: u32, b: u32) -> bool {
        let ahead = a.wrapping_sub(b);
        ahead != 0 && (b == 0 || ahead < 1 << 31)
    }

    /// Takes the number of an authenticated packet; false if it was seen, is too old or is 0. However far ahead it is, it is
    /// the BMC's own: packets may have been lost in between.
    pub fn accept(&mut self, number: u32) -> bool {
        if number == 0 {
            return false;
        }
        if self.seen == 0 || Self::newer(number, self.newest) {
            let by = number.wrapping_sub(self.newest);
            self.seen = if by < WIDTH { self.seen << by } else { 0 } | 1;
            self.newest = number;
            return true;
        }
        let behind = self.newest.wrapping_sub(number);
        if behind >= WIDTH || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_once_in_any_order_within_the_window() {
        let mut window = Window::default();
        for (number, good) in [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (3, false),
            (0, false),
            (40, true),
            (9, true),
            (8, false),
            (9, false),
            (1_000_000, true),
            (40, false),
        ] {
            assert_eq!(window.accept(number), good, "{number}");
        }
    }

    #[test]
    fn a_count_may_begin_anywhere() {
        for first in [1, 2, 1 << 31, u32::MAX] {
            assert!(Window::newer(first, 0), "{first}");
        }
        assert!(!Window::newer(0, 0));
    }

    #[test]
    fn the_count_wraps_past_zero() {
        let mut window = Window::default();
        assert!(window.accept(u32::MAX - 1) && window.accept(1) && window.accept(u32::MAX));
        assert!(!window.accept(u32::MAX) && !window.accept(1));
        assert_eq!(window.newest(), 1);
    }
}
