//! Two panels over one time axis, as SVG: calls a second, and how long they took.

use super::Point;
use crate::mock::Capacity;

/// The plot. The time in which the server was slow is shaded.
pub fn draw(points: &[Point], capacity: &Capacity, title: &str) -> String {
    let ends = points.last().map_or(1.0, |last| last.at + points[0].at);
    let slow = (capacity.slow_at.as_secs_f64(), (capacity.slow_at + capacity.slow_for).as_secs_f64());
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1.0, f64::max);
    let rates = Panel {
        top: 50.0,
        unit: "calls/s",
        most: round_up(most(&mut points.iter().map(|point| point.offered))),
        ends,
    };
    let times = Panel {
        top: 290.0,
        unit: "ms",
        most: round_up(most(&mut points.iter().filter_map(|point| point.p99_ms))),
        ends,
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\">{}</text>\n",
        escape(title)
    );
    for panel in [&rates, &times] {
        panel.frame(slow, &mut svg);
    }
    let of = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        points.iter().map(|point| (point.at, value(point))).collect()
    };
    rates.line("offered", "#888888", 0, &of(|point| Some(point.offered)), &mut svg);
    rates.line("admitted", "#1a7f37", 1, &of(|point| Some(point.admitted)), &mut svg);
    rates.line("shed (503)", "#bf8700", 2, &of(|point| Some(point.shed)), &mut svg);
    rates.line("failed", "#cf222e", 3, &of(|point| Some(point.failed)), &mut svg);
    times.line("p50 of admitted", "#0969da", 0, &of(|point| point.p50_ms), &mut svg);
    times.line("p99 of admitted", "#8250df", 1, &of(|point| point.p99_ms), &mut svg);
    svg += "</svg>\n";
    svg
}

/// One panel.
struct Panel {
    top: f64,
    unit: &'static str,
    most: f64,
    ends: f64,
}

impl Panel {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.ends * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + PANEL * (1.0 - value / self.most)
    }

    fn frame(&self, slow: (f64, f64), svg: &mut String) {
        let (from, to) = (self.x(slow.0.min(self.ends)), self.x(slow.1.min(self.ends)));
        let (top, bottom, right) = (self.top, self.top + PANEL, WIDTH - RIGHT);
        *svg += &format!(
            "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{PANEL}\" fill=\"#fff1e5\"/>\n",
            to - from
        );
        for step in 0..=4 {
            let value = self.most * f64::from(step) / 4.0;
            let y = self.y(value);
            *svg += &format!(
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>\n",
                LEFT - 6.0,
                y + 4.0
            );
        }
        let seconds_step = round_up(self.ends / 8.0);
        let mut seconds = 0.0;
        while seconds <= self.ends + 1e-9 {
            *svg += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{seconds} s</text>\n",
                self.x(seconds),
                bottom + 16.0
            );
            seconds += seconds_step;
        }
        *svg += &format!("<text x=\"6\" y=\"{:.1}\">{}</text>\n", top - 8.0, self.unit);
    }

    /// One line and its entry in the legend. Where there is no value, the line is interrupted.
    fn line(&self, name: &str, colour: &str, entry: u8, values: &[(f64, Option<f64>)], svg: &mut String) {
        let mut path = String::new();
        let mut pen = 'M';
        for (at, value) in values {
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            path += &format!("{pen}{:.1} {:.1} ", self.x(*at), self.y(*value));
            pen = 'L';
        }
        let x = LEFT + 60.0 + 150.0 * f64::from(entry);
        *svg += &format!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>\n\
             <text x=\"{x}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>\n",
            path.trim_end(),
            self.top - 8.0
        );
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 510.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const PANEL: f64 = 180.0;

#[cfg(test)]
mod tests {
    use super::{Capacity, Point, draw, round_up};
    use std::time::Duration;

    #[test]
    fn a_gap_interrupts_the_line_and_the_title_is_text() {
        let second = Duration::from_secs(1);
        let capacity =
            Capacity { places: 1, takes: second, slow_at: second, slow_for: second, slow_factor: 2.0 };
        let point = |at, p99_ms| Point { at, offered: 90.0, p99_ms, ..Point::default() };
        let svg = draw(&[point(0.5, Some(5.0)), point(1.5, None), point(2.5, Some(7.0))], &capacity, "a < b");
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        let last = svg.lines().rfind(|line| line.starts_with("<path")).unwrap_or_default();
        assert_eq!(last.matches('M').count(), 2, "{last}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.7, 1.0, 3.0, 51.0, 600.0].map(round_up), [1.0, 1.0, 5.0, 100.0, 1000.0]);
    }
}
