// Package browser has the tests that need a real browser: Chromium, driven by
// Node and playwright-core, which `make deps` installs. They have the build
// tag interop.
package browser
