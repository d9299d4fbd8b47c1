package attacks

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"
)

// sessionGroup is what is tried to get hold of somebody else's session.
func sessionGroup() group {
	return group{name: "session", attacks: []attack{
		{
			"fixation-by-client-id", "session fixation", "the attacker names the clientId that the victim's handshake is to have",
			fails("another id"), fails("another id"), func(t *testing.T, g *target) end {
				t.Helper()
				const planted = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
				a := g.post(t, strings.Replace(handshake, `}]`, `,"clientId":"`+planted+`"}]`, 1))
				require.True(t, a.gave())
				if a.field("clientId") == planted {
					return succeeds("the id is taken over")
				}
				return fails("another id")
			},
		},
		{
			"fixation-by-cookie", "session fixation", "the attacker plants the browser cookie, lets the victim handshake, and guesses at the session with that cookie",
			fails("402::session_unknown"), fails("402::session_unknown"), func(t *testing.T, g *target) end {
				t.Helper()
				const planted = "BAYEUX_BROWSER=planted"
				require.True(t, g.post(t, handshake, "Cookie", planted).gave())
				thief := &victim{g: g, id: "planted", cookie: planted}
				return connected(thief.connect(t))
			},
		},
		{
			"stolen-id", "CometD #608, #587", "the attacker knows a clientId, not the browser cookie, and polls with it",
			fails("402::session_unknown"), fails("402::session_unknown"), func(t *testing.T, g *target) end {
				t.Helper()
				thief := *g.victim(t, "")
				thief.cookie = "BAYEUX_BROWSER=other"
				return connected(thief.connect(t))
			},
		},
		{
			"stolen-id-other-transport", "CometD #608", "the same with the cookie's name alone and by callback-polling",
			fails("no session"), fails("no session"), func(t *testing.T, g *target) end {
				t.Helper()
				v := g.victim(t, "")
				a := g.request(t, "GET", "/cometd?jsonp=cb&message="+`[{"channel":"/meta/connect","clientId":"`+v.id+`"}]`, "", "Cookie", v.cookie)
				if strings.Contains(a.body, `"successful":true`) {
					return succeeds(a.body)
				}
				return fails("no session")
			},
		},
		{
			"stolen-id-websocket", "rule R-ID-5 of the protocol as CometD has it", "the attacker knows the clientId of a session over HTTP and goes on with it on a WebSocket of his own",
			succeeds("the session"), succeeds("the session; `ws.requireBrowserCookie` refuses it"), func(t *testing.T, g *target) end {
				t.Helper()
				e := stealPolled(t, g)
				if g.posture == "strict" {
					e.sees += "; `ws.requireBrowserCookie` refuses it"
				}
				return e
			},
		},
		{
			"somebody-elses-id", "spoofing in a batch", "a session puts another's clientId into a message behind one of its own",
			fails("402::session_unknown"), fails("402::session_unknown"), func(t *testing.T, g *target) end {
				t.Helper()
				v, thief := g.victim(t, ""), g.victim(t, "")
				a := thief.send(t, `[{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/a"},{"channel":"/meta/disconnect","clientId":"`+v.id+`"}]`)
				require.Len(t, a.messages(), 2)
				require.Empty(t, v.connect(t).reason("/meta/connect"), "the victim goes on")
				return fails(a.reason("/meta/disconnect"))
			},
		},
		{
			"cookie-tossing", "cookies of a parent domain", "a neighbour's page sets a second browser cookie, which goes first, to get the victim into his session",
			fails("402::session_unknown; the victim handshakes anew"), fails("402::session_unknown; the victim handshakes anew"), func(t *testing.T, g *target) end {
				t.Helper()
				thief, v := g.victim(t, ""), g.victim(t, "")
				tossed := *v
				tossed.cookie = thief.cookie + "; " + v.cookie
				e := connected(tossed.connect(t))
				require.Empty(t, v.connect(t).reason("/meta/connect"), "without the second cookie it goes on")
				e.sees += "; the victim handshakes anew"
				return e
			},
		},
		{
			"id-guessing", "predictable ids; node names in CometD's ids", "ids are compared for what they have in common (a million of them in the server's own tests)",
			fails("nothing in common"), fails("nothing in common"), func(t *testing.T, g *target) end {
				t.Helper()
				return alike(t, g)
			},
		},
		{
			"comparison-timing", "timing of string comparisons", "cookies are guessed a character at a time by how soon they are refused",
			fails("compared in constant time"), fails("compared in constant time"), func(t *testing.T, g *target) end {
				t.Helper()
				return constantTime(t, g)
			},
		},
	}}
}

// boundGroup is the same where the operator has bound sessions to browsers.
func boundGroup() group {
	both := func(name, how string, e end, run func(*testing.T, *target) end) attack {
		return attack{name, "rule R-ID-5", how, e, e, run}
	}
	return group{name: "requireBrowserCookie", args: []string{"--set", "ws.requireBrowserCookie=true"}, attacks: []attack{
		both("stolen-id-bound", "a stolen clientId on a WebSocket, of a session over HTTP", fails("402::session_unknown"), stealPolled),
		both("stolen-id-bound-socket", "the same, of a session that began on a WebSocket with the cookie", fails("402::session_unknown"), func(t *testing.T, g *target) end {
			t.Helper()
			return stealSocket(t, g, "BAYEUX_BROWSER=mine")
		}),
		both("stolen-id-free-socket", "the same, of a session that began on a WebSocket without a cookie: its id is the key, unless `ws.requireHandshakePerConnection` is on", succeeds("the session"), func(t *testing.T, g *target) end {
			t.Helper()
			return stealSocket(t, g, "")
		}),
	}}
}

func stealPolled(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	require.Empty(t, v.connect(t).reason("/meta/connect"))
	conn, err := g.dial(t)
	require.NoError(t, err)
	return connected(talk(t, conn, connectNow(v.id)))
}

func connectNow(id string) string {
	return `[{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"websocket","advice":{"timeout":0}}]`
}

// talk sends a WebSocket message and returns the next that comes.
func talk(t *testing.T, conn net.Conn, text string) answer {
	t.Helper()
	require.NoError(t, wsutil.WriteClientText(conn, []byte(text)))
	reply, err := wsutil.ReadServerText(conn)
	require.NoError(t, err)
	return answer{body: string(reply)}
}

// stealSocket goes on with a session that began on somebody else's WebSocket,
// which brought that cookie.
func stealSocket(t *testing.T, g *target, cookie string) end {
	t.Helper()
	var headers []string
	if cookie != "" {
		headers = []string{"Cookie", cookie}
	}
	conn, err := g.dial(t, headers...)
	require.NoError(t, err)
	a := talk(t, conn, handshake)
	require.True(t, a.gave(), a.body)
	id, _ := a.field("clientId").(string)
	require.Empty(t, talk(t, conn, connectNow(id)).reason("/meta/connect"))
	again, err := g.dial(t, headers...)
	require.NoError(t, err)
	require.Empty(t, talk(t, again, connectNow(id)).reason("/meta/connect"), "its own client may")
	thief, err := g.dial(t, "Cookie", "BAYEUX_BROWSER=other")
	require.NoError(t, err)
	return connected(talk(t, thief, connectNow(id)))
}

// connected is how a connect with somebody else's session ended.
func connected(a answer) end {
	if reason := a.reason("/meta/connect"); reason != "" {
		return fails(reason)
	}
	return succeeds("the session")
}

// alike looks for positions in which ids have the same character more often
// than chance has it.
func alike(t *testing.T, g *target) end {
	t.Helper()
	const n = 24
	ids := map[string]bool{}
	columns := map[int]map[byte]int{}
	for range n {
		id := g.victim(t, "").id
		require.GreaterOrEqual(t, len(id), 26, "134 bits of 36 characters")
		ids[id] = true
		for i := range len(id) {
			if columns[i] == nil {
				columns[i] = map[byte]int{}
			}
			columns[i][id[i]]++
		}
	}
	require.Len(t, ids, n)
	for i, seen := range columns {
		for c, times := range seen {
			if times > n/2 { // by chance once in 10^11
				return succeeds(strings.Repeat(".", i) + string(rune(c)))
			}
		}
	}
	return fails("nothing in common")
}

// constantTime does not measure, which would prove little on a busy machine:
// it looks that guesses are refused alike and that the code compares so.
func constantTime(t *testing.T, g *target) end {
	t.Helper()
	v := g.victim(t, "")
	near, far := *v, *v
	near.cookie = v.cookie[:len(v.cookie)-1] + "!"
	far.cookie = "BAYEUX_BROWSER=0"
	a, b := near.connect(t), far.connect(t)
	require.Equal(t, b.body, a.body)
	require.Equal(t, b.status, a.status)
	source, err := os.ReadFile("../../bayeux/server/session.go")
	require.NoError(t, err)
	if !strings.Contains(string(source), "subtle.ConstantTimeCompare([]byte(h.browser), []byte(other.browser)) == 1") {
		return succeeds("compared otherwise")
	}
	return fails("compared in constant time")
}
