//! Plots. They scale to the width of the page, and take their colours from its style sheet.

use super::escaped;
use crate::result::push;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 160.0;
/// Room for the labels of the axes.
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 26.0;

/// An axis from 0 to `max`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis<'a> {
    pub(super) label: &'a str,
    pub(super) max: f64,
}

fn x(value: f64, max: f64) -> f64 {
    LEFT + value / max * (WIDTH - LEFT - RIGHT)
}

fn y(value: f64, max: f64) -> f64 {
    HEIGHT - BOTTOM - value / max * (HEIGHT - BOTTOM - TOP)
}

/// A histogram of bars of equal width from 0 to `across.max`, with marked places.
pub(super) fn histogram(bars: &[u64], across: Axis<'_>, marks: &[(&str, f64)]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let real = |count: u64| count as f64;
    let most = real(bars.iter().copied().max().unwrap_or(0).max(1));
    let step = across.max / real(bars.len().max(1) as u64);
    let mut plot = open(
        across,
        Axis {
            label: "runs",
            max: most,
        },
    );
    for (nth, count) in bars.iter().enumerate() {
        let from = step * real(nth as u64);
        let (left, right) = (x(from, across.max) + 1.0, x(from + step, across.max) - 1.0);
        let top = y(real(*count), most);
        push(
            &mut plot,
            format_args!(
                "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{} to {}: {count}</title></rect>",
                (right - left).max(0.5),
                HEIGHT - BOTTOM - top,
                number(from),
                number(from + step),
            ),
        );
    }
    for (nth, (label, at)) in marks.iter().enumerate() {
        let place = x(*at, across.max);
        // Two that are close must not cover each other, nor the label of the axis.
        let anchor = match (marks.len(), nth) {
            (_, 0) if place < LEFT + 20.0 => "start",
            (1, _) => "middle",
            (_, 0) => "end",
            _ => "start",
        };
        push(
            &mut plot,
            format_args!(
                "<line class=\"mark\" x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"><title>{} {}</title></line>\
             <text class=\"tick\" x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                HEIGHT - BOTTOM,
                escaped(label),
                number(*at),
                TOP - 2.0,
                escaped(label),
            ),
        );
    }
    plot.push_str("</svg>");
    plot
}

/// A point of a [`scatter`]: what it is, where it is, whether it is good.
pub(super) type Point<'a> = (&'a str, f64, f64, bool);

/// Points.
pub(super) fn scatter<'a>(
    points: impl Iterator<Item = Point<'a>>,
    across: Axis<'_>,
    up: Axis<'_>,
) -> String {
    let mut plot = open(across, up);
    for (name, right, high, good) in points {
        let class = if good { "good" } else { "bad" };
        push(
            &mut plot,
            format_args!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}: {} {}, {} {}</title></circle>",
                x(right.min(across.max), across.max),
                y(high.min(up.max), up.max),
                escaped(name),
                escaped(up.label),
                number(high),
                escaped(across.label),
                number(right),
            ),
        );
    }
    plot.push_str("</svg>");
    plot
}

/// The beginning of a plot: its axes.
fn open(across: Axis<'_>, up: Axis<'_>) -> String {
    let (floor, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{across_label} and {up_label}\">\
         <path class=\"axis\" d=\"M{LEFT} {TOP}V{floor}H{right}\"/>\
         <text class=\"tick\" x=\"{LEFT}\" y=\"{below}\" text-anchor=\"middle\">0</text>\
         <text class=\"tick\" x=\"{right}\" y=\"{below}\" text-anchor=\"end\">{across_max}</text>\
         <text class=\"tick\" x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{across_label}</text>\
         <text class=\"tick\" x=\"{beside}\" y=\"{above}\" text-anchor=\"end\">{up_max}</text>\
         <text class=\"tick\" x=\"{beside}\" y=\"{floor}\" text-anchor=\"end\">0</text>\
         <text class=\"tick\" x=\"{beside}\" y=\"{half}\" text-anchor=\"end\">{up_label}</text>",
        across_label = escaped(across.label),
        up_label = escaped(up.label),
        across_max = number(across.max),
        up_max = number(up.max),
        below = floor + 16.0,
        above = TOP + 8.0,
        beside = LEFT - 5.0,
        half = f64::midpoint(TOP, floor) + 4.0,
        middle = f64::midpoint(LEFT, right),
    )
}

/// A number with few digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 0.0001 {
        let digits = if value.abs() >= 0.01 { 2 } else { 5 };
        let text = format!("{value:.digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.1e}")
    }
}
