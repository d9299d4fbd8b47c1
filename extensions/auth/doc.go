// Package auth says whom a session acts for, for how long, and ends it when
// that is over or was taken back.
//
// Methods judge what a client brings with its handshake: JWT, a Hook (an HTTP
// service that is asked), ProxyHeader and Certificate. The first that has
// something to say decides, and the session gets a bayeux.Subject; what that
// subject may do is for a bayeux.Policy. A client refreshes its token by a
// publish to /service/auth, where it is also warned before the token expires
// and told of subscriptions that a narrower token has ended. Revoke ends
// sessions at once and refuses their tokens from then on.
//
// New makes the extension; it must be among the server's extensions, and Attach
// must be called with the server before it serves:
//
//	guard, err := auth.New(auth.Config{Methods: []auth.Method{jwt}})
//	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{guard}})
//	guard.Attach(srv)
//
// Tokens are never logged, nor is anything else that a client could use. What
// clients see of a refusal is in docs/AUTH.md; why stands in the log only.
package auth
