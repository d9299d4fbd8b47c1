package suite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// one makes a section of cases that differ in what they do.
func one(cases ...Case) []Section {
	for i := range cases {
		cases[i].Title, cases[i].Rules = "a title", []string{"R-1"}
	}
	return []Section{{Code: "TT", Name: "test", Title: "Test", Cases: cases}}
}

func find(t *testing.T, r *Report, id string) *Result {
	t.Helper()
	for _, res := range r.Results {
		if res.ID == id {
			return res
		}
	}
	require.Fail(t, "no result", id)
	return nil
}

func TestVerdicts(t *testing.T) {
	url := newFake(t, &fake{hold: time.Second, life: time.Minute})
	cases := []Case{
		{ID: "BX-TT-01", Level: MUST, Run: func(t *T) { t.Connected() }},
		{ID: "BX-TT-02", Level: MUST, Run: func(t *T) { t.Failf("a"); t.Failf("b") }},
		{ID: "BX-TT-03", Level: SHOULD, Run: func(t *T) { t.Fatalf("a") }},
		{ID: "BX-TT-04", Level: COMETD, Run: func(t *T) { t.Failf("a") }},
		{ID: "BX-TT-05", Level: MUST, Run: func(t *T) { t.NonStrictf("a") }},
		{ID: "BX-TT-06", Level: MUST, Run: func(t *T) { t.Skipf("a") }},
		{ID: "BX-TT-07", Level: MUST, Run: func(t *T) { panic("a") }},
		{ID: "BX-TT-08", Level: MUST, Run: func(t *T) { t.Failf("a"); t.Brokenf("b") }},
		{ID: "BX-TT-09", Level: MUST, On: WS, Run: func(t *T) {}},
		{ID: "BX-TT-10", Level: MUST, Needs: []Need{NeedEcho}, Run: func(t *T) {}},
		{ID: "BX-TT-11", Level: INFO, Run: func(t *T) { t.Infof("a") }},
		{ID: "BX-TT-12", Level: MUST, Except: CometD, Run: func(t *T) { t.Failf("a") }},
		{ID: "BX-TT-13", Level: SHOULD, Also: CometD, Run: func(t *T) { t.Failf("a") }},
	}
	for _, tt := range []struct {
		profile string
		strict  bool
		want    string
	}{
		{"spec", false, "pass fail non-strict info non-strict skipped error error skipped skipped info fail non-strict"},
		{"spec", true, "pass fail fail info fail skipped error error skipped skipped info fail fail"},
		{"cometd", false, "pass fail non-strict fail non-strict skipped error error skipped skipped info info fail"},
	} {
		rep, err := Run(t.Context(), one(cases...), Options{URL: url, Profile: tt.profile, Strict: tt.strict})
		require.NoError(t, err)
		var got []string
		for _, res := range rep.Results {
			got = append(got, string(res.Verdict))
		}
		require.Equal(t, tt.want, strings.Join(got, " "), "%s, strict %v", tt.profile, tt.strict)
		var told []string
		for _, n := range rep.Results[1].Notes {
			if n.Kind == NoteFail { // a busy machine is told of besides
				told = append(told, n.Text)
			}
		}
		require.Equal(t, []string{"a", "b"}, told, "a failure does not end the case")
		require.False(t, rep.Passed())
		require.Equal(t, len(cases), rep.Summary.Cases)
	}
}

func TestFaultsOfReplies(t *testing.T) {
	c := Case{ID: "BX-TT-01", Level: MUST, Run: func(t *T) { t.Session().Subscribe(t.Channel("a"), M{"id": "s1"}).Want("id", "s1") }}
	for name, tt := range map[string]struct {
		f    *fake
		want string
	}{
		"good":             {&fake{}, ""},
		"each reply twice": {&fake{twice: true}, "nobody asked for"},
		"no id":            {&fake{noID: true}, "id is missing"},
	} {
		tt.f.hold, tt.f.life = time.Second, time.Minute
		rep, err := Run(t.Context(), one(c), Options{URL: newFake(t, tt.f)})
		require.NoError(t, err, name)
		res := rep.Results[0]
		if tt.want == "" {
			require.Equal(t, Pass, res.Verdict, name)
			continue
		}
		require.Equal(t, Fail, res.Verdict, name)
		require.Contains(t, res.Notes[0].Text, tt.want, name)
	}
}

// TestLikely tells what load has made longer from what the server does.
func TestLikely(t *testing.T) {
	f := &Facts{timeout: 4 * time.Second}
	for measured, want := range map[time.Duration]time.Duration{
		4 * time.Second: 4 * time.Second, 4600 * time.Millisecond: 4 * time.Second, 2 * time.Second: 2 * time.Second, 8 * time.Second: 8 * time.Second,
	} {
		require.Equal(t, want, f.likely(measured))
	}
	require.Equal(t, time.Second, (&Facts{}).likely(time.Second))
}

// TestLearns sees that hold and life come from the server, and that deliveries
// arrive.
func TestLearns(t *testing.T) {
	const hold, life = 600 * time.Millisecond, 4 * time.Second
	url := newFake(t, &fake{hold: hold, life: life})
	rep, err := Run(t.Context(), one(
		Case{ID: "BX-TT-01", Level: MUST, Needs: []Need{NeedHold, NeedDelivery}, Run: func(t *T) {
			c, ch := t.Connected(), t.Channel("a")
			c.Subscribe(ch).Successful()
			c.Hold().Wait().HeldFor(t.Hold())
			held := c.Hold()
			t.Helper().Publish(ch, "x").Successful()
			c.Receive(ch).Want("data", "x")
			held.Wait().Reply(0).Successful()
			c.Nothing(ch)
		}},
		Case{ID: "BX-TT-02", Level: MUST, Run: func(t *T) {
			alive, gone := t.Expiry()
			t.Check(alive < life && gone > life, "%v to %v", alive, gone)
		}},
		Case{ID: "BX-TT-03", Level: MUST, Needs: []Need{NeedAck}, Run: func(t *T) {}},
	), Options{URL: url})
	require.NoError(t, err)
	require.Equal(t, []string{"long-polling"}, rep.Facts.Transports)
	require.GreaterOrEqual(t, rep.Facts.HoldMs, ms(hold))
	require.True(t, rep.Facts.Delivery)
	require.False(t, rep.Facts.CookieNeeded)
	require.Equal(t, Pass, find(t, rep, "BX-TT-01").Verdict, "%v", find(t, rep, "BX-TT-01").Notes)
	require.Equal(t, Pass, find(t, rep, "BX-TT-02").Verdict, "%v", find(t, rep, "BX-TT-02").Notes)
	require.Equal(t, Skipped, find(t, rep, "BX-TT-03").Verdict)
	events := find(t, rep, "BX-TT-01").Transcript.Events
	require.Contains(t, events[1].Text, "POST /bayeux HTTP/1.1\r\n")
	require.Contains(t, events[2].Text, "HTTP/1.1 200 OK")
}

func TestKnownFailures(t *testing.T) {
	url := newFake(t, &fake{hold: time.Second, life: time.Minute})
	known, err := ParseKnown(strings.NewReader("# comment\n\nBX-TT-01 long-polling  row 1\nBX-TT-02 row 2\nBX-TT-04 row 4\nBX-TT-99 row 9\n"))
	require.NoError(t, err)
	fails := func(t *T) { t.Failf("a") }
	rep, err := Run(t.Context(), one(
		Case{ID: "BX-TT-01", Level: MUST, Run: fails},
		Case{ID: "BX-TT-02", Level: MUST, Run: func(t *T) {}},
		Case{ID: "BX-TT-03", Level: MUST, Run: fails},
		Case{ID: "BX-TT-04", Level: MUST, Run: func(t *T) { t.Skipf("no") }},
	), Options{URL: url, Known: known})
	require.NoError(t, err)
	require.Equal(t, "row 1", find(t, rep, "BX-TT-01").Known)
	require.Empty(t, find(t, rep, "BX-TT-03").Known)
	require.Equal(t, []string{
		"line 4: BX-TT-02 passes on long-polling, but is listed as a known failure", "line 6: BX-TT-99 matches nothing",
	}, rep.KnownErrors)
	require.Equal(t, 1, rep.Summary.Unknown)

	rep, err = Run(t.Context(), one(Case{ID: "BX-TT-01", Level: MUST, Run: fails}), Options{URL: url, Known: known[:1]})
	require.NoError(t, err)
	require.True(t, rep.Passed())
	for _, bad := range []string{"BX-TT-01", "BX-TT-01 websocket", "TT-01 reason"} {
		_, err := ParseKnown(strings.NewReader(bad))
		require.ErrorContains(t, err, "line 1", bad)
	}
}

func TestErrors(t *testing.T) {
	_, err := Run(t.Context(), nil, Options{URL: "http://127.0.0.1:1/x"})
	_, ok := errors.AsType[*UnreachableError](err)
	require.True(t, ok, "%v", err)
	for _, o := range []Options{
		{URL: "ws://x/"},
		{URL: "http://x/", Profile: "p"},
		{URL: "http://x/", Only: []string{"BX-TT-1*"}},
		{URL: "http://x/", Sections: []string{"s"}},
		{URL: "http://x/", Transports: []string{"smoke"}},
		{URL: "http://x/", HandshakeExt: []byte("[]")},
		{URL: "http://x/", ChannelPrefix: "x"},
	} {
		_, err := Run(t.Context(), one(Case{ID: "BX-TT-01", Level: MUST, Run: func(t *T) {}}), o)
		_, ok := errors.AsType[*UsageError](err)
		require.True(t, ok, "%v: %v", o, err)
	}
}

func TestCheck(t *testing.T) {
	run := func(t *T) {}
	for _, bad := range [][]Section{
		one(Case{ID: "BX-XX-01", Level: MUST, Run: run}),
		one(Case{ID: "BX-TT-01", Level: MUST, Run: run}, Case{ID: "BX-TT-01", Level: MUST, Run: run}),
		one(Case{ID: "BX-TT-01", Run: run}),
		one(Case{ID: "BX-TT-01", Level: MUST}),
		one(Case{ID: "BX-TT-01", Level: MUST, Run: run, Instead: "BX-TT-02"}),
	} {
		require.Error(t, Check(bad))
	}
}
