// Package serve is `halley serve`: a Bayeux server as a program.
//
// Settings come from flags, the environment, a YAML file and defaults, in this
// order. Package cli parses the command line into Command; Load layers the
// sources into Settings; Run holds the listeners, the signals and the
// deadlines. Everything of Bayeux is in package server.
package serve
