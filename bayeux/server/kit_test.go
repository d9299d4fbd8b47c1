package server_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// escape makes a text part of a query.
func escape(s string) string { return url.QueryEscape(s) }

// sorted returns the call of a callback with sorted keys.
func sorted(t *testing.T, body string) string {
	t.Helper()
	name, rest, ok := strings.Cut(body, "(")
	require.True(t, ok, body)
	return name + "(" + canon(t, strings.TrimSuffix(rest, ")")) + ")"
}

// upgrade asks for a WebSocket by hand and returns the head of the answer.
func (r *rig) upgrade(protocol string) string {
	r.t.Helper()
	if protocol != "" {
		protocol = "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	return r.upgradeWith(protocol)
}

// upgradeWith does so with further lines of the head.
func (r *rig) upgradeWith(lines string) string {
	r.t.Helper()
	conn, err := r.Raw()
	require.NoError(r.t, err)
	defer func() { _ = conn.Close() }()
	head := "GET /cometd HTTP/1.1\r\nHost: memory\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	_, err = conn.Write([]byte(head + lines + "\r\n"))
	require.NoError(r.t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(r.t, err)
	var out strings.Builder
	out.WriteString(resp.Status + "\r\n")
	require.NoError(r.t, resp.Header.Write(&out))
	_ = resp.Body.Close()
	return out.String()
}

// policyFuncs is a policy of functions; a nil one allows.
type policyFuncs struct {
	handshake func(context.Context) error
	create    func(bayeux.Session) error
	subscribe func(bayeux.Session) error
	publish   func(bayeux.Session) error
}

func (p policyFuncs) CanHandshake(ctx context.Context, _ bayeux.Session, _ *bayeux.Message) error {
	if p.handshake == nil {
		return nil
	}
	return p.handshake(ctx)
}

func (p policyFuncs) CanCreate(_ context.Context, s bayeux.Session, _ channels.Name, _ *bayeux.Message) error {
	if p.create == nil {
		return nil
	}
	return p.create(s)
}

func (p policyFuncs) CanSubscribe(_ context.Context, s bayeux.Session, _ channels.Pattern, _ *bayeux.Message) error {
	if p.subscribe == nil {
		return nil
	}
	return p.subscribe(s)
}

func (p policyFuncs) CanPublish(_ context.Context, s bayeux.Session, _ channels.Name, _ *bayeux.Message) error {
	if p.publish == nil {
		return nil
	}
	return p.publish(s)
}
