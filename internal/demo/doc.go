// Package demo is the page of `halley serve --demo`: three small rooms that
// show what push is for. A chat with its members, a live feed with a moving
// chart, and a shared sketch pad with everybody's cursors.
//
// The page runs on the published CometD JavaScript client, which `make`
// installs into assets/vendor before the program is built. Without it the
// program builds as well, and the page says how to get the demo.
//
// Channels:
//
//	/demo/chat           lines; clients send {text}, the server adds who and when
//	/demo/members        who is there, from the server
//	/demo/feed/*         one channel for each instrument, from the server
//	/demo/sketch         parts of strokes, or {clear: true}
//	/demo/cursor         where somebody's pointer is
//	/service/demo/join   {name} in; out what the rooms hold at that moment
//	/service/demo/echo   comes back, so that the page can measure
//
// What clients send is read into types and written anew, so that nothing else
// reaches the other pages; all that is kept is bounded and lost with the
// process.
package demo
