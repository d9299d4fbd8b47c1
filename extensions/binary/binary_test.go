package binary_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/binary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A message that is marked gives its bytes, and stays as it is.
func TestFrom(t *testing.T) {
	for data, want := range map[string]binary.Data{
		`{"data":"0rJ","last":true}`:                          {Bytes: []byte{1, 2}, Last: true},
		`{"data":"","last":false}`:                            {Bytes: []byte{}},
		`{"data":"0r"}`:                                       {Bytes: []byte{1}},
		` { "data" : "\u0030r" , "meta" : {"a": 1.50 } } `:    {Bytes: []byte{1}, Meta: bayeux.Raw(`{"a": 1.50 }`)},
		`{"meta":null,"other":[1],"data":"0r","last":true}`:   {Bytes: []byte{1}, Last: true},
		`{"data":"0r","last":true,"meta":{"data":"0r"}}`:      {Bytes: []byte{1}, Last: true, Meta: bayeux.Raw(`{"data":"0r"}`)},
		`{"data":"0r","last":true,"meta":{"x":"<&>","y":{}}}`: {Bytes: []byte{1}, Last: true, Meta: bayeux.Raw(`{"x":"<&>","y":{}}`)},
	} {
		m := &bayeux.Message{Channel: "/a", Ext: bayeux.Raw(`{"binary":{}}`), Data: bayeux.Raw(data)}
		require.True(t, binary.Is(m))
		got, err := binary.From(m)
		require.NoError(t, err, data)
		require.Equal(t, want, got, data)
		require.Equal(t, data, string(m.Data))
	}
}

// One that is not marked has none; in one that is marked all must be right.
func TestFromErrors(t *testing.T) {
	for _, ext := range []string{``, `{}`, `{"binary":null}`, `{"binary":false}`, `{"x":{"binary":{}}}`, `[]`} {
		m := &bayeux.Message{Channel: "/a", Ext: bayeux.Raw(ext), Data: bayeux.Raw(`{"data":"0r"}`)}
		require.False(t, binary.Is(m), ext)
		_, err := binary.From(m)
		require.ErrorIs(t, err, binary.ErrNone, ext)
	}
	for data, want := range map[string]string{
		``: "unexpected end", `null`: "no data", `7`: "cannot unmarshal", `"0r"`: "cannot unmarshal", `{}`: "no data",
		`{"data":null}`: "no data", `{"data":7}`: "cannot unmarshal", `{"data":"0"}`: "one character",
		`{"data":"0r","last":"true"}`: "cannot unmarshal", `{"data":"0ü"}`: "byte 1",
	} {
		_, err := binary.From(&bayeux.Message{Channel: "/a", Ext: bayeux.Raw(`{"binary":{}}`), Data: bayeux.Raw(data)})
		require.ErrorContains(t, err, want, data)
		require.ErrorContains(t, err, `binary data of "/a"`)
		require.NotErrorIs(t, err, binary.ErrNone)
	}
}

// Fill makes what From reads; what is in ext besides stays [R-BI-1].
func TestFill(t *testing.T) {
	for _, d := range []binary.Data{
		{Bytes: []byte{1, 2, 3}, Last: true},
		{Bytes: []byte{}},
		{Bytes: []byte("\xFF<&>\""), Meta: bayeux.Raw(`{"fileName":"a.png"}`)},
	} {
		m := &bayeux.Message{Channel: "/a", Ext: bayeux.Raw(`{"x":1}`)}
		require.NoError(t, d.Fill(m))
		require.JSONEq(t, `{"x":1,"binary":{}}`, string(m.Ext))
		require.True(t, json.Valid(m.Data))
		got, err := binary.From(m)
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	m := &bayeux.Message{Channel: "/a"}
	require.NoError(t, binary.Data{Bytes: []byte{0x86, 0x4F, 0xD2, 0x6F}, Last: true, Meta: bayeux.Raw(`{"n":1}`)}.Fill(m))
	require.Equal(t, `{"data":"Hello","last":true,"meta":{"n":1}}`, string(m.Data))
	require.ErrorContains(t, binary.Data{Meta: bayeux.Raw(`{`)}.Fill(m), "meta")
}

// Data is JSON too, as typed handlers have it.
func TestJSON(t *testing.T) {
	d := binary.Data{Bytes: []byte("<&>\xFF\x00"), Last: true, Meta: bayeux.Raw(`{"n":1}`)}
	text, err := json.Marshal(d)
	require.NoError(t, err)
	var again binary.Data
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, d, again)
}
