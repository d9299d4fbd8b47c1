package clientmode

import (
	"fmt"

	"github.com/halleypush/halley/conformance/suite"
)

// Case is one fault, or none, and what a client has to do. Its ids are
// BX-C-<section>-<nn>. Of the embedded case Run is not used; Needs names what
// the client must be able to do, see Client.Cannot. On is long-polling and
// WebSocket unless it says otherwise; Any lets the client choose.
type Case struct {
	suite.Case

	// Ack has the client ask for acknowledged messages.
	Ack  bool
	Play func(*T)
}

// Section is a group of cases. Code is C-<section>.
type Section struct {
	Code, Name, Title string
	Cases             []Case
}

// Both are the transports of a case that names none.
const Both = suite.LP | suite.WS

// Abilities that a client may lack; see Client.Cannot.
const (
	NeedAck       suite.Need = "ack"       // it can ask for acknowledged messages
	NeedDown      suite.Need = "down"      // its API tells of a broken connection
	NeedPublished suite.Need = "published" // its API tells what became of a publish
)

// Describe returns the sections as package suite knows them, for lists.
func Describe(sections []Section) []suite.Section {
	out := make([]suite.Section, 0, len(sections))
	for _, s := range sections {
		to := suite.Section{Code: s.Code, Name: s.Name, Title: s.Title}
		for _, c := range s.Cases {
			c.Case.Run = func(*suite.T) {}
			to.Cases = append(to.Cases, c.Case)
		}
		out = append(out, to)
	}
	return out
}

// Check finds mistakes in the sections, as suite.Check does.
func Check(sections []Section) error {
	for _, s := range sections {
		for _, c := range s.Cases {
			if c.Play == nil {
				return fmt.Errorf("case %s has no Play", c.ID)
			}
		}
	}
	return suite.Check(Describe(sections))
}
