package filter_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/filter"
	"github.com/halleypush/halley/bayeux/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A filter that panics deletes its message, which nobody gets unfiltered; one
// that blocks keeps its sender waiting, and nobody else.
func TestFiltersHarmNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		trouble := filter.Text(func(text string) (string, error) {
			switch text {
			case "panics":
				panic("a secret")
			case "blocks":
				<-stop
			}
			return text + "!", nil
		})
		for _, way := range []string{"listener", "extension"} {
			var c server.Config
			if way == "extension" {
				x, err := filter.Extension("/a/**", trouble)
				require.NoError(t, err)
				c.Extensions = []bayeux.Extension{x}
			}
			srv, err := server.New(c)
			require.NoError(t, err)
			if way == "listener" {
				_, err = srv.Listen("/a/**", filter.Listener(trouble))
				require.NoError(t, err)
			}
			ctx := t.Context()
			sick, err := srv.NewLocal(ctx, nil)
			require.NoError(t, err)
			well, err := srv.NewLocal(ctx, nil)
			require.NoError(t, err)
			var got []string
			_, err = well.Subscribe(ctx, "/a/*", func(_ context.Context, m *bayeux.Message) { got = append(got, string(m.Data)) })
			require.NoError(t, err)

			require.ErrorContains(t, sick.Publish(ctx, "/a/b", "panics"), "404::message_deleted")
			done := make(chan error, 1)
			go func() { done <- sick.Publish(ctx, "/a/b", []string{"blocks"}) }()
			synctest.Wait()
			start := time.Now()
			require.NoError(t, well.Publish(ctx, "/a/b", "fine"))
			synctest.Wait()
			require.Zero(t, time.Since(start))
			require.Equal(t, []string{`"fine!"`}, got, way)
			stop <- struct{}{}
			require.NoError(t, <-done)
			synctest.Wait()
			require.Equal(t, []string{`"fine!"`, `["blocks!"]`}, got, way)
			sick.Close(ctx)
			well.Close(ctx)
			require.NoError(t, srv.Shutdown(ctx))
		}
	})
}
