// Command compat writes docs/COMPATIBILITY.md from what the interop tests have seen: `compat FOLDER` reads the JSON files
// of the folder, in the order of their names, and of its folder proxies, and prints the document.
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
	folder := os.DirFS(os.Args[1])
	rows, err := readAll(folder)
	var behind []proxy
	if err == nil {
		behind, err = readProxies(folder)
	}
	if err == nil {
		_, err = os.Stdout.WriteString(render(rows) + renderProxies(behind))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}
