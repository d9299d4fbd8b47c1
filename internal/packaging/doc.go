// Package packaging has no code: it holds the files that make a service of the
// program, which the release puts into its archives, and the tests that keep
// them in step with the program.
package packaging
