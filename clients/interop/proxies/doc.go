// Package proxies proves the recipes of docs/recipes: each file is filled in with addresses of this machine and run by the
// proxy that it is for, nginx, HAProxy or Apache, in front of two processes of the server. The published JavaScript client
// then works through it on every transport, while backends are drained and restarted and the proxy is reloaded, and a table
// of attacks tries to smuggle requests past it. docs/RECIPES.md tells what is promised; the tests have its numbers.
//
// The tests stand behind the build tag interop and need what `make deps` installs. Without HALLEY_INTEROP=full only a small
// part of them runs.
package proxies
