// Package interop proves the server by clients that others have published: they are driven through one list of
// scenarios, each client on each of its transports, with and without acknowledgements, through a proxy that harms the
// network. The folders js, java, python and browser hold programs that drive the clients, all by the same protocol of JSON
// lines (js/driver.mjs describes it); the clients of browser live in pages of one Chromium. The tests stand behind the
// build tag interop, need Node, Java, Python and Chromium and what `make deps` installs for them, and run against the
// binary built from this module, or against any server that HALLEY_PEER_CMD starts.
//
// The core clients always run all scenarios. The others run a short list, once on each transport, unless
// HALLEY_INTEROP=full asks for everything, as `make interop` does; then the program in the folder compat makes
// docs/COMPATIBILITY.md of what was seen.
package interop
