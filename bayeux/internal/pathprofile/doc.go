// Package pathprofile concludes from what becomes of connects what lies between
// the server and its clients: proxies that cut what takes long, or what is large,
// or that let WebSockets be opened and nothing through. It is pure: time is an
// argument, and what is to be done about it is an answer. Nothing is sent to find
// out; stock clients go on as they do, and the server answers sooner, or less.
//
// A Path is what is known of a network address, a Seat what is known of one
// session's way through it. There are paths for addresses, and seats for sessions,
// that something happened to: nobody else needs one, see Path.Quiet.
//
// # What is learned from what
//
//	a held connect whose client went, and came back at      a cut: two in a row at the same age
//	once, by the same path, with the next message id        (three where ages have disagreed before)
//	and advice.timeout 0, or with the same connect          make the ceiling of the session's holds
//	once more
//	the same, with a message id that does not go on         nothing: a page was reloaded
//	a client that does not come back, or by another path    nothing: a tab was closed, or the network
//	                                                        was changed
//	a hold that lasted longer than cuts of others, whose    they were cut for themselves: newcomers
//	client had the answer                                   begin without a ceiling
//	an answer of 8 KiB or more that was not written whole,  responses are kept below a quarter, and
//	or whose client came back as after a failure, or did    then grow to three quarters of the least
//	not acknowledge it                                      that failed
//	WebSockets that were opened and carried nothing         after two in a row no more are opened
//	                                                        there for a time
//
// A ceiling is four fifths of the age at which connects are cut. Now and then, one
// session of a path tries half as much again; if that is cut too nothing changes
// but the time until the next try, which doubles. Where the ceiling would be below
// Config.MinHold, nothing is held: clients poll.
//
// A session learns for itself. What it learned becomes the beginning of others
// that come by the path later, if nobody holds longer there, or three sessions
// have learned the same; a session that was there before goes by what it has
// seen. Holds of polls, which are cut by their duration, and of WebSockets, which
// are cut by their silence, are told apart (Lane).
//
// # Concurrency
//
// A Book and a Path are safe for concurrent use; a Seat belongs to its session,
// whose lock guards it.
package pathprofile
