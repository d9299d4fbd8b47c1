// Package clientmode tests Bayeux clients: a scripted server injects one fault
// after another and judges what the client does next. It is the frame; the
// cases are in package clientcases.
//
// For each case and transport the client under test is started with an address
// of its own. It is an application of a few lines that any client can carry:
// it shakes hands, subscribes to /bx/control and /bx/data, again after each new
// handshake where its library does not do so, and obeys what comes on
// /bx/control:
//
//	{"do":"publish","channel":"/bx/x","data":…}
//	{"do":"subscribe","channel":"/bx/x"} and {"do":"unsubscribe","channel":"/bx/x"}
//	{"do":"disconnect"}
//
// What happens to it, it tells: see Event. A Client tells in process, a program
// by lines of JSON on its standard output (see Exec); one that can do neither
// publishes the same objects to /bx/report.
package clientmode
