// Package browser tests the demo page in a real browser: Chromium, driven by
// Node and playwright-core, which `make deps` installs. The tests have the
// build tag interop. The folder also holds the published clients that live in
// pages (pages, and chromium.mjs that drives them), for the matrix one folder
// up.
package browser
