// Command testsum reads the output of `go test -json` and prints what go test
// would print, and at last a line with the numbers: "12 passed, 0 failed". It
// fails when a test or a build failed, or when there was nothing to read.
package main

import (
	"fmt"
	"os"
)

func main() {
	s := newSummary(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if !s.finish() {
		os.Exit(1)
	}
}
