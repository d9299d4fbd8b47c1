// Package manual is `halley completion` and `halley man`: what the program says
// of itself for shells and for man. All of it comes from the definitions of the
// commands, so that it cannot say anything else than --help.
package manual
