package bayeux

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func TestParam(t *testing.T) {
	bound := func(template, name string) context.Context {
		tm, err := channels.ParseTemplate(template)
		require.NoError(t, err)
		return WithParams(t.Context(), tm, channels.Name(name))
	}
	ctx := bound("/room/{id}/{part}", "/room/7/door")
	require.Equal(t, "7", Param(ctx, "id"))
	require.Equal(t, "door", Param(ctx, "part"))
	require.Empty(t, Param(ctx, "other"))
	require.Empty(t, Param(ctx, channels.Wild))
	require.Equal(t, "7/door", Param(bound("/room/**", "/room/7/door"), channels.Wild))
	require.Empty(t, Param(t.Context(), "id"))
	require.Equal(t, t.Context(), bound("/room/7", "/room/7"), "nothing to carry")
}
