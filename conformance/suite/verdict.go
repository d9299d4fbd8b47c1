package suite

// Verdict is what became of a case on a carrier.
type Verdict string

// The verdicts, in the order of their weight.
const (
	Pass      Verdict = "pass"
	Info      Verdict = "info"       // not counted: told for who reads the report
	NonStrict Verdict = "non-strict" // works, but not as it should
	Fail      Verdict = "fail"
	Skipped   Verdict = "skipped" // a capability or a fixture entry is missing
	Error     Verdict = "error"   // the suite itself or the network broke; says nothing of the server
)

// NoteKind is the kind of a note.
type NoteKind string

// The kinds of notes that a case leaves. Each of the first five moves the
// outcome.
const (
	NoteFail      NoteKind = "fail"
	NoteNonStrict NoteKind = "non-strict"
	NoteInfo      NoteKind = "info"
	NoteSkip      NoteKind = "skip"
	NoteError     NoteKind = "error"
)

// Note is a remark of a case, or what it found.
type Note struct {
	Kind NoteKind `json:"kind"`
	Text string   `json:"text"`
	AtMs float64  `json:"atMs"` // since the case began
}

// outcome sums up the notes: an error of the suite hides all else, for then
// nothing is known.
func outcome(notes []Note) Verdict {
	has := map[NoteKind]bool{}
	for _, n := range notes {
		has[n.Kind] = true
	}
	switch {
	case has[NoteError]:
		return Error
	case has[NoteFail]:
		return Fail
	case has[NoteSkip]:
		return Skipped
	case has[NoteNonStrict]:
		return NonStrict
	default:
		return Pass
	}
}

// Profile says which levels count.
type Profile struct {
	Name string
	set  Profiles
	fail Levels // a failure is a failure
	soft Levels // a failure is non-strict
}

// Levels is a set of levels.
type Levels map[Level]bool

// ProfileNames lists the profiles.
func ProfileNames() []string { return []string{"spec", "cometd", "faye", "salesforce"} }

// FindProfile returns a profile by its name.
func FindProfile(name string) (Profile, bool) {
	must, should := Levels{MUST: true}, Levels{SHOULD: true}
	switch name {
	case "spec":
		return Profile{name, Spec, must, should}, true
	case "cometd":
		return Profile{name, CometD, Levels{MUST: true, COMETD: true}, should}, true
	case "faye":
		return Profile{name, Faye, must, should}, true
	case "salesforce":
		return Profile{name, Salesforce, Levels{MUST: true, COMETD: true}, should}, true
	default:
		return Profile{}, false
	}
}

// weigh turns the outcome of a case into its verdict. A case outside the
// profile only informs.
func (p Profile) weigh(c Case, out Verdict, strict bool) Verdict {
	if out == Skipped || out == Error {
		return out
	}
	also := c.Also&p.set != 0
	switch {
	case c.Level == INFO && !also || c.Except&p.set != 0:
		return Info
	case p.fail[c.Level] || also:
	case p.soft[c.Level]:
		if out == Fail {
			out = NonStrict
		}
	default:
		return Info
	}
	if strict && out == NonStrict {
		return Fail
	}
	return out
}
