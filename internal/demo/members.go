package demo

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/halleypush/halley/bayeux"
)

const (
	// maxName bounds a name, in runes.
	maxName = 24
	// maxShown bounds the members that are listed; all are counted.
	maxShown = 60
	// hues is the number of colours that the page has for members and inks.
	hues = 8
)

// member is somebody in the rooms, as all may know them: the id is not the
// session's, which is a secret.
type member struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Hue  int    `json:"hue"`

	joined int
	key    string // what its page comes back with; a secret between the two
}

// guest is who speaks without having joined: halley pub, for one.
func guest() member { return member{Name: "guest"} }

// change tells who is there after somebody came, went or took another name.
// Sequence numbers tell an older one that arrives late.
type change struct {
	Sequence int      `json:"n"`
	Kind     string   `json:"kind"`
	Who      member   `json:"who"`
	Was      string   `json:"was,omitempty"`
	Members  []member `json:"members"`
	Count    int      `json:"count"`
}

// members are those who joined, by session id.
type members struct {
	mu        sync.Mutex
	bySession map[string]member
	sequence  int
}

func newMembers() *members { return &members{bySession: map[string]member{}} }

// join adds a session under the name that is nearest to its wish, or renames
// it. With the key of a member it takes that one's place: the page has made a
// new session, and nobody has told us yet that the old one is gone.
func (ms *members) join(session, wish, key string) (member, change) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.sequence++
	old, there := ms.bySession[session]
	if !there {
		old, there = ms.takeLocked(key)
	}
	who := old
	if !there {
		who = member{ID: rand.Text()[:10], Hue: ms.sequence % hues, joined: ms.sequence, key: rand.Text()}
	}
	delete(ms.bySession, session)
	who.Name = ms.freeLocked(cleanName(wish))
	ms.bySession[session] = who
	switch {
	case !there:
		return who, ms.changeLocked("join", who, "")
	case old.Name == who.Name:
		return who, ms.changeLocked("stay", who, "")
	default:
		return who, ms.changeLocked("name", who, old.Name)
	}
}

// takeLocked removes the member with that key from its session.
func (ms *members) takeLocked(key string) (who member, there bool) {
	if key == "" {
		return member{}, false
	}
	for session, m := range ms.bySession {
		if subtle.ConstantTimeCompare([]byte(m.key), []byte(key)) == 1 {
			delete(ms.bySession, session)
			return m, true
		}
	}
	return member{}, false
}

// leave removes a session; was tells whether it had joined.
func (ms *members) leave(session string) (c change, was bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	who, was := ms.bySession[session]
	if !was {
		return change{}, false
	}
	delete(ms.bySession, session)
	ms.sequence++
	return ms.changeLocked("leave", who, ""), true
}

// of returns the member behind a session, the guest for all others.
func (ms *members) of(s bayeux.Session) member {
	if s == nil {
		return guest()
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if who, ok := ms.bySession[s.ID()]; ok {
		return who
	}
	return guest()
}

// freeLocked returns the name, with a number where it is taken.
func (ms *members) freeLocked(name string) string {
	taken := make(map[string]bool, len(ms.bySession))
	for _, m := range ms.bySession {
		taken[strings.ToLower(m.Name)] = true
	}
	free := name
	for n := 2; taken[strings.ToLower(free)]; n++ {
		free = fmt.Sprintf("%s %d", name, n)
	}
	return free
}

func (ms *members) changeLocked(kind string, who member, was string) change {
	all := make([]member, 0, len(ms.bySession))
	for _, m := range ms.bySession {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.joined, b.joined) })
	c := change{Sequence: ms.sequence, Kind: kind, Who: who, Was: was, Count: len(all)}
	c.Members = all[:min(len(all), maxShown)]
	return c
}

// cleanName makes a name of what a client sent: one line, no controls, not
// even those that turn the direction of writing.
func cleanName(text string) string {
	text = cleanText(strings.Join(strings.Fields(text), " "), maxName)
	if text == "" {
		return guest().Name
	}
	return text
}

// cleanText drops what is not to be shown and all beyond limit runes.
func cleanText(text string, limit int) string {
	runes := make([]rune, 0, min(len(text), limit))
	for _, r := range text {
		if len(runes) == limit {
			break
		}
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
			continue
		}
		runes = append(runes, r)
	}
	return strings.TrimSpace(string(runes))
}
