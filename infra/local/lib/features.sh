# shellcheck shell=bash
#
# The features of `cargo test` and of whatever shall share its build: the tests against real services, and the mutants, which are
# hooks that stay off but in the simulation. The binary for production is built without features (`make build`).

# shellcheck disable=SC2034  # lint and test read it
readonly features=paceline-adapters/services,paceline-tests/services,paceline-sim/mutants
