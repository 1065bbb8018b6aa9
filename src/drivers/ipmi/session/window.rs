//! Which sequence numbers of the BMC's packets were seen: none counts twice.

/// How far behind the newest a packet may come, in packets. IPMI v2.0 section 6.12.13 has 16; some BMCs skip numbers.
const WIDTH: u32 = 32;

/// The newest number, and which of those before it were seen.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    newest: u32,
    /// Bit n: number `newest - n` was seen.
    seen: u32,
    /// How far behind the newest a packet may come.
    behind: u32,
    /// How far ahead; any distance where a number can only be the BMC's own: packets may have been lost in between.
    ahead: Option<u32>,
}

impl Window {
    /// For packets whose code holds for this session only, from number 1.
    #[must_use]
    pub const fn open() -> Self {
        Self { newest: 0, seen: 0, behind: WIDTH, ahead: None }
    }

    /// For packets that count from `first`, at most `width` out of order or lost in a row.
    #[must_use]
    pub const fn starting_at(first: u32, width: u32) -> Self {
        // The one before the first counts as seen.
        Self { newest: first.wrapping_sub(1), seen: 1, behind: width, ahead: Some(width) }
    }

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

    /// Takes the number of an authenticated packet; false if it was seen, is too old, too far ahead or 0.
    pub fn accept(&mut self, number: u32) -> bool {
        if number == 0 {
            return false;
        }
        if self.seen == 0 || Self::newer(number, self.newest) {
            let by = number.wrapping_sub(self.newest);
            if self.ahead.is_some_and(|ahead| by > ahead) {
                return false;
            }
            self.seen = if by < WIDTH { self.seen << by } else { 0 } | 1;
            self.newest = number;
            return true;
        }
        let behind = self.newest.wrapping_sub(number);
        if behind >= self.behind || self.seen >> behind & 1 == 1 {
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
        let mut window = Window::open();
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
    fn a_narrow_window_takes_what_is_near_and_nothing_else() {
        let mut window = Window::starting_at(1000, 8);
        for (number, good) in [
            (999, false),
            (0, false),
            (1008, false),
            (1000, true),
            (1000, false),
            (1008, true),
            (1017, false),
            (1001, true),
            (1001, false),
            (1000, false),
            (1016, true),
            (1008, false),
            (1009, true),
            (0x8000_1000, false),
            (15, false),
        ] {
            assert_eq!(window.accept(number), good, "{number}");
        }
        // Over the wrap, where 0 is left out.
        let mut window = Window::starting_at(u32::MAX, 8);
        assert!(window.accept(u32::MAX) && !window.accept(0) && window.accept(1) && !window.accept(u32::MAX));
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
        let mut window = Window::open();
        assert!(window.accept(u32::MAX - 1) && window.accept(1) && window.accept(u32::MAX));
        assert!(!window.accept(u32::MAX) && !window.accept(1));
        assert_eq!(window.newest(), 1);
    }
}
