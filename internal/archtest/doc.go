// Package archtest keeps the house in order: the import arrows go one way, no
// file outgrows its budget, nothing stands at the top that does not belong
// there, and each rule of the protocol is found in the code and in a test by
// its tag.
//
// The tests read the files themselves rather than asking the go command: the
// test cache sees files that a test opens, not those that a child process
// opens.
package archtest
