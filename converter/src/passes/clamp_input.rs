//! Makes the saturation of a quantized input a clamp.

use crate::graph::bounds::{Interval, saturation};
use crate::graph::{Graph, Node, Op};

/// Adds a clamp after a quantized input if pictures can leave the range of its codes. `values` are all that
/// the input rule makes of pictures. Every node that read the input reads the clamp.
pub fn run(mut graph: Graph, values: Interval) -> Graph {
    let input = &graph.nodes[0];
    let Some(quant) = input.quant.filter(|q| !values.fits(*q)) else {
        return graph;
    };
    let mut name = format!("{}/quantized", input.name);
    while graph.nodes.iter().any(|n| n.name == name) {
        name.push('\'');
    }
    let clamp = Node {
        name,
        op: Op::Activation(saturation(quant)),
        inputs: vec![0],
        ..input.clone()
    };
    for id in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        *id += 1;
    }
    graph.nodes.insert(1, clamp);
    graph.output += 1;
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Quant, Shape, reference};

    #[test]
    fn a_clamp_where_pictures_leave_the_codes() {
        let mut g = Graph::new(Shape::new(1, 1, 3));
        let quant = Some(Quant {
            scale: 0.5,
            zero_point: -128,
        });
        g.nodes[0].quant = quant;
        let twice = g
            .push("input/quantized", Op::Add(Activation::None), &[0, 0])
            .unwrap();
        g.push("sum", Op::Add(Activation::None), &[twice, 0])
            .unwrap();
        let values = |min, max| Interval { min, max };
        let inside = run(g.clone(), values(-0.2, 127.7));
        assert_eq!(inside.nodes.len(), 3);
        let clamped = run(g.clone(), values(-1.0, 127.5));
        assert_eq!((clamped.nodes.len(), clamped.nodes[1].quant), (4, quant));
        assert_eq!(
            reference::evaluate(&clamped, &[-1.0, 2.0, 200.0]),
            [0.0, 6.0, 382.5]
        );
        g.nodes[0].quant = None;
        assert_eq!(run(g, Interval::ALL).nodes.len(), 3);
    }
}
