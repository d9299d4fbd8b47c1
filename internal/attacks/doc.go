// Package attacks is the attack suite: what is tried against push servers,
// tried against the program in both postures. Each attack says beforehand how
// it ends in each posture; the test fails when it ends otherwise, and writes
// the list into docs/SECURITY.md. It holds tests only; `make attack` runs it,
// with those of the proxies' recipes.
package attacks
