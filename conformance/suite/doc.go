// Package suite is the frame of the conformance suite: what a case is, how it
// talks to a server, what is learned of the server beforehand, how verdicts
// are weighed, and the report. The cases are in package cases.
//
// A case is a value of type Case. Its Run gets a *T, asks it for clients, and
// says what it expects:
//
//	suite.Case{
//		ID: "BX-PB-01", Title: "a publish is acknowledged", Level: suite.MUST,
//		Spec: "Publish Response", Rules: []string{"R-PB-1"},
//		Run: func(t *suite.T) {
//			c := t.Connected()
//			c.Publish(t.Channel("a"), "x").Successful()
//		},
//	}
//
// It runs once for each carrier that the server has and that the case is for.
// An expectation that is not met is a failure and the case goes on, so that
// the report shows all of them; what a case cannot go on without (a session, a
// reply) ends it.
package suite
