//! Where the boxes of a graph and its edges go: boxes stand in rows, so that edges lead down unless they
//! close a loop; an edge that passes rows has a place of its own in each of them.

/// Between two boxes of a row, and between two edges.
const GAP: f64 = 28.0;
const LANE: f64 = 14.0;
/// Between two rows, and what each edge between them adds.
const ROW_GAP: f64 = 44.0;
const EDGE_GAP: f64 = 2.0;
/// How often rows are put in order, and boxes drawn towards what they are connected with.
const SWEEPS: usize = 8;
const PULLS: usize = 12;
/// Most places of edges in rows that are not theirs.
const MAX_LANES: usize = 50_000;

/// A point.
pub type Point = (f64, f64);

/// Where everything is.
pub struct Layout {
    /// The upper left corner of each box.
    pub boxes: Vec<Point>,
    /// The route of each edge. Those that lead down pass their points with smooth curves, those of loops with corners.
    pub routes: Vec<Route>,
    /// What all of it takes.
    pub size: Point,
}

/// The route of an edge.
pub struct Route {
    /// Its points, from the source to the target.
    pub points: Vec<Point>,
    /// It closes a loop.
    pub is_back: bool,
}

/// What stands in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Box(usize),
    /// An edge that passes.
    Lane(usize),
}

/// The edges that lead back to a box on the route to their source.
pub fn back_edges(count: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    search(count, edges).0
}

/// A depth-first search from the first box: which edges lead back, and the boxes in the order of their ends, reversed.
fn search(count: usize, edges: &[(usize, usize)]) -> (Vec<bool>, Vec<usize>) {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (e, (from, _)) in edges.iter().enumerate() {
        out[*from].push(e);
    }
    let mut is_back = vec![false; edges.len()];
    let mut order = Vec::with_capacity(count);
    // Not seen, on the route, done.
    let mut state = vec![0u8; count];
    for root in 0..count {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let Some(e) = out[*node].get(*next) else {
                state[*node] = 2;
                order.push(*node);
                stack.pop();
                continue;
            };
            *next += 1;
            let to = edges[*e].1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    stack.push((to, 0));
                }
                1 => is_back[*e] = true,
                _ => {}
            }
        }
    }
    order.reverse();
    (is_back, order)
}

struct Rows {
    rows: Vec<Vec<Item>>,
    /// What each edge passes: row and index in it.
    is_back: Vec<bool>,
    rank: Vec<usize>,
}

/// Puts boxes and passing edges into rows; `None` where that would be too much.
fn rows(count: usize, edges: &[(usize, usize)]) -> Option<Rows> {
    let (is_back, order) = search(count, edges);
    let mut down: Vec<Vec<usize>> = vec![Vec::new(); count];
    for ((from, to), back) in edges.iter().zip(&is_back) {
        if !back {
            down[*from].push(*to);
        }
    }
    let mut rank = vec![0; count];
    for node in &order {
        for to in &down[*node] {
            rank[*to] = rank[*to].max(rank[*node] + 1);
        }
    }
    let mut rows: Vec<Vec<Item>> = vec![Vec::new(); rank.iter().max().map_or(0, |r| r + 1)];
    for node in &order {
        rows[rank[*node]].push(Item::Box(*node));
    }
    let mut lanes = 0;
    for (e, (from, to)) in edges.iter().enumerate() {
        let passed = match is_back[e] {
            // A loop's edge goes up beside its boxes.
            true => rank[*to]..rank[*from] + 1,
            false => rank[*from] + 1..rank[*to],
        };
        lanes += passed.len();
        if lanes > MAX_LANES {
            return None;
        }
        passed.for_each(|r| rows[r].push(Item::Lane(e)));
    }
    Some(Rows { rows, is_back, rank })
}

/// Lays out boxes of these sizes; the first is where control enters. `None` where there are too many edges.
pub fn layout(sizes: &[Point], edges: &[(usize, usize)]) -> Option<Layout> {
    let Rows { mut rows, is_back, rank } = rows(sizes.len(), edges)?;
    let near = neighbours(&rows, edges, &is_back, &rank);
    sort(&mut rows, &near);
    let width = |item: Item| match item {
        Item::Box(n) => sizes[n].0,
        Item::Lane(_) => LANE,
    };
    let centres = columns(&rows, &near, &width);
    // Rows, one below the other.
    let mut tops = Vec::with_capacity(rows.len());
    let mut heights = Vec::with_capacity(rows.len());
    let mut y = GAP;
    for row in &rows {
        let height = row.iter().map(|i| if let Item::Box(n) = i { sizes[*n].1 } else { 0.0 }).fold(0.0, f64::max);
        tops.push(y);
        heights.push(height);
        y += height + ROW_GAP + EDGE_GAP * row.len().min(20) as f64;
    }
    let mut boxes = vec![(0.0, 0.0); sizes.len()];
    let mut lanes: Vec<Vec<(usize, f64)>> = vec![Vec::new(); edges.len()];
    let mut right: f64 = 0.0;
    for (r, row) in rows.iter().enumerate() {
        for (item, x) in row.iter().zip(&centres[r]) {
            right = right.max(x + width(*item) / 2.0);
            match item {
                Item::Box(n) => boxes[*n] = (x - sizes[*n].0 / 2.0, tops[r]),
                Item::Lane(e) => lanes[*e].push((r, *x)),
            }
        }
    }
    let ports = ports(sizes, edges, &is_back, &boxes, &lanes);
    let route = |e: usize| {
        let (from, to) = edges[e];
        let lanes = &lanes[e];
        let points = if is_back[e] {
            let side = |node: usize, x: f64| {
                let (left, w) = (boxes[node].0, sizes[node].0);
                if x < left + w / 2.0 { left } else { left + w }
            };
            let (first, last) = (lanes.first().map_or(0.0, |l| l.1), lanes.last().map_or(0.0, |l| l.1));
            let start = boxes[from].1 + sizes[from].1 - 8.0;
            let end = boxes[to].1 + 10.0;
            let mut points = vec![(side(from, last), start), (last, start)];
            for pair in lanes.windows(2).rev() {
                let ((above, up), (_, below)) = (pair[0], pair[1]);
                if (up - below).abs() > 0.5 {
                    let y = tops[above] + heights[above] + ROW_GAP / 2.0;
                    points.extend([(below, y), (up, y)]);
                }
            }
            points.extend([(first, end), (side(to, first), end)]);
            points
        } else {
            let mut points = vec![(ports[e].0, boxes[from].1 + sizes[from].1)];
            for (r, x) in lanes {
                points.extend([(*x, tops[*r] - 6.0), (*x, tops[*r] + heights[*r] + 6.0)]);
            }
            points.push((ports[e].1, boxes[to].1));
            points
        };
        Route { points, is_back: is_back[e] }
    };
    let routes = (0..edges.len()).map(route).collect();
    Some(Layout { boxes, routes, size: (right + GAP, y) })
}

/// For each item of each row: what it is connected with in the row above, in the row below and in its own, by index.
struct Near {
    above: Vec<Vec<Vec<Item>>>,
    below: Vec<Vec<Vec<Item>>>,
    /// Index of each item at the start, as `above` and `below` are numbered.
    start: Vec<Vec<Item>>,
}

fn neighbours(rows: &[Vec<Item>], edges: &[(usize, usize)], is_back: &[bool], rank: &[usize]) -> Near {
    let empty = || rows.iter().map(|row| vec![Vec::new(); row.len()]).collect::<Vec<_>>();
    let mut near = Near { above: empty(), below: empty(), start: rows.to_vec() };
    let mut at = std::collections::HashMap::new();
    for (r, row) in rows.iter().enumerate() {
        for (n, item) in row.iter().enumerate() {
            let key = match item {
                Item::Box(b) => (r, false, *b),
                Item::Lane(e) => (r, true, *e),
            };
            at.insert(key, n);
        }
    }
    let mut connect = |r: usize, upper: Item, lower: Item| {
        let index = |row: usize, item: Item| match item {
            Item::Box(b) => at.get(&(row, false, b)),
            Item::Lane(e) => at.get(&(row, true, e)),
        };
        if let (Some(u), Some(l)) = (index(r, upper), index(r + 1, lower)) {
            near.below[r][*u].push(lower);
            near.above[r + 1][*l].push(upper);
        }
    };
    for (e, (from, to)) in edges.iter().enumerate() {
        let lane = Item::Lane(e);
        if is_back[e] {
            (rank[*to]..rank[*from]).for_each(|r| connect(r, lane, lane));
            continue;
        }
        for r in rank[*from]..rank[*to] {
            let upper = if r == rank[*from] { Item::Box(*from) } else { lane };
            let lower = if r + 1 == rank[*to] { Item::Box(*to) } else { lane };
            connect(r, upper, lower);
        }
    }
    near
}

/// Puts the items of each row in an order with few crossings: each where those are that it is connected with.
fn sort(rows: &mut [Vec<Item>], near: &Near) {
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let order: Vec<usize> =
            if down { (1..rows.len()).collect() } else { (0..rows.len().saturating_sub(1)).rev().collect() };
        for r in order {
            let other = if down { r - 1 } else { r + 1 };
            let position = positions(&rows[other]);
            let connected = if down { &near.above[r] } else { &near.below[r] };
            let own = positions(&rows[r]);
            let mut keyed: Vec<(f64, usize, Item)> = near.start[r]
                .iter()
                .zip(connected)
                .map(|(item, connected)| {
                    let now = own[item_key(*item)];
                    let found: Vec<usize> =
                        connected.iter().filter_map(|j| position.get(item_key(*j)).copied()).collect();
                    let mean = match found.len() {
                        0 => now as f64 * rows[other].len() as f64 / rows[r].len().max(1) as f64,
                        n => found.iter().sum::<usize>() as f64 / n as f64,
                    };
                    (mean, now, *item)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            rows[r] = keyed.into_iter().map(|k| k.2).collect();
        }
    }
}

/// Items by a key that tells boxes from edges.
struct Positions(std::collections::HashMap<(bool, usize), usize>);

impl std::ops::Index<(bool, usize)> for Positions {
    type Output = usize;

    fn index(&self, key: (bool, usize)) -> &usize {
        &self.0[&key]
    }
}

impl Positions {
    fn get(&self, key: (bool, usize)) -> Option<&usize> {
        self.0.get(&key)
    }
}

fn item_key(item: Item) -> (bool, usize) {
    match item {
        Item::Box(n) => (false, n),
        Item::Lane(e) => (true, e),
    }
}

fn positions(row: &[Item]) -> Positions {
    Positions(row.iter().enumerate().map(|(n, item)| (item_key(*item), n)).collect())
}

/// The middle of each item: as near to those that it is connected with as its neighbours in the row leave it.
fn columns(rows: &[Vec<Item>], near: &Near, width: &dyn Fn(Item) -> f64) -> Vec<Vec<f64>> {
    let distance = |a: Item, b: Item| {
        let gap = if matches!((a, b), (Item::Lane(_), Item::Lane(_))) { 0.0 } else { GAP };
        (width(a) + width(b)) / 2.0 + gap
    };
    let mut centres: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let mut x = 0.0;
            let mut all = Vec::with_capacity(row.len());
            for (n, item) in row.iter().enumerate() {
                x += n.checked_sub(1).map_or(0.0, |before| distance(row[before], *item));
                all.push(x);
            }
            let middle = x / 2.0;
            all.iter().map(|x| x - middle).collect()
        })
        .collect();
    let index: Vec<Positions> = rows.iter().map(|row| positions(row)).collect();
    let started: Vec<Positions> = near.start.iter().map(|row| positions(row)).collect();
    for pull in 0..PULLS {
        let order: Vec<usize> = if pull % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for r in order {
            let row = &rows[r];
            let ideal: Vec<f64> = row
                .iter()
                .enumerate()
                .map(|(n, item)| {
                    let start = started[r][item_key(*item)];
                    let (mut sum, mut count) = (0.0, 0);
                    let above = near.above[r][start].iter().map(|i| (r.wrapping_sub(1), *i));
                    let below = near.below[r][start].iter().map(|i| (r + 1, *i));
                    for (row, other) in above.chain(below) {
                        if let Some(at) = index.get(row).and_then(|i| i.get(item_key(other))) {
                            sum += centres[row][*at];
                            count += 1;
                        }
                    }
                    if count == 0 { centres[r][n] } else { sum / f64::from(count) }
                })
                .collect();
            // Two answers keep the distances: one that never goes left of what is ideal, one that never goes right.
            let (mut low, mut high) = (ideal.clone(), ideal);
            for n in 1..row.len() {
                low[n] = low[n].max(low[n - 1] + distance(row[n - 1], row[n]));
            }
            for n in (1..row.len()).rev() {
                high[n - 1] = high[n - 1].min(high[n] - distance(row[n - 1], row[n]));
            }
            centres[r] = low.iter().zip(&high).map(|(a, b)| (a + b) / 2.0).collect();
        }
    }
    let left = rows
        .iter()
        .zip(&centres)
        .flat_map(|(row, xs)| row.iter().zip(xs).map(|(item, x)| x - width(*item) / 2.0))
        .fold(f64::INFINITY, f64::min);
    let shift = if left.is_finite() { GAP - left } else { 0.0 };
    centres.into_iter().map(|row| row.into_iter().map(|x| x + shift).collect()).collect()
}

/// Where edges that lead down leave their box and reach the next: side by side, in the order of where they lead.
fn ports(
    sizes: &[Point],
    edges: &[(usize, usize)],
    is_back: &[bool],
    boxes: &[Point],
    lanes: &[Vec<(usize, f64)>],
) -> Vec<Point> {
    let mut ports = vec![(0.0, 0.0); edges.len()];
    let middle = |n: usize| boxes[n].0 + sizes[n].0 / 2.0;
    let mut out: Vec<Vec<(f64, usize)>> = vec![Vec::new(); sizes.len()];
    let mut into = out.clone();
    for (e, (from, to)) in edges.iter().enumerate().filter(|(e, _)| !is_back[*e]) {
        out[*from].push((lanes[e].first().map_or_else(|| middle(*to), |l| l.1), e));
        into[*to].push((lanes[e].last().map_or_else(|| middle(*from), |l| l.1), e));
    }
    for (sides, is_out) in [(&mut out, true), (&mut into, false)] {
        for (node, side) in sides.iter_mut().enumerate() {
            side.sort_by(|a, b| a.0.total_cmp(&b.0));
            let count = side.len() as f64;
            for (n, (_, e)) in side.iter().enumerate() {
                let x = boxes[node].0 + sizes[node].0 * (n as f64 + 1.0) / (count + 1.0);
                if is_out { ports[*e].0 = x } else { ports[*e].1 = x }
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn overlap(a: (Point, Point), b: (Point, Point)) -> bool {
        let apart = |a: f64, size: f64, b: f64| a + size <= b;
        let (((ax, ay), (aw, ah)), ((bx, by), (bw, bh))) = (a, b);
        !(apart(ax, aw, bx) || apart(bx, bw, ax) || apart(ay, ah, by) || apart(by, bh, ay))
    }

    #[test]
    fn a_loop_leads_back_up() {
        let edges = [(0, 1), (1, 2), (2, 1), (1, 3), (2, 2)];
        assert_eq!(back_edges(4, &edges), [false, false, true, false, true]);
        let laid_out = layout(&[(80.0, 40.0); 4], &edges).expect("few edges");
        let y = |n: usize| laid_out.boxes[n].1;
        assert!(y(0) < y(1) && y(1) < y(2) && y(1) < y(3));
        assert_eq!(laid_out.routes.iter().map(|w| w.is_back).collect::<Vec<_>>(), [false, false, true, false, true]);
    }

    proptest! {
        #[test]
        fn boxes_stand_apart_and_edges_end_at_them(
            sizes in prop::collection::vec((20.0..300.0f64, 20.0..200.0f64), 1..20),
            pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let edges: Vec<(usize, usize)> =
                pairs.iter().map(|(a, b)| (a.index(sizes.len()), b.index(sizes.len()))).collect();
            let laid_out = layout(&sizes, &edges).expect("few edges");
            let all: Vec<(Point, Point)> = laid_out.boxes.iter().copied().zip(sizes.iter().copied()).collect();
            for (n, a) in all.iter().enumerate() {
                prop_assert!(a.0.0 >= 0.0 && a.0.0 + a.1.0 <= laid_out.size.0 && a.0.1 + a.1.1 <= laid_out.size.1);
                for b in &all[..n] {
                    prop_assert!(!overlap(*a, *b));
                }
            }
            for ((from, to), route) in edges.iter().zip(&laid_out.routes) {
                let touches = |node: usize, (x, y): Point| {
                    let ((bx, by), (w, h)) = all[node];
                    x >= bx - 0.01 && x <= bx + w + 0.01 && y >= by - 0.01 && y <= by + h + 0.01
                };
                prop_assert!(touches(*from, route.points[0]));
                prop_assert!(touches(*to, route.points[route.points.len() - 1]));
            }
        }
    }
}
