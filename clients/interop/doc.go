// Package interop proves the server by clients that others have published: they are driven through one list of
// scenarios, each client on each of its transports, with and without acknowledgements, through a proxy that harms the
// network. The tests stand behind the build tag interop, need Node and the packages of the folder js (npm ci), and
// run against the binary built from this module, or against any server that HALLEY_PEER_CMD starts.
package interop
