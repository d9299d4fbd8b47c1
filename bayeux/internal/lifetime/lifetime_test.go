package lifetime

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// named is a context with a value of its own.
type named struct {
	Context

	name string
}

type nameKey struct{}

func (n *named) Value(key any) any {
	if key == (nameKey{}) {
		return n.name
	}
	return n.Context.Value(key)
}

func TestContext(t *testing.T) {
	n := &named{name: "halley"}
	require.NoError(t, n.Err())
	_, has := n.Deadline()
	require.False(t, has)
	require.Nil(t, n.Value(t))
	below, cancel := context.WithCancel(n)
	defer cancel()
	require.Equal(t, "halley", below.Value(nameKey{}))
	require.Nil(t, below.Value(t))
	done := n.Done()
	select {
	case <-done:
		require.Fail(t, "it is over")
	default:
	}
	n.Cancel()
	n.Cancel()
	<-done
	<-below.Done()
	require.ErrorIs(t, below.Err(), context.Canceled)
	require.ErrorIs(t, n.Err(), context.Canceled)
}

// Nobody has asked before it was over.
func TestLate(t *testing.T) {
	var c Context
	c.Cancel()
	require.ErrorIs(t, c.Err(), context.Canceled)
	<-c.Done()
	below, cancel := context.WithCancel(&c)
	defer cancel()
	<-below.Done()
}

// What is not asked for is not made, and a context that is made from one that was
// asked needs no goroutine (goleak would find it: nothing ends here).
func TestCosts(t *testing.T) {
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		c := new(Context)
		_ = c.Err()
		_ = c.Value(c)
		c.Cancel()
	}), 1.0)
	below, cancel := context.WithCancel(&Context{})
	_ = cancel
	require.NoError(t, below.Err())
}
