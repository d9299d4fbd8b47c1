package front

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestContext(t *testing.T) {
	x := &requestContext{c: &Conn{s: New(&http.Server{}, "/")}}
	require.NoError(t, x.Err())
	require.Equal(t, x.c.s.hs, x.Value(http.ServerContextKey))
	require.Nil(t, x.Value(t))
	done := x.Done()
	select {
	case <-done:
		require.Fail(t, "it is over")
	default:
	}
	below, cancel := context.WithCancelCause(x)
	defer cancel(nil)
	called := make(chan bool, 2)
	stop := context.AfterFunc(x, func() { called <- true })
	not := context.AfterFunc(x, func() { called <- false })
	require.True(t, not())
	require.False(t, not(), "once")

	x.Cancel()
	x.Cancel()
	<-done
	<-x.Done()
	<-below.Done()
	require.ErrorIs(t, below.Err(), context.Canceled)
	require.ErrorIs(t, x.Err(), context.Canceled)
	require.True(t, <-called)
	require.False(t, stop(), "it was called")
	require.False(t, context.AfterFunc(x, func() { called <- true })(), "too late to stop it")
	require.True(t, <-called)
}

// Nobody has asked before it was over.
func TestRequestContextLate(t *testing.T) {
	x := &requestContext{}
	x.Cancel()
	<-x.Done()
	ctx, cancel := context.WithCancel(x)
	defer cancel()
	<-ctx.Done()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

// What is made for a request that asks for nothing.
func TestRequestAllocates(t *testing.T) {
	p := []byte(plainPost)
	c := &Conn{s: New(&http.Server{}, "/")}
	n := testing.AllocsPerRun(100, func() {
		now := new(serving)
		now.ctx.c = c
		r, v := parse(p, maxHead)
		if v != whole {
			t.Error(v)
		}
		if _, err := r.request(&now.ctx, &now.url); err != nil {
			t.Error(err)
		}
		now.ctx.Cancel()
	})
	require.LessOrEqual(t, n, 6.0) // serving, request, text, header, its table and its values
}
