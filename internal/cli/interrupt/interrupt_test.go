package interrupt

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSignal(t *testing.T) {
	signals := make(chan os.Signal, 1)
	ctx, stop := Context(t.Context(), signals)
	defer stop()
	require.NoError(t, ctx.Err())
	signals <- os.Interrupt
	<-ctx.Done()
	require.NoError(t, t.Context().Err())
}

// Nobody watches any more behind stop, also where there are no signals.
func TestStop(t *testing.T) {
	for _, signals := range []chan os.Signal{nil, make(chan os.Signal)} {
		ctx, stop := Context(t.Context(), signals)
		stop()
		require.Error(t, ctx.Err())
	}
}
