package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestAddressKey(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32",
		"::1": "::/64", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9%eth0": "2001:db8:1:2::/64",
	} {
		require.Equal(t, want, addressKey(netip.MustParseAddr(text)).String())
	}
	require.False(t, addressKey(netip.Addr{}).IsValid())
}

func TestAddressBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	a := newAddresses(Limits{HandshakesPerAddress: 3, SessionsPerAddress: -1}, func() time.Time { return now })
	one, other := addressKey(netip.MustParseAddr("192.0.2.1")), addressKey(netip.MustParseAddr("192.0.2.2"))
	allowed := func(key network) bool {
		limit, most, wait := a.handshake(key)
		if limit != "" {
			require.Equal(t, limitHandshakesPerAddress, limit)
			require.Equal(t, 3, most)
			require.Equal(t, time.Second, wait)
		}
		return limit == ""
	}
	for range 3 {
		require.True(t, allowed(one))
	}
	require.False(t, allowed(one))
	require.True(t, allowed(other), "others have a bucket of their own")
	now = now.Add(400 * time.Millisecond) // 1.2 tokens
	require.True(t, allowed(one))
	require.False(t, allowed(one))
	now = now.Add(-time.Hour) // a clock that goes back gives nothing
	require.False(t, allowed(one))
	now = now.Add(2 * time.Hour)
	for range 3 {
		require.True(t, allowed(one), "never more than one second's worth")
	}
	require.False(t, allowed(one))
	require.True(t, allowed(network(0)), "peers without an address count with nobody")
}

func TestAddressCounts(t *testing.T) {
	a := newAddresses(Limits{HandshakesPerAddress: -1, SessionsPerAddress: 2, WebSocketsPerAddress: 1}, time.Now)
	key := addressKey(netip.MustParseAddr("2001:db8::1"))
	for range 2 {
		limit, _, _ := a.handshake(key)
		require.Empty(t, limit)
	}
	limit, most, _ := a.handshake(addressKey(netip.MustParseAddr("2001:db8::ffff")))
	require.Equal(t, limitSessionsPerAddress, limit)
	require.Equal(t, 2, most)
	a.leave(key)
	limit, _, _ = a.handshake(key)
	require.Empty(t, limit)

	require.True(t, a.open(key))
	require.False(t, a.open(key))
	a.closed(key)
	a.closed(key)
	require.True(t, a.open(key))
	require.False(t, a.open(key), "what was closed twice is not two places")
}

// The table is bounded: who has nothing is forgotten in the order in which he
// was seen, who has something is not.
func TestAddressesAreBounded(t *testing.T) {
	a := newAddresses(Limits{HandshakesPerAddress: 1, SessionsPerAddress: 5}, func() time.Time { return time.Unix(0, 0) })
	a.idle = 100
	key := func(i int) network {
		return addressKey(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	for i := range 10 { // with a session each
		limit, _, _ := a.handshake(key(i))
		require.Empty(t, limit)
	}
	for i := 10; i < 5000; i++ {
		_, _, _ = a.handshake(key(i))
		a.leave(key(i))
		_, _, _ = a.handshake(key(10)) // is seen again and again
	}
	require.Equal(t, 110, a.size())
	for i := range 11 {
		limit, _, _ := a.handshake(key(i))
		require.Equal(t, limitHandshakesPerAddress, limit, "%d is remembered", i)
	}
	for i := range 10 {
		a.leave(key(i))
	}
	require.Equal(t, 100, a.size())
	off := newAddresses(Limits{HandshakesPerAddress: -1, SessionsPerAddress: -1, WebSocketsPerAddress: -1}, time.Now)
	_, _, _ = off.handshake(key(1))
	require.True(t, off.open(key(1)))
	require.Zero(t, off.size(), "nothing is kept where nothing is limited")
}

func TestQuiet(t *testing.T) {
	now := time.Unix(1000, 0)
	q := newQuiet(zerolog.Nop(), 2, func() time.Time { return now })
	for i, want := range []bool{true, true, false, false, false} {
		ok, _ := q.allow("end")
		require.Equal(t, want, ok, i)
	}
	ok, missed := q.allow("other")
	require.True(t, ok, "each kind has its own")
	require.Zero(t, missed)
	now = now.Add(time.Second)
	ok, missed = q.allow("end")
	require.True(t, ok)
	require.Equal(t, 3, missed)
	_, missed = q.allow("end")
	require.Zero(t, missed)
	all := newQuiet(zerolog.Nop(), -1, time.Now)
	for range 1000 {
		ok, _ := all.allow("end")
		require.True(t, ok)
	}
}
