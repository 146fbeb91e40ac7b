//! Charts of the report, as SVG for the documentation.

use std::fs;
use std::path::Path;

use plotters::prelude::*;
use tenure_testkit::figures::Sample;

use crate::options::Section;
use crate::report::Report;
use crate::soak;

/// Pixels.
const SIZE: (u32, u32) = (760, 360);
/// Readable on white as well as on black: the background stays as it is.
const INK: RGBColor = RGBColor(128, 128, 128);
const COLOURS: [RGBColor; 3] =
    [RGBColor(56, 132, 220), RGBColor(224, 122, 48), RGBColor(46, 160, 110)];

/// A chart whose columns stand beside one another.
struct Bars<'a> {
    title: &'a str,
    section: Section,
    figure: &'a str,
    rows: &'a [&'a str],
}

/// A chart of figures that change from minute to minute.
struct Lines<'a> {
    title: &'a str,
    row: &'a str,
    figures: &'a [&'a str],
}

const BARS: &[(&str, Bars<'_>)] = &[
    (
        "throughput",
        Bars {
            title: "Steps a second, runs of 10 steps; tenure beside the bare reference (floor)",
            section: Section::Throughput,
            figure: "steps/s",
            rows: &[
                "tenure, 64 × 10 steps",
                "floor, 64 × 10 steps",
                "tenure, 512 × 10 steps",
                "floor, 512 × 10 steps",
            ],
        },
    ),
    (
        "steps",
        Bars {
            title: "One run at a time: p50 of a step beside a bare commit of one row, ms",
            section: Section::Steps,
            figure: "p50 ms",
            rows: &["a step", "a bare commit"],
        },
    ),
    (
        "dispatch",
        Bars {
            title: "From creation to the first user code, p50, ms",
            section: Section::Dispatch,
            figure: "p50 ms",
            rows: &["empty, first user code", "crowd, first user code"],
        },
    ),
    (
        "waiting",
        Bars {
            title: "Processor time of a system in which nothing happens, ms a second",
            section: Section::Waiting,
            figure: "both ms/s",
            rows: &["idle, nothing parked", "idle, 10,000 parked", "idle, crowd parked"],
        },
    ),
    (
        "replay",
        Bars {
            title: "Replay: µs an entry",
            section: Section::Replay,
            figure: "µs an entry",
            rows: &["100 entries", "10000 entries", "99900 entries"],
        },
    ),
];

const LINES: &[(&str, Lines<'_>)] = &[(
    "soak",
    Lines {
        title: "Soak at 70 % of the most: time of a run, ms, minute by minute",
        row: soak::LOAD,
        figures: &["run p50 ms", "run p99 ms"],
    },
)];

/// Draws those whose figures were measured, into files of this folder.
pub(crate) fn draw(report: &Report, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, bars) in BARS {
        bars.draw(report, &folder.join(format!("{name}.svg")))?;
    }
    for (name, lines) in LINES {
        lines.draw(report, &folder.join(format!("{name}.svg")))?;
    }
    Ok(())
}

impl Bars<'_> {
    fn draw(&self, report: &Report, path: &Path) -> anyhow::Result<()> {
        let sample = |row: &&str| {
            let rounds = report.rounds(self.section, row, self.figure)?;
            Some(((*row).to_owned(), Sample::of(rounds)))
        };
        let samples: Vec<_> = self.rows.iter().filter_map(sample).collect();
        let Some(most) = samples.iter().map(|(_, sample)| sample.most()).reduce(f64::max) else {
            return Ok(());
        };
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, text(15))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d((0..samples.len()).into_segmented(), 0.0..most * 1.1)?;
        let name = |place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(place) => {
                samples.get(*place).map(|(row, _)| row.clone()).unwrap_or_default()
            }
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text(13))
            .x_label_formatter(&name)
            .draw()?;
        for (place, (_, sample)) in samples.iter().enumerate() {
            let colour = COLOURS[place % COLOURS.len()].filled();
            let (left, right) = (SegmentValue::Exact(place), SegmentValue::Exact(place + 1));
            let mut bar = Rectangle::new([(left, 0.0), (right, sample.median())], colour);
            bar.set_margin(0, 0, 24, 24);
            let middle = SegmentValue::CenterOf(place);
            let between = [(middle.clone(), sample.least()), (middle, sample.most())];
            chart.draw_series([bar])?;
            chart.draw_series([PathElement::new(between, INK.stroke_width(2))])?;
        }
        area.present()?;
        Ok(())
    }
}

impl Lines<'_> {
    fn draw(&self, report: &Report, path: &Path) -> anyhow::Result<()> {
        let series = |figure: &&str| {
            let minutes = report.rounds(Section::Soak, self.row, figure)?;
            Some(((*figure).to_owned(), minutes))
        };
        let all: Vec<_> = self.figures.iter().filter_map(series).collect();
        let length = all.iter().map(|(_, minutes)| minutes.len()).max().unwrap_or_default();
        let most = all.iter().flat_map(|(_, minutes)| minutes).copied().reduce(f64::max);
        let Some(most) = most else { return Ok(()) };
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, text(15))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(1..length.max(2), 0.0..most * 1.1)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text(13))
            .draw()?;
        for ((name, minutes), colour) in all.iter().zip(COLOURS) {
            let points = minutes.iter().enumerate().map(|(minute, value)| (minute + 1, *value));
            let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            line.label(name).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
            });
        }
        chart.configure_series_labels().label_font(text(13)).border_style(INK).draw()?;
        area.present()?;
        Ok(())
    }
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
