package bayeux

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Covers [R-MSG-6].
func TestValidID(t *testing.T) {
	for _, id := range []string{"1", "abc", "ABCxyz019", strings.Repeat("z", 5000)} {
		require.True(t, ValidID(id), id)
	}
	for _, id := range []string{"", "a-b", "x y", "-1", "1.5", "{}", "é", "a\n", "@", "[", "`", "/", ":", "\x00", "٣"} {
		require.False(t, ValidID(id), id)
	}
}

func TestMessageValidate(t *testing.T) {
	fault := &Error{Code: 400, Text: "ext"}
	long := "/" + strings.Repeat("a", 1023)
	deep := strings.Repeat("/a", 32)
	for _, tc := range []struct {
		name string
		m    Message
		lim  Limits
		want *Error
	}{
		{name: "fine", m: Message{Channel: "/a", ID: "1", HasID: true}},
		{name: "without id", m: Message{Channel: "/a"}},
		{name: "meta", m: Message{Channel: "/meta/handshake"}},
		{name: "wildcard", m: Message{Channel: "/a/**"}},
		{name: "all characters R-MSG-8", m: Message{Channel: "/aZ9 !#$()*+-./@_{~}x"}},
		{name: "trailing slash R-MSG-12", m: Message{Channel: "/a/"}},
		{name: "trailing blank R-MSG-12", m: Message{Channel: "/a "}},
		{name: "leading blank R-MSG-8", m: Message{Channel: " /a"}, want: ErrChannelInvalid},
		{name: "missing R-MSG-7", m: Message{}, want: ErrChannelMissing},
		{name: "empty R-MSG-8", m: Message{HasChannel: true}, want: ErrChannelInvalid},
		{name: "slash R-MSG-8", m: Message{Channel: "/"}, want: ErrChannelInvalid},
		{name: "slash and blank", m: Message{Channel: "/ "}, want: ErrChannelInvalid},
		{name: "no slash R-MSG-8", m: Message{Channel: "ab"}, want: ErrChannelInvalid},
		{name: "question mark R-MSG-8", m: Message{Channel: "/a?"}, want: ErrChannelInvalid},
		{name: "non-ASCII R-MSG-8", m: Message{Channel: "/é"}, want: ErrChannelInvalid},
		{name: "empty segment R-MSG-10", m: Message{Channel: "/a//b"}, want: ErrChannelInvalid},
		{name: "two slashes R-MSG-10", m: Message{Channel: "//a"}, want: ErrChannelInvalid},
		{name: "wildcard inside R-MSG-10", m: Message{Channel: "/a/**/b"}, want: ErrChannelInvalid},
		{name: "template and wildcard R-MSG-10", m: Message{Channel: "/{v}/*"}, want: ErrChannelInvalid},
		{name: "id R-MSG-6", m: Message{Channel: "/a", ID: "a-b"}, want: ErrMessageIDInvalid},
		{name: "empty id R-MSG-6", m: Message{Channel: "/a", HasID: true}, want: ErrMessageIDInvalid},
		{name: "channel before id R-MSG-9", m: Message{Channel: "/?", ID: "a-b"}, want: ErrChannelInvalid},
		{name: "fault first R-MSG-9", m: Message{Fault: fault}, want: fault},
		{name: "longest", m: Message{Channel: long}},
		{name: "too long", m: Message{Channel: long + "a"}, want: ErrChannelInvalid},
		{name: "any length", m: Message{Channel: long + "a"}, lim: Limits{ChannelBytes: -1}},
		{name: "deepest", m: Message{Channel: deep}},
		{name: "deepest with a trailing slash", m: Message{Channel: deep + "/"}},
		{name: "too deep", m: Message{Channel: deep + "/a"}, want: ErrChannelInvalid},
		{name: "far too deep", m: Message{Channel: deep + "/a/a"}, want: ErrChannelInvalid},
		{name: "any depth", m: Message{Channel: deep + deep}, lim: Limits{ChannelSegments: -1}},
		{name: "own limits", m: Message{Channel: "/a/b"}, lim: Limits{ChannelSegments: 1}, want: ErrChannelInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, tc.m.Validate(tc.lim))
		})
	}
}

func TestLimitsWithDefaults(t *testing.T) {
	require.Equal(t, Limits{Batch: 1000, Depth: 64, ChannelBytes: 1024, ChannelSegments: 32}, Limits{}.WithDefaults())
	set := Limits{Batch: -1, Depth: 2, ChannelBytes: 3, ChannelSegments: -4}
	require.Equal(t, set, set.WithDefaults())
}

func TestParseSubscription(t *testing.T) {
	for _, tc := range []struct {
		name, raw string
		names     []string
		array     bool
		err       *Error
	}{
		{"one", `"/a"`, []string{"/a"}, false, nil},
		{"blanks", " \"/a\"\n", []string{"/a"}, false, nil},
		{"escapes", `"\/\u0061"`, []string{"/a"}, false, nil},
		{"array", `[ "/a" , "/b/**" ]`, []string{"/a", "/b/**"}, true, nil},
		{"spelling is kept R-MSG-12", `["/a/","/b ",""]`, []string{"/a/", "/b ", ""}, true, nil},
		{"missing R-SB-2", ``, nil, false, ErrSubscriptionMissing},
		{"null R-SB-2", `null`, nil, false, ErrSubscriptionMissing},
		{"number R-SB-2", `5`, nil, false, ErrSubscriptionInvalid},
		{"object R-SB-2", `{"0":"/a"}`, nil, false, ErrSubscriptionInvalid},
		{"true R-SB-2", `true`, nil, false, ErrSubscriptionInvalid},
		{"number inside R-SB-2", `["/a",1]`, nil, true, ErrSubscriptionInvalid},
		{"null inside R-SB-2", `[null]`, nil, true, ErrSubscriptionInvalid},
		{"nested R-SB-2", `[["/a"]]`, nil, true, ErrSubscriptionInvalid},
		{"empty R-SB-4", `[]`, nil, true, ErrSubscriptionInvalid},
		{"unfinished", `["/a"`, nil, true, ErrSubscriptionInvalid},
		{"unfinished string", `"/a`, nil, false, ErrSubscriptionInvalid},
		{"unfinished string inside", `["/a`, nil, true, ErrSubscriptionInvalid},
		{"trailing", `"/a" "/b"`, nil, false, ErrSubscriptionInvalid},
		{"trailing array", `["/a"]["/b"]`, nil, true, ErrSubscriptionInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			names, array, err := ParseSubscription(Raw(tc.raw))
			require.Equal(t, tc.names, names)
			require.Equal(t, tc.array, array)
			require.Equal(t, tc.err, err)
		})
	}
}
