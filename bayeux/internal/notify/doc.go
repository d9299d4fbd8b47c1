// Package notify tells listeners of what happens, in order, and without harm to
// whoever makes it happen: nothing here is called by the goroutine that tells
// it, and no lock is held while a listener is called.
//
// A Line tells what happens to one thing, all of it. A Presence tells whether
// each of many things is there, in turn: what comes and goes while a listener is
// busy with the same thing is not piled up. A Group counts the goroutines, for
// the owner to wait for.
package notify
