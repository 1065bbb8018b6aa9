//! CPUs that a domain may use by its quotas and shares. Pure.
//!
//! Source: libvirt's `formatdomain`, "CPU Tuning"; cgroup v2, `cpu.max` and `cpu.weight`.

use roxmltree::Node;

use super::child;

/// The weight of a domain without `shares`: that of a cgroup v2.
const DEFAULT_WEIGHT: f64 = 100.0;
/// The largest weight that libvirt takes. Beyond it sums of weights would lose the small ones.
const MAX_SHARES: u64 = 262_144;
/// The period that a quota without one belongs to, microseconds: the kernel's.
const DEFAULT_PERIOD: u64 = 100_000;

/// Limits of a domain's CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CpuTune {
    /// Its weight against other domains, where one is set.
    shares: Option<u64>,
    /// The most CPUs of each vCPU, where limited.
    each: Option<f64>,
    /// The most CPUs of the domain with its emulator, where limited.
    whole: Option<f64>,
}

/// What one domain may use of a node's CPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    /// The most CPUs that it may use.
    pub limit: f64,
    /// Its weight where all want more than there is; above 0.
    pub weight: f64,
}

impl CpuTune {
    /// Reads `<cputune>`.
    pub fn read(cputune: Node<'_, '_>) -> Self {
        let number = |name| child(cputune, name)?.text()?.trim().parse::<u64>().ok();
        // A quota of -1, or 0, or none is no limit.
        let cpus = |quota, period| {
            let quota = number(quota).filter(|quota| *quota > 0)?;
            let period = number(period).filter(|period| *period > 0).unwrap_or(DEFAULT_PERIOD);
            Some(ratio(quota, period))
        };
        Self {
            shares: number("shares").filter(|shares| *shares > 0).map(|shares| shares.min(MAX_SHARES)),
            each: cpus("quota", "period"),
            whole: cpus("global_quota", "global_period"),
        }
    }

    /// What a domain of `vcpus` may use.
    pub fn claim(&self, vcpus: u32) -> Claim {
        let vcpus = f64::from(vcpus);
        let by_quota = self.each.map_or(vcpus, |each| vcpus * each.min(1.0));
        let limit = self.whole.map_or(by_quota, |whole| by_quota.min(whole));
        Claim { limit, weight: self.shares.map_or(DEFAULT_WEIGHT, |shares| ratio(shares, 1)) }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a quota is microseconds, a share at most 262144")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

/// CPUs that each of `claims` can count on when all want all they may: their limits, or where these are more than the node's
/// `cpus`, the node's by weight, none more than its limit.
pub fn allocate(cpus: f64, claims: &[Claim]) -> Vec<f64> {
    let mut given: Vec<f64> = claims.iter().map(|claim| claim.limit).collect();
    if given.iter().sum::<f64>() <= cpus {
        return given;
    }
    let mut order: Vec<(&Claim, &mut f64)> = claims.iter().zip(&mut given).collect();
    // Who needs least for its weight is satisfied first; what it leaves is the others'.
    order.sort_by(|(a, _), (b, _)| (a.limit * b.weight).total_cmp(&(b.limit * a.weight)));
    let (mut left, mut weights) = (cpus, claims.iter().map(|claim| claim.weight).sum::<f64>());
    for (claim, given) in order {
        *given = claim.limit.min(left * claim.weight / weights).max(0.0);
        left -= *given;
        weights -= claim.weight;
    }
    given
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    fn read(inside: &str) -> CpuTune {
        let text = format!("<cputune>{inside}</cputune>");
        CpuTune::read(document(&text).unwrap().root_element())
    }

    #[test]
    fn quotas_limit_each_vcpu_and_the_whole() {
        for (inside, limit, weight) in [
            ("", 4.0, 100.0),
            ("<shares>2048</shares>", 4.0, 2048.0),
            ("<shares>18446744073709551512</shares>", 4.0, 262_144.0),
            // 25 ms of 50 ms for each of 4 vCPUs.
            ("<period>50000</period><quota>25000</quota>", 2.0, 100.0),
            ("<quota>25000</quota>", 1.0, 100.0),
            ("<period>50000</period><quota>-1</quota>", 4.0, 100.0),
            ("<period>50000</period><quota>0</quota>", 4.0, 100.0),
            // A vCPU is one thread: it cannot use two CPUs.
            ("<period>50000</period><quota>100000</quota>", 4.0, 100.0),
            ("<global_period>100000</global_period><global_quota>150000</global_quota>", 1.5, 100.0),
            ("<global_quota>150000</global_quota><period>100000</period><quota>25000</quota>", 1.0, 100.0),
            ("<shares>x</shares><quota>99999999999999999999</quota>", 4.0, 100.0),
        ] {
            assert_eq!(read(inside).claim(4), Claim { limit, weight }, "{inside}");
        }
        assert_eq!(CpuTune::default().claim(0).limit, 0.0);
    }

    #[test]
    fn an_overcommitted_node_is_shared_by_weight_up_to_each_limit() {
        let claims = |list: &[(f64, f64)]| {
            list.iter().map(|(limit, weight)| Claim { limit: *limit, weight: *weight }).collect::<Vec<_>>()
        };
        for (cpus, list, given) in [
            (8.0, vec![(4.0, 100.0), (4.0, 1.0)], vec![4.0, 4.0]),
            (4.0, vec![(4.0, 100.0), (4.0, 100.0)], vec![2.0, 2.0]),
            (4.0, vec![(4.0, 300.0), (4.0, 100.0)], vec![3.0, 1.0]),
            // The first may use one only: the other two share the rest 2 to 1.
            (4.0, vec![(1.0, 1000.0), (8.0, 200.0), (8.0, 100.0)], vec![1.0, 2.0, 1.0]),
            (0.0, vec![(1.0, 100.0)], vec![0.0]),
        ] {
            assert_eq!(allocate(cpus, &claims(&list)), given, "{list:?}");
        }
        assert_eq!(allocate(4.0, &[]), Vec::<f64>::new());
    }
}
