package service_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/service"
)

// bare is a Server that keeps its listener and what is delivered.
type bare struct {
	listener bayeux.Listener
	answers  []*bayeux.Message
}

func (b *bare) Listen(_ string, l bayeux.Listener) (func(), error) {
	b.listener = l
	return func() {}, nil
}

func (b *bare) DeliverMessage(_ context.Context, _ string, m *bayeux.Message) error {
	b.answers = append(b.answers, m)
	return nil
}

// caller is a session as far as a call needs one.
type caller struct{ bayeux.Session }

func (caller) ID() string { return "s" }

// FuzzRemoteCall calls with any data: it is answered once, with JSON, or refused.
func FuzzRemoteCall(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"item":1}`, `[]`, `"x"`, `null`, `1e999`, `{"tags":[{"name":"x"},5]}`, `{"count":-129}`, `{"o:d":{"\u0000":"x"}}`,
		`{"more":1}`, `{"item":"\ud800"}`, strings.Repeat("[", 60), `{"count":1.0}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if bayeux.Validate(bayeux.Raw(data), 64) != nil {
			return // nothing else reaches a listener
		}
		b := &bare{}
		_, err := service.RemoteCall(b, "x", func(_ context.Context, _ bayeux.Session, in service.Strict[order]) (order, error) {
			return in.Value, nil
		})
		require.NoError(t, err)
		m := &bayeux.Message{Channel: "/service/x", ID: "1", Data: bayeux.Raw(data)}
		require.NoError(t, b.listener(t.Context(), caller{}, m))
		require.Len(t, b.answers, 1)
		require.NoError(t, bayeux.Validate(b.answers[0].Data, 64))
		require.NotNil(t, b.answers[0].Successful)
	})
}
