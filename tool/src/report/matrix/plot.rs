//! CPU seconds per GB over the size of a send, one mark per path, drawn with characters. Both axes are logarithmic.

use super::{Screen, answers};
use crate::matrix::plan::Group;
use crate::matrix::result::{CellReport, MatrixReport};
use crate::matrix::verdict::Verdict;
use crate::units::size;

use super::table::digits;

/// Rows of the drawing.
const ROWS: usize = 14;
/// Columns before it: the figures of the axis.
const MARGIN: usize = 8;
/// Most columns of it: wider tells no more.
const MAX_COLUMNS: usize = 100;
/// Most paths whose marks are joined: more lines hide each other.
const MAX_JOINED: usize = 6;
/// Marks of paths, in order; the ASCII ones are letters.
const MARKS: [char; 12] = ['●', '■', '▲', '◆', '○', '□', '△', '◇', '★', '☆', '▼', '▽'];
/// Mark of several paths at one place.
const SEVERAL: [char; 2] = ['*', '✱'];
/// Joins the marks of a path.
const JOIN: [char; 2] = ['.', '·'];

/// One plot for every number of streams and every depth; nothing where only one size was run.
#[must_use]
pub fn plots(report: &MatrixReport, screen: Screen) -> Vec<String> {
    let mut groups: Vec<Group> = Vec::new();
    for cell in &report.cells {
        let group = cell.key.group();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.into_iter().flat_map(|group| plot(report, group, screen)).collect()
}

fn plot(report: &MatrixReport, group: Group, screen: Screen) -> Vec<String> {
    let cells: Vec<&CellReport> = report.cells.iter().filter(|cell| cell.key.group() == group).collect();
    let points: Vec<Point> = cells.iter().filter_map(|cell| Point::of(cell)).collect();
    let Some(axes) = Axes::around(&points, screen) else { return Vec::new() };
    let mut paths: Vec<&str> = Vec::new();
    for point in &points {
        if !paths.contains(&point.path) {
            paths.push(point.path);
        }
    }
    let mut canvas = vec![vec![' '; axes.columns]; ROWS];
    for (index, path) in paths.iter().enumerate() {
        let mine: Vec<&Point> = points.iter().filter(|point| point.path == *path).collect();
        if paths.len() <= MAX_JOINED {
            join(&mut canvas, &axes, &mine, JOIN[usize::from(screen.unicode)]);
        }
        for point in mine {
            let (x, y) = axes.place(point);
            let free = [' ', JOIN[0], JOIN[1]].contains(&canvas[y][x]);
            canvas[y][x] = if free { mark(index, screen) } else { SEVERAL[usize::from(screen.unicode)] };
        }
    }
    let title = format!("CPU-s/GB of the machine over the size of a send, {}", answers::group(group));
    let mut lines = vec![String::new(), title];
    lines.extend(canvas.iter().enumerate().map(|(row, line)| axes.row(row, line, screen)));
    lines.extend(axes.bottom(&points, screen));
    lines.extend(paths.iter().enumerate().map(|(index, path)| legend(mark(index, screen), path, &cells)));
    lines
}

/// What is drawn of a cell.
struct Point<'a> {
    path: &'a str,
    size: u64,
    cost: f64,
}

impl<'a> Point<'a> {
    fn of(cell: &'a CellReport) -> Option<Self> {
        let cost = cell.machine_s_per_gb.filter(|e| e.median > 0.0)?.median;
        Some(Self { path: &cell.key.path, size: cell.key.size, cost })
    }
}

/// From figures to places.
struct Axes {
    sizes: [f64; 2],
    costs: [f64; 2],
    columns: usize,
}

impl Axes {
    /// `None` without two sizes.
    fn around(points: &[Point<'_>], screen: Screen) -> Option<Self> {
        let range = |figure: fn(&Point<'_>) -> f64| {
            let all = points.iter().map(figure);
            [all.clone().fold(f64::MAX, f64::min), all.fold(0.0, f64::max)]
        };
        let (sizes, mut costs) = (range(|point| point.size as f64), range(|point| point.cost));
        if sizes[1] <= sizes[0] {
            return None;
        }
        if costs[1] < costs[0] * 1.2 {
            // A flat line stands in the middle.
            costs = [costs[0] / 1.1, costs[1] * 1.1];
        }
        let columns = screen.columns.saturating_sub(MARGIN + 3).clamp(20, MAX_COLUMNS);
        Some(Self { sizes, costs, columns })
    }

    fn place(&self, point: &Point<'_>) -> (usize, usize) {
        (self.column(point.size as f64), self.line(point.cost))
    }

    fn column(&self, size: f64) -> usize {
        share(size, self.sizes, self.columns)
    }

    fn line(&self, cost: f64) -> usize {
        ROWS - 1 - share(cost, self.costs, ROWS)
    }

    fn row(&self, row: usize, line: &[char], screen: Screen) -> String {
        let up = (ROWS - 1 - row) as f64 / (ROWS - 1) as f64;
        let cost = self.costs[0] * (self.costs[1] / self.costs[0]).powf(up);
        let label = if row % 3 == 1 { digits(cost) } else { String::new() };
        let bar = if screen.unicode { '│' } else { '|' };
        format!("{label:>MARGIN$} {bar}{}", line.iter().collect::<String>())
    }

    /// The axis, and sizes below it where there is room.
    fn bottom(&self, points: &[Point<'_>], screen: Screen) -> [String; 2] {
        let (corner, dash) = if screen.unicode { ('└', "─") } else { ('+', "-") };
        let axis = format!("{:>MARGIN$} {corner}{}", "", dash.repeat(self.columns));
        let mut sizes: Vec<u64> = points.iter().map(|point| point.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let mut labels = " ".repeat(MARGIN + 2);
        for bytes in sizes {
            let text = size(bytes);
            let at = MARGIN + 2 + self.column(bytes as f64);
            let at = at.min((MARGIN + 2 + self.columns).saturating_sub(text.len()));
            if at > labels.len() || labels.trim().is_empty() {
                labels.push_str(&" ".repeat(at.saturating_sub(labels.len())));
                labels.push_str(&text);
            }
        }
        [axis, labels]
    }
}

/// Where `value` stands in `range`, of `steps`, on a logarithmic scale.
fn share(value: f64, range: [f64; 2], steps: usize) -> usize {
    let share = (value / range[0]).ln() / (range[1] / range[0]).ln();
    ((share * (steps - 1) as f64).round() as usize).min(steps - 1)
}

fn join(canvas: &mut [Vec<char>], axes: &Axes, points: &[&Point<'_>], joint: char) {
    let mut sorted: Vec<(usize, usize)> = points.iter().map(|point| axes.place(point)).collect();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        let between = |x: usize| {
            let along = (x - x0) as f64 / (x1 - x0) as f64;
            ((y0 as f64 + (y1 as f64 - y0 as f64) * along).round() as usize, x)
        };
        for (y, x) in ((x0 + 1)..x1).map(between) {
            if canvas[y][x] == ' ' {
                canvas[y][x] = joint;
            }
        }
    }
}

fn mark(index: usize, screen: Screen) -> char {
    let letter = || char::from(b'a' + (index % 26) as u8);
    MARKS.get(index).copied().filter(|_| screen.unicode).unwrap_or_else(letter)
}

/// The mark, the path, and what must be known of it.
fn legend(mark: char, path: &str, cells: &[&CellReport]) -> String {
    let mine = || cells.iter().filter(|cell| cell.key.path == path);
    let all = mine().count();
    let copied = mine().filter(|cell| matches!(cell.verdict, Verdict::Copied { .. })).count();
    let unproven = mine().filter(|cell| cell.verdict == Verdict::Unproven).count();
    let note = match (copied, unproven) {
        (0, 0) => String::new(),
        (n, _) if n == all => " (COPIED at every size: not zero-copy)".into(),
        (n, _) if n > 0 => format!(" (COPIED at {n} of {all} sizes)"),
        _ => " (not shown to be zero-copy)".into(),
    };
    format!("{:>MARGIN$} {mark} {path}{note}", "")
}
