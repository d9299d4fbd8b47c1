package suite

import (
	"fmt"
	"math/bits"
	"regexp"
	"strings"
)

// Level says how binding what a case checks is.
type Level string

// The levels. The first three are those of the Bayeux 1.0 specification.
const (
	MUST   Level = "MUST"
	SHOULD Level = "SHOULD"
	MAY    Level = "MAY"
	COMETD Level = "COMETD" // what CometD does, and its clients are used to
	INFO   Level = "INFO"   // worth telling, never a failure
)

// On is a set of carriers.
type On uint8

// The carriers. Any is one of the others, whichever the server has first.
const (
	LP On = 1 << iota // long-polling over HTTP/1.1
	CP                // callback-polling (JSONP)
	WS                // websocket
	ES                // Faye's eventsource: long-polling, and a stream downwards
	H2                // long-polling over HTTP/2
	Any

	Polls = LP | CP      // answers end with the message
	Every = LP | CP | WS // what a case is for that names none
)

// Each returns the carriers of a set one by one.
func (o On) Each() []On {
	var all []On
	for rest := o; rest != 0; rest &= rest - 1 {
		all = append(all, On(1)<<bits.TrailingZeros8(uint8(rest)))
	}
	return all
}

// Has tells whether the set holds one of the carriers of another.
func (o On) Has(other On) bool { return o&other != 0 }

// String returns the names, which stand in reports and known files.
func (o On) String() string {
	var names []string
	for _, one := range o.Each() {
		switch one {
		case LP:
			names = append(names, "long-polling")
		case CP:
			names = append(names, "callback-polling")
		case WS:
			names = append(names, "websocket")
		case ES:
			names = append(names, "eventsource")
		case H2:
			names = append(names, "http2")
		default:
			names = append(names, "any")
		}
	}
	return strings.Join(names, ",")
}

// connectionType returns the name that Bayeux has for a carrier.
func (o On) connectionType() string {
	if o == H2 {
		return LP.String()
	}
	return o.String()
}

// ParseOn reads the name of a carrier.
func ParseOn(name string) (On, error) {
	for _, one := range (LP | CP | WS | ES | H2).Each() {
		if one.String() == name {
			return one, nil
		}
	}
	return 0, fmt.Errorf("transport %q is unknown; want long-polling, callback-polling, websocket, eventsource or http2", name)
}

// Need is something that a case cannot do without: a capability that was
// learned of the server, or an entry of the fixture. A case whose need is not
// met is skipped, and the report says for what.
type Need string

// Capabilities.
const (
	NeedHold     Need = "hold"         // connects are held; T.Hold gives how long
	NeedExpiry   Need = "expiry"       // silent sessions end in a time that can be waited for; T.Expiry
	NeedDelivery Need = "delivery"     // anybody may subscribe and publish
	NeedCookie   Need = "cookie"       // HTTP sessions are bound to a cookie; T.Facts().Cookie
	NeedBare     Need = "bare-objects" // a message need not stand in an array
	NeedAck      Need = "ack"          // the acknowledge extension
	NeedTimesync Need = "timesync"     // the timesync extension
	NeedLP       Need = "long-polling" // as a second carrier, beside the one that the case runs on
	NeedWS       Need = "websocket"    // the same
	NeedCP       Need = "callback-polling"
)

// Profiles is a set of profiles.
type Profiles uint8

// The profiles: what a server claims to be.
const (
	Spec Profiles = 1 << iota
	CometD
	Faye
	Salesforce
)

// Case is one behaviour and how to see it.
type Case struct {
	ID    string   // BX-<section>-<nn>; never used for another behaviour
	Title string   // the expectation, in words of a user, without a full stop
	Spec  string   // the section of the Bayeux 1.0 specification; empty where it is silent
	Rules []string // rules of Halley's list, as references
	Level Level
	On    On     // carriers; zero is Every
	Needs []Need // what it is skipped without

	// Except names profiles whose model server is known to do otherwise: there
	// the case only informs. Instead names the case that holds there.
	Except  Profiles
	Instead string
	// Also names profiles in which the case counts although its level does not.
	Also Profiles

	Run func(*T)
}

// Section is a group of cases.
type Section struct {
	Code  string // the part of the ids between the hyphens
	Name  string // one word, for --section
	Title string
	Cases []Case
}

// carriers returns what a case is for.
func (c Case) carriers() On {
	if c.On == 0 {
		return Every
	}
	return c.On
}

// Check finds mistakes in the sections: ids that are malformed, in the wrong
// section or not unique, and fields that are missing.
func Check(sections []Section) error {
	form := regexp.MustCompile(`^BX-((?:C-)?[A-Z0-9]+)-[0-9]{2,3}$`)
	seen := map[string]bool{}
	for _, s := range sections {
		for _, c := range s.Cases {
			m := form.FindStringSubmatch(c.ID)
			switch {
			case m == nil || m[1] != s.Code:
				return fmt.Errorf("case %q is not of section %s", c.ID, s.Code)
			case seen[c.ID]:
				return fmt.Errorf("case %s is there twice", c.ID)
			case c.Title == "" || c.Run == nil || len(c.Rules) == 0 && c.Spec == "":
				return fmt.Errorf("case %s lacks a title, a reference or Run", c.ID)
			case c.Level != MUST && c.Level != SHOULD && c.Level != MAY && c.Level != COMETD && c.Level != INFO:
				return fmt.Errorf("case %s has the level %q", c.ID, c.Level)
			}
			seen[c.ID] = true
		}
	}
	for _, s := range sections {
		for _, c := range s.Cases {
			if c.Instead != "" && !seen[c.Instead] {
				return fmt.Errorf("case %s names %s instead, which is not there", c.ID, c.Instead)
			}
		}
	}
	return nil
}
