// Command compat writes docs/COMPATIBILITY.md from what the interop tests have seen: `compat FOLDER` reads the JSON files
// of the folder, in the order of their names, and prints the document.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compat FOLDER")
		os.Exit(2)
	}
	rows, err := readAll(os.DirFS(os.Args[1]))
	if err == nil {
		_, err = os.Stdout.WriteString(render(rows))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}
