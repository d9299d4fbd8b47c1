// Package channels holds the names of Bayeux channels, the patterns that match
// them, and a simple channel tree that is the model other structures are
// checked against.
//
// A name is a slash-separated path such as /chat/demo. Its last segment may be
// a wildcard: /chat/* matches exactly one more segment, /chat/** one or more
// ([R-SB-10]). Names below /meta/ and /service/ are reserved ([R-MSG-13]);
// every other name is a broadcast channel.
//
// The package depends on the standard library only, takes no lock and reads no
// clock. Values of Name and Pattern are immutable and safe for concurrent use;
// a Tree is not.
package channels
