//! Power of a host by its load: what the traces are made with, and what no method is told.

/// The shape, over the busy share of the CPUs, 0 to 1. Watts at the wall.
#[derive(Clone, Copy)]
pub enum Shape {
    /// `idle + rise × u`
    Linear { idle: f64, rise: f64 },
    /// `idle + rise × √u`
    Root { idle: f64, rise: f64 },
    /// `a × ln(b × (100 u + c)) + d`, the form of Boavizta's consumption profiles, plus the rest of the machine.
    Log { a: f64, b: f64, c: f64, d: f64, rest: f64 },
    /// Watts at 0, 10 ... 100 % and straight lines between, as SPECpower_ssj2008 results are read.
    Spec([f64; 11]),
}

/// A host's curve: its shape, and what its fans add when they go up a step.
#[derive(Clone, Copy)]
pub struct Curve {
    pub shape: Shape,
    /// From this busy share on, this many watts more.
    pub fans: Option<(f64, f64)>,
}

impl Curve {
    pub const fn new(shape: Shape) -> Self {
        Self { shape, fans: None }
    }

    /// Watts at a busy share.
    pub fn watts(&self, busy: f64) -> f64 {
        let u = busy.clamp(0.0, 1.0);
        let shape = match self.shape {
            Shape::Linear { idle, rise } => idle + rise * u,
            Shape::Root { idle, rise } => idle + rise * u.sqrt(),
            Shape::Log { a, b, c, d, rest } => rest + a * (b * (100.0 * u + c)).ln() + d,
            Shape::Spec(points) => {
                let low = ((u * 10.0) as usize).min(9);
                points[low] + (points[low + 1] - points[low]) * (u * 10.0 - low as f64)
            }
        };
        shape + self.fans.filter(|(from, _)| u >= *from).map_or(0.0, |(_, watts)| watts)
    }

    /// Watts without load.
    pub fn idle(&self) -> f64 {
        self.watts(0.0)
    }

    /// Watts a unit of load where every unit costs the same; none where the curve is not straight.
    pub const fn straight(&self) -> Option<f64> {
        match (self.shape, self.fans) {
            (Shape::Linear { rise, .. }, None) => Some(rise),
            _ => None,
        }
    }

    /// For the page.
    pub fn formula(&self) -> String {
        let shape = match self.shape {
            Shape::Linear { idle, rise } => format!("{idle:.0} + {rise:.0} u"),
            Shape::Root { idle, rise } => format!("{idle:.0} + {rise:.0} √u"),
            Shape::Log { a, b, c, d, rest } => {
                format!("{rest:.0} + {a} ln({b} (100 u + {c})) − {:.2}", -d)
            }
            Shape::Spec(points) => {
                let points: Vec<String> = points.iter().map(|w| format!("{w:.0}")).collect();
                format!("{} at 0, 10 ... 100 %", points.join(", "))
            }
        };
        match self.fans {
            Some((from, watts)) => format!("{shape}; fans {watts:.0} W more from {:.0} %", from * 100.0),
            None => shape,
        }
    }
}
