//! Which registers are asked for in one go. Pure.

use super::profile::{Profile, Span};

/// Registers that are read with one request, and the values' spans among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What is asked for.
    pub span: Span,
    /// What is needed of it, in order.
    members: Vec<Span>,
}

/// All requests of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(Vec<Block>);

impl Plan {
    /// The fewest requests for all that `profile` wants.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let mut wanted: Vec<Span> = profile.values.iter().flat_map(|value| value.spans.clone()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut blocks: Vec<Block> = Vec::new();
        for span in wanted {
            let joined = blocks.last_mut().is_some_and(|block| block.take(span, profile));
            if !joined {
                blocks.push(Block { span, members: vec![span] });
            }
        }
        Self(blocks)
    }

    /// The requests.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }

    /// The device does not have all of this block: asks for it in two halves from now on, or no more at all.
    pub fn split(&mut self, span: Span) {
        let Some(place) = self.0.iter().position(|block| block.span == span) else { return };
        let block = self.0.remove(place);
        let (first, second) = block.halves();
        for (offset, half) in [first, second].into_iter().flatten().enumerate() {
            self.0.insert((place + offset).min(self.0.len()), half);
        }
    }
}

impl Block {
    /// Takes `span` along if that is allowed. Spans come in order.
    fn take(&mut self, span: Span, profile: &Profile) -> bool {
        let end = u32::from(self.span.start) + u32::from(self.span.count);
        let new_end = end.max(u32::from(span.start) + u32::from(span.count));
        let near = u32::from(span.start) <= end + u32::from(profile.max_gap);
        let Ok(count) = u16::try_from(new_end - u32::from(self.span.start)) else { return false };
        if span.table != self.span.table || !near || count > profile.max_registers {
            return false;
        }
        self.span.count = count;
        self.members.push(span);
        true
    }

    /// Two parts, cut where the widest gap is, or else in the middle; none of a single span.
    fn halves(&self) -> (Option<Self>, Option<Self>) {
        let end = |span: &Span| u32::from(span.start) + u32::from(span.count);
        let middle = self.members.len() / 2;
        let gaps = self.members.windows(2).enumerate().filter_map(|(place, pair)| {
            let [before, after] = pair else { return None };
            Some((u32::from(after.start).saturating_sub(end(before)), place + 1))
        });
        let widest = gaps.max_by_key(|(gap, place)| (*gap, usize::MAX - place.abs_diff(middle)));
        let Some((_, cut)) = widest else { return (None, None) };
        let (first, second) = self.members.split_at(cut.min(self.members.len()));
        (Self::of(first), Self::of(second))
    }

    fn of(members: &[Span]) -> Option<Self> {
        let first = members.first()?;
        let end = members.iter().map(|span| u32::from(span.start) + u32::from(span.count)).max()?;
        let count = u16::try_from(end - u32::from(first.start)).ok()?;
        Some(Self { span: Span { count, ..*first }, members: members.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::profiles::Profile as _;

    fn plan(limits: &str, registers: &[u16]) -> Plan {
        let values: String = registers
            .iter()
            .map(|r| format!("  - {{quantity: power, register: {r}, type: f32}}\n"))
            .collect();
        let text = format!(
            "protocol: modbus\nname: own\nabout: a meter\nlimits: {limits}\nchannels:\n- channel: input\n  values:\n{values}"
        );
        Plan::new(&Profile::parse(&text).unwrap())
    }

    fn spans(plan: &Plan) -> Vec<(u16, u16)> {
        plan.blocks().iter().map(|block| (block.span.start, block.span.count)).collect()
    }

    #[test]
    fn neighbours_are_read_together_and_gaps_are_not() {
        assert_eq!(spans(&plan("{}", &[12, 14, 10, 52, 14])), [(10, 6), (52, 2)]);
        assert_eq!(spans(&plan("{max_gap: 4}", &[0, 6, 13])), [(0, 8), (13, 2)]);
        assert_eq!(spans(&plan("{max_registers: 4}", &[0, 2, 4, 6, 8])), [(0, 4), (4, 4), (8, 2)]);
        assert_eq!(spans(&plan("{}", &[65534])), [(65534, 2)]);
    }

    #[test]
    fn a_block_that_is_not_there_is_halved_until_what_is_there_is_left() {
        let mut plan = plan("{max_gap: 4}", &[0, 2, 4, 10]);
        assert_eq!(spans(&plan), [(0, 12)]);
        let split = |plan: &mut Plan, place: usize| {
            let span = plan.blocks()[place].span;
            plan.split(span);
        };
        split(&mut plan, 0);
        assert_eq!(spans(&plan), [(0, 6), (10, 2)], "first at the gap");
        split(&mut plan, 1);
        assert_eq!(spans(&plan), [(0, 6)]);
        split(&mut plan, 0);
        assert_eq!(spans(&plan), [(0, 2), (2, 4)]);
    }
}
