package ack_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/ack"
)

// fake is a session that notes what the extension asks of it.
type fake struct {
	bayeux.Session
	retaining bool
	missing   bool // what Acknowledge answers
	batch     int64
	acked     []int64
	closed    []*bayeux.Message
}

func (f *fake) Retain()             { f.retaining = true }
func (f *fake) Retaining() bool     { return f.retaining }
func (f *fake) SetConnectOnly(bool) {}

func (f *fake) CloseBatch(reply *bayeux.Message) int64 {
	f.closed = append(f.closed, reply)
	return f.batch
}

func (f *fake) Acknowledge(n int64) bool {
	f.acked = append(f.acked, n)
	return f.missing
}

var _ bayeux.Delivery = (*fake)(nil)

// plain is a session without retained delivery.
type plain struct{ bayeux.Session }

// Only the boolean true in a handshake turns the extension on [R-ACK-1].
func TestAskedFor(t *testing.T) {
	for ext, want := range map[string]bool{
		``: false, `{}`: false, `{"ack":true}`: true, `{"other":1,"ack": true }`: true,
		`{"ack":"true"}`: false, `{"ack":1}`: false, `{"ack":{}}`: false, `{"ack":false}`: false, `{"ack":null}`: false,
		`{"nested":{"ack":true}}`: false,
	} {
		f, m := &fake{}, &bayeux.Message{Channel: "/meta/handshake", Ext: bayeux.Raw(ext)}
		if ext == "" {
			m.Ext = nil
		}
		require.NoError(t, ack.New().Incoming(context.Background(), f, m))
		require.Equal(t, want, f.retaining, ext)
	}
	f := &fake{}
	require.NoError(t, ack.New().Incoming(context.Background(), f, &bayeux.Message{Channel: "/meta/connect", Ext: bayeux.Raw(`{"ack":true}`)}))
	require.False(t, f.retaining, "a connect does not turn it on")
}

// The number of a connect goes to the core [R-ACK-5]; what is no number does
// not, and neither does nothing [R-ACK-8, R-ACK-9]. Missing messages become a
// wish for an immediate answer [R-ACK-7].
func TestAcknowledge(t *testing.T) {
	for name, c := range map[string]struct {
		ext     string
		missing bool
		want    []int64
		advice  string
	}{
		"number":   {`{"ack":7}`, false, []int64{7}, ""},
		"zero":     {`{"ack":0}`, false, []int64{0}, ""},
		"negative": {`{"ack":-1}`, false, []int64{-1}, ""}, // [R-ACK-4]
		"missing":  {`{"ack":7}`, true, []int64{7}, `{"timeout":0}`},
		"string":   {`{"ack":"7"}`, true, nil, ""},
		"fraction": {`{"ack":7.5}`, true, nil, ""},
		"huge":     {`{"ack":99999999999999999999}`, true, nil, ""},
		"object":   {`{"ack":{"batch":7}}`, true, nil, ""},
		"none":     {`{"other":7}`, true, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{retaining: true, missing: c.missing}
			m := &bayeux.Message{Channel: "/meta/connect", Ext: bayeux.Raw(c.ext)}
			require.NoError(t, ack.New().Incoming(context.Background(), f, m))
			require.Equal(t, c.want, f.acked)
			if c.advice == "" {
				require.Nil(t, m.Advice)
				return
			}
			advice, err := bayeux.ParseAdvice(m.Advice)
			require.NoError(t, err)
			require.Equal(t, time.Duration(0), advice.Timeout)
		})
	}
}

// Sessions that did not ask, and what is no session, are left alone.
func TestNotAsked(t *testing.T) {
	x := ack.New()
	f := &fake{batch: 3}
	require.NoError(t, x.Incoming(context.Background(), f, &bayeux.Message{Channel: "/meta/connect", Ext: bayeux.Raw(`{"ack":7}`)}))
	require.Empty(t, f.acked)
	for _, to := range []bayeux.Session{nil, plain{}, f} {
		m := (&bayeux.Message{Channel: "/meta/connect"}).Succeed(true)
		require.NoError(t, x.Incoming(context.Background(), to, &bayeux.Message{Channel: "/meta/handshake", Ext: bayeux.Raw(`{"ack":false}`)}))
		require.NoError(t, x.Outgoing(context.Background(), to, m))
		require.Nil(t, m.Ext)
	}
	require.Empty(t, f.closed)
}

// Replies carry the number [R-ACK-3], those of handshakes the form that fits
// [R-ACK-1]; others and failed ones nothing [R-ACK-10].
func TestReplies(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		ok      bool
		batch   int64
		want    string
	}{
		"connect":                 {"/meta/connect", true, 4, `{"ack":4}`},
		"failed connect":          {"/meta/connect", false, 4, ""},
		"handshake":               {"/meta/handshake", true, 0, `{"ack":true}`},
		"handshake with messages": {"/meta/handshake", true, 1, `{"ack":{"enabled":true,"batch":1}}`},
		"refused handshake":       {"/meta/handshake", false, 0, ""},
		"subscribe":               {"/meta/subscribe", true, 4, ""},
		"publish":                 {"/a", true, 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{retaining: true, batch: c.batch}
			m := (&bayeux.Message{Channel: c.channel}).Succeed(c.ok)
			require.NoError(t, ack.New().Outgoing(context.Background(), f, m))
			if c.want == "" {
				require.Nil(t, m.Ext)
				require.Empty(t, f.closed)
				return
			}
			require.JSONEq(t, c.want, string(m.Ext))
			require.Equal(t, []*bayeux.Message{m}, f.closed)
		})
	}
}

// What others have put into ext stays.
func TestExtIsShared(t *testing.T) {
	f := &fake{retaining: true, batch: 4}
	m := (&bayeux.Message{Channel: "/meta/connect", Ext: bayeux.Raw(`{"timesync":{"tc":1}}`)}).Succeed(true)
	require.NoError(t, ack.New().Outgoing(context.Background(), f, m))
	require.JSONEq(t, `{"timesync":{"tc":1},"ack":4}`, string(m.Ext))
}
