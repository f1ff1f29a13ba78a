//! The simulation: its models pass the ports' conformance suites, every law holds over some hundred seeds, a seed replays bit for
//! bit, and each mutant is caught. `make sim` plays many more seeds.

mod conformance;
mod laws;
