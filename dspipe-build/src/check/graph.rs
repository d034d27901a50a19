//! In which order steps run, and which at the same time.

use std::collections::{BTreeSet, HashMap};

use crate::diag::{Code, Diagnostics};
use crate::ir::Plan;
use crate::source::Span;
use crate::spec;

/// The plan of a workflow, and those of the bodies of its blocks.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) workflow: Plan,
    pub(super) blocks: Vec<Plan>,
}

/// The plans for nodes that need each other's outputs. Cycles are reported, each as
/// a whole; the plans are then of no use but to name every node.
pub(super) fn plan(
    workflow: &spec::Workflow,
    dependencies: &[BTreeSet<usize>],
    places: &HashMap<(usize, usize), Span>,
    diagnostics: &mut Diagnostics,
) -> Plans {
    // Nodes need nodes beside them only, so each body is a graph by itself.
    let nodes = |members: &[spec::Member]| -> Vec<usize> {
        members.iter().map(|it| workflow.node_of(*it)).collect()
    };
    let bodies = workflow.blocks().iter().map(|block| nodes(&block.members));
    let top = nodes(&workflow.members.top);
    let cycles = find_cycles(dependencies);
    for cycle in &cycles {
        report_cycle(workflow, cycle, places, diagnostics);
    }
    if !cycles.is_empty() {
        return Plans {
            workflow: Plan::Graph(top),
            blocks: bodies.map(Plan::Graph).collect(),
        };
    }
    let ancestors = ancestors(dependencies);
    let graph = Graph {
        dependencies,
        ancestors: &ancestors,
    };
    Plans {
        workflow: graph.plan(top),
        blocks: bodies.map(|body| graph.plan(body)).collect(),
    }
}

struct Graph<'a> {
    dependencies: &'a [BTreeSet<usize>],
    ancestors: &'a [Steps],
}

impl Graph<'_> {
    fn plan(&self, mut nodes: Vec<usize>) -> Plan {
        // By the number of steps needed before: an order in which nothing waits for a
        // later one, and in file order where the graph leaves the choice.
        nodes.sort_by_key(|node| self.ancestors[*node].count());
        self.decompose(&nodes)
    }

    /// Series and parallel parts as far as the graph has them; both lose no
    /// concurrency against starting each step as soon as it could.
    fn decompose(&self, steps: &[usize]) -> Plan {
        if let [step] = steps {
            return Plan::Step(*step);
        }
        let components = self.components(steps);
        if components.len() > 1 {
            return Plan::Parallel(components.iter().map(|c| self.decompose(c)).collect());
        }
        let parts = self.series(steps);
        if parts.len() > 1 {
            return Plan::Series(parts.iter().map(|part| self.decompose(part)).collect());
        }
        Plan::Graph(steps.to_vec())
    }

    /// Parts that have nothing to do with each other.
    fn components(&self, steps: &[usize]) -> Vec<Vec<usize>> {
        let position: HashMap<usize, usize> = steps
            .iter()
            .enumerate()
            .map(|(at, step)| (*step, at))
            .collect();
        let mut parent: Vec<usize> = (0..steps.len()).collect();
        for (at, step) in steps.iter().enumerate() {
            for needed in &self.dependencies[*step] {
                if let Some(other) = position.get(needed) {
                    let (a, b) = (root(&mut parent, at), root(&mut parent, *other));
                    parent[a.max(b)] = a.min(b);
                }
            }
        }
        let mut components: Vec<(usize, Vec<usize>)> = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let root = root(&mut parent, at);
            match components.iter_mut().find(|(known, _)| *known == root) {
                Some((_, members)) => members.push(*step),
                None => components.push((root, vec![*step])),
            }
        }
        let mut components: Vec<Vec<usize>> = components.into_iter().map(|(_, c)| c).collect();
        components.sort_by_key(|members| members.iter().min().copied());
        components
    }

    /// Cuts before every point where all that comes after needs all that came before.
    fn series(&self, steps: &[usize]) -> Vec<Vec<usize>> {
        // How many of the first steps, without a gap, each step needs.
        let needed: Vec<usize> = steps
            .iter()
            .map(|step| {
                steps
                    .iter()
                    .take_while(|before| self.ancestors[*step].contains(**before))
                    .count()
            })
            .collect();
        let mut parts = Vec::new();
        let mut end = steps.len();
        let mut least = usize::MAX;
        for cut in (1..steps.len()).rev() {
            least = least.min(needed[cut]);
            if least >= cut {
                parts.push(steps[cut..end].to_vec());
                end = cut;
            }
        }
        parts.push(steps[..end].to_vec());
        parts.reverse();
        parts
    }
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

/// A set of steps, a bit each: in a chain, every step waits for all before it.
#[derive(Debug, Clone)]
struct Steps(Vec<u64>);

impl Steps {
    fn none_of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, step: usize) {
        self.0[step / 64] |= 1 << (step % 64);
    }

    fn contains(&self, step: usize) -> bool {
        self.0[step / 64] & (1 << (step % 64)) != 0
    }

    fn extend(&mut self, other: &Self) {
        for (bits, more) in self.0.iter_mut().zip(&other.0) {
            *bits |= more;
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }
}

/// All that each step waits for. The graph has no cycle.
fn ancestors(dependencies: &[BTreeSet<usize>]) -> Vec<Steps> {
    let mut waiting: Vec<usize> = dependencies.iter().map(BTreeSet::len).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    for (step, needed) in dependencies.iter().enumerate() {
        for other in needed {
            needed_by[*other].push(step);
        }
    }
    let mut ready: Vec<usize> = (0..waiting.len())
        .filter(|step| waiting[*step] == 0)
        .collect();
    let mut all = vec![Steps::none_of(dependencies.len()); dependencies.len()];
    while let Some(step) = ready.pop() {
        let mut inherited = all[step].clone();
        inherited.insert(step);
        for later in std::mem::take(&mut needed_by[step]) {
            all[later].extend(&inherited);
            waiting[later] -= 1;
            if waiting[later] == 0 {
                ready.push(later);
            }
        }
    }
    all
}

/// Steps that wait for each other in circles, the first one again at the end; each step in one circle at most.
fn find_cycles(dependencies: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut cycles: Vec<Vec<usize>> = Vec::new();
    let mut reported: BTreeSet<usize> = BTreeSet::new();
    let mut marks = vec![Mark::New; dependencies.len()];
    for start in 0..dependencies.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // An explicit stack: a chain may be thousands of steps long.
        let mut stack = vec![(start, dependencies[start].iter())];
        marks[start] = Mark::Open;
        while let Some((step, needed)) = stack.last_mut() {
            let step = *step;
            match needed.next() {
                Some(&next) if marks[next] == Mark::Open => {
                    let from = stack.iter().position(|(s, _)| *s == next).unwrap_or(0);
                    let mut cycle: Vec<usize> = stack[from..].iter().map(|(s, _)| *s).collect();
                    if !cycle.iter().any(|step| reported.contains(step)) {
                        reported.extend(&cycle);
                        cycle.push(next);
                        cycles.push(cycle);
                    }
                }
                Some(&next) if marks[next] == Mark::New => {
                    marks[next] = Mark::Open;
                    stack.push((next, dependencies[next].iter()));
                }
                Some(_) => {}
                None => {
                    marks[step] = Mark::Done;
                    stack.pop();
                }
            }
        }
    }
    cycles
}

fn report_cycle(
    workflow: &spec::Workflow,
    cycle: &[usize],
    places: &HashMap<(usize, usize), Span>,
    diagnostics: &mut Diagnostics,
) {
    let name = |node: usize| workflow.name_of(node).value.as_str();
    let chain: Vec<String> = cycle
        .iter()
        .map(|step| format!("`{}`", name(*step)))
        .collect();
    let edges: Vec<(usize, usize, Span)> = cycle
        .windows(2)
        .filter_map(|pair| Some((pair[0], pair[1], *places.get(&(pair[0], pair[1]))?)))
        .collect();
    let Some((from, to, span)) = edges.first() else {
        return;
    };
    let diagnostic = diagnostics.error(
        Code::Cycle,
        *span,
        format!("the steps wait for each other: {}", chain.join(" needs ")),
    );
    diagnostic.label(format!("`{}` needs `{}`", name(*from), name(*to)));
    for (from, to, span) in &edges[1..] {
        diagnostic.also(*span, format!("`{}` needs `{}`", name(*from), name(*to)));
    }
    diagnostic.help("break the circle at one of these places");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(dependencies: &[&[usize]]) -> Plan {
        let dependencies: Vec<BTreeSet<usize>> = dependencies
            .iter()
            .map(|needed| needed.iter().copied().collect())
            .collect();
        assert!(find_cycles(&dependencies).is_empty());
        let ancestors = ancestors(&dependencies);
        Graph {
            dependencies: &dependencies,
            ancestors: &ancestors,
        }
        .plan((0..dependencies.len()).collect())
    }

    use Plan::{Graph as G, Parallel as P, Series as S, Step as One};

    #[test]
    fn shapes() {
        assert_eq!(planned(&[&[]]), One(0));
        assert_eq!(planned(&[&[], &[0], &[1]]), S(vec![One(0), One(1), One(2)]));
        assert_eq!(planned(&[&[], &[]]), P(vec![One(0), One(1)]));
        // A diamond.
        assert_eq!(
            planned(&[&[], &[0], &[0], &[1, 2]]),
            S(vec![One(0), P(vec![One(1), One(2)]), One(3)])
        );
        // Two chains side by side do not wait for each other.
        assert_eq!(
            planned(&[&[], &[], &[0], &[1]]),
            P(vec![S(vec![One(0), One(2)]), S(vec![One(1), One(3)])])
        );
        // The shape of an N is neither.
        assert_eq!(planned(&[&[], &[], &[0], &[0, 1]]), G(vec![0, 1, 2, 3]));
        // A later step of the file may come first.
        assert_eq!(planned(&[&[1], &[]]), S(vec![One(1), One(0)]));
    }

    #[test]
    fn cycles() {
        let set = |needed: &[usize]| needed.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(find_cycles(&[set(&[0])]), [[0, 0]]);
        assert_eq!(
            find_cycles(&[set(&[]), set(&[3]), set(&[1]), set(&[2])]),
            [[1, 3, 2, 1]]
        );
        // Two apart, and a second one through the same step, which is left for later.
        let all = [set(&[1]), set(&[0, 1]), set(&[3]), set(&[2])];
        assert_eq!(find_cycles(&all), [[0, 1, 0], [2, 3, 2]]);
    }
}
