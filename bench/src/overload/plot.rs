//! Runs beside each other over the same axes, as SVG: calls a second, how long they took, and how many were under way.

use super::gauges::Reading;
use super::point::Point;
use crate::mock::Capacity;

/// One column of the plot.
pub struct Run {
    /// What is special about it.
    pub title: String,
    /// What callers got.
    pub points: Vec<Point>,
    /// What the gateway said meanwhile.
    pub readings: Vec<Reading>,
}

/// The plot. The time in which the server was slow is shaded. It follows the reader's choice of light or dark.
pub fn draw(runs: &[Run], capacity: &Capacity, title: &str) -> String {
    let slow = (capacity.slow_at.as_secs_f64(), (capacity.slow_at + capacity.slow_for).as_secs_f64());
    let points = || runs.iter().flat_map(|run| &run.points);
    let readings = || runs.iter().flat_map(|run| &run.readings);
    let ends = points().map(|point| point.at).fold(1.0, f64::max).ceil();
    let most = |values: &mut dyn Iterator<Item = f64>| round_up(values.fold(1.0, f64::max));
    let rates = Scale::even(most(&mut points().map(|point| point.offered)));
    let times = Scale::by_tens(1.0, most(&mut points().filter_map(|point| point.p99_ms)));
    let counts = Scale::by_tens(1.0, most(&mut readings().map(|reading| reading.open as f64)));
    let width = LEFT + (PANEL_WIDTH + GAP) * runs.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n{STYLE}\
         <rect class=\"paper\" width=\"{width}\" height=\"{HEIGHT}\"/>\n<text x=\"{LEFT}\" y=\"20\">{}</text>\n",
        escape(title)
    );
    for (run, column) in runs.iter().zip(0_u8..) {
        let left = LEFT + (PANEL_WIDTH + GAP) * f64::from(column);
        svg += &format!("<text class=\"name\" x=\"{left}\" y=\"44\">{}</text>\n", escape(&run.title));
        let panel =
            |row: u8, name, scale| Panel { left, top: 72.0 + ROW * f64::from(row), name, scale, ends };
        panel(0, "calls per second", rates).draw(slow, &of_calls(&run.points), &mut svg);
        panel(1, "time of answered calls, ms", times).draw(slow, &of_times(&run.points), &mut svg);
        panel(2, "calls in the gateway", counts).draw(slow, &of_readings(&run.readings), &mut svg);
    }
    svg += "</svg>\n";
    svg
}

/// A line: its name, the class of its colour, and its values over time. Where there is no value it is interrupted.
struct Line(&'static str, &'static str, Vec<(f64, Option<f64>)>);

fn of_calls(points: &[Point]) -> [Line; 4] {
    let of = |value: fn(&Point) -> f64| points.iter().map(|point| (point.at, Some(value(point)))).collect();
    [
        Line("offered", "grey", of(|point| point.offered)),
        Line("answered within 1 s", "green", of(|point| point.in_time)),
        Line("shed (503)", "amber", of(|point| point.shed)),
        Line("late or failed", "red", of(|point| point.late + point.failed)),
    ]
}

fn of_times(points: &[Point]) -> [Line; 2] {
    let of = |value: fn(&Point) -> Option<f64>| points.iter().map(|point| (point.at, value(point))).collect();
    [
        Line("half took at most", "blue", of(|point| point.p50_ms)),
        Line("99 %", "purple", of(|point| point.p99_ms)),
    ]
}

fn of_readings(readings: &[Reading]) -> [Line; 3] {
    let of = |value: fn(&Reading) -> Option<u64>| {
        readings.iter().map(|reading| (reading.at, value(reading).map(|value| value as f64))).collect()
    };
    [
        Line("open", "blue", of(|reading| Some(reading.open))),
        Line("let in at most", "green", of(|reading| Some(reading.adaptive?.0))),
        Line("queued", "amber", of(|reading| Some(reading.adaptive?.1))),
    ]
}

/// A vertical axis: values and where their lines are.
#[derive(Clone, Copy)]
struct Scale {
    least: f64,
    most: f64,
    by_tens: bool,
}

impl Scale {
    fn even(most: f64) -> Self {
        Self { least: 0.0, most, by_tens: false }
    }

    /// Logarithmic, from and to a power of ten.
    fn by_tens(least: f64, most: f64) -> Self {
        Self { least, most: 10f64.powf(most.log10().ceil().max(1.0)), by_tens: true }
    }

    /// How far up a value is, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        if self.by_tens {
            (value.max(self.least) / self.least).log10() / (self.most / self.least).log10()
        } else {
            value / self.most
        }
    }

    fn marks(&self) -> Vec<f64> {
        if !self.by_tens {
            return (0..=4).map(|step| self.most * f64::from(step) / 4.0).collect();
        }
        let marks = std::iter::successors(Some(self.least), |mark| Some(mark * 10.0));
        marks.take_while(|mark| *mark <= self.most * 1.001).collect()
    }
}

/// One panel.
struct Panel {
    left: f64,
    top: f64,
    name: &'static str,
    scale: Scale,
    ends: f64,
}

impl Panel {
    fn x(&self, seconds: f64) -> f64 {
        self.left + seconds / self.ends * PANEL_WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        self.top + PANEL_HEIGHT * (1.0 - self.scale.at(value))
    }

    fn draw(&self, slow: (f64, f64), lines: &[Line], svg: &mut String) {
        self.frame(slow, svg);
        let mut legend = self.left + PANEL_WIDTH;
        for Line(name, colour, values) in lines.iter().rev() {
            if values.iter().all(|(_, value)| value.is_none()) {
                continue;
            }
            *svg += &format!("<path class=\"{colour}\" d=\"{}\"/>\n", self.path(values));
            *svg += &format!(
                "<text class=\"{colour}\" x=\"{legend:.0}\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>\n",
                self.top - 8.0
            );
            legend -= 6.2 * name.len() as f64 + 12.0;
        }
    }

    fn frame(&self, slow: (f64, f64), svg: &mut String) {
        let (from, to) = (self.x(slow.0.min(self.ends)), self.x(slow.1.min(self.ends)));
        let (left, top, right) = (self.left, self.top, self.left + PANEL_WIDTH);
        *svg += &format!(
            "<rect class=\"slow\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{PANEL_HEIGHT}\"/>\n\
             <text x=\"{left}\" y=\"{:.0}\">{}</text>\n",
            to - from,
            top - 8.0,
            self.name
        );
        for mark in self.scale.marks() {
            let y = self.y(mark);
            *svg += &format!(
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\n\
                 <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mark:.0}</text>\n",
                left - 6.0,
                y + 4.0
            );
        }
        let step = round_up(self.ends / 8.0);
        let mut seconds = 0.0;
        while seconds <= self.ends + 1e-9 {
            let (x, y) = (self.x(seconds), top + PANEL_HEIGHT + 15.0);
            *svg += &format!(
                "<text class=\"mark\" x=\"{x:.1}\" y=\"{y:.0}\" text-anchor=\"middle\">{seconds} s</text>\n"
            );
            seconds += step;
        }
    }

    fn path(&self, values: &[(f64, Option<f64>)]) -> String {
        let (mut path, mut pen) = (String::new(), 'M');
        for (at, value) in values {
            match value {
                None => pen = 'M',
                Some(value) => {
                    path += &format!("{pen}{:.1} {:.1}", self.x(*at), self.y(*value));
                    pen = 'L';
                }
            }
        }
        path
    }
}

/// The next of 1, 2, 4, 5, 8, 10, 20 and so on.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Colours that can be told apart on white and on black paper.
const STYLE: &str = "<style>
.paper{fill:#fff}.slow{fill:#fbe3cf}text{fill:#222}.mark{fill:#555;font-size:11px}.name{font-weight:bold}
path{fill:none;stroke-width:1.8}.grid{stroke:#ddd;stroke-width:1}
path.grey{stroke:#777}path.green{stroke:#1a7f37}path.amber{stroke:#b26a00}path.red{stroke:#cf222e}
path.blue{stroke:#0969da}path.purple{stroke:#8250df}
text.grey{fill:#666}text.green{fill:#1a7f37}text.amber{fill:#945800}text.red{fill:#cf222e}
text.blue{fill:#0969da}text.purple{fill:#8250df}
@media (prefers-color-scheme:dark){
.paper{fill:#0d1117}.slow{fill:#3a2a1c}text{fill:#ddd}.mark{fill:#aaa}.grid{stroke:#333}
path.grey{stroke:#999}path.green{stroke:#3fb950}path.amber{stroke:#e3a008}path.red{stroke:#ff6a60}
path.blue{stroke:#58a6ff}path.purple{stroke:#c297ff}
text.grey{fill:#999}text.green{fill:#3fb950}text.amber{fill:#e3a008}text.red{fill:#ff6a60}
text.blue{fill:#58a6ff}text.purple{fill:#c297ff}}
</style>
";
const HEIGHT: f64 = 700.0;
const LEFT: f64 = 50.0;
const GAP: f64 = 60.0;
const ROW: f64 = 212.0;
const PANEL_WIDTH: f64 = 480.0;
const PANEL_HEIGHT: f64 = 160.0;

#[cfg(test)]
mod tests {
    use super::{Capacity, Point, Reading, Run, Scale, draw, round_up};
    use std::time::Duration;

    #[test]
    fn a_gap_interrupts_the_line_and_titles_are_text() {
        let second = Duration::from_secs(1);
        let capacity =
            Capacity { places: 1, takes: second, slow_at: second, slow_for: second, slow_factor: 2.0 };
        let point = |at, p99_ms| Point { at, offered: 90.0, p99_ms, ..Point::default() };
        let points = vec![point(0.5, Some(5.0)), point(1.5, None), point(2.5, Some(7.0))];
        let readings = vec![Reading { at: 1.0, open: 3, adaptive: None }];
        let svg = draw(&[Run { title: "b < c".into(), points, readings }], &capacity, "a < b");
        assert!(svg.contains("a &lt; b") && svg.contains("b &lt; c") && svg.ends_with("</svg>\n"));
        let line = svg.lines().find(|line| line.starts_with("<path class=\"purple\"")).unwrap_or_default();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        assert!(!svg.contains("queued"), "what there is not has no line");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.7, 1.0, 3.0, 51.0, 600.0].map(round_up), [0.8, 1.0, 4.0, 80.0, 800.0]);
        let scale = Scale::by_tens(1.0, 800.0);
        assert_eq!(scale.marks(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!((scale.at(0.0), scale.at(1000.0)), (0.0, 1.0));
    }
}
