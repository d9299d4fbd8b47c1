// Package readme has no code: its tests keep README.md true. The program and
// the page that it shows are files here, which are compiled and run.
package readme
