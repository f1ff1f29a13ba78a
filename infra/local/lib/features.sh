# shellcheck shell=bash
#
# The features of `cargo test` and of whatever shall share its build: the tests against real services, and the mutants, which are code
# of the simulation alone. None of the three changes a line of the binary that the tests start.

# shellcheck disable=SC2034  # lint and test read it
readonly features=paceline-adapters/services,paceline-tests/services,paceline-sim/mutants
