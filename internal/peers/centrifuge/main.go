package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/centrifugal/centrifuge"
)

// defaultQueue is what may wait for a client, in bytes; maxMessage what it may
// send at once.
const (
	defaultQueue = 8 << 20
	maxMessage   = 1 << 20
	headerTime   = 10 * time.Second
	stopTime     = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	port, queue, err := parse(args)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(os.Stdout, "listening http://%s/connection/websocket\n", listener.Addr())
	return serve(ctx, listener, queue)
}

// parse reads PORT [queue=BYTES].
func parse(args []string) (port string, queue int, err error) {
	if len(args) == 0 {
		return "", 0, errors.New("usage: centrifuge PORT [queue=BYTES]")
	}
	if _, err = strconv.ParseUint(args[0], 10, 16); err != nil {
		return "", 0, fmt.Errorf("port %q: want 0 to 65535", args[0])
	}
	queue = defaultQueue
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if name != "queue" {
			return "", 0, fmt.Errorf("option %q is unknown; there is queue", name)
		}
		if queue, err = strconv.Atoi(value); err != nil || queue < 1 {
			return "", 0, fmt.Errorf("option queue=%q: want bytes, 1 or more", value)
		}
	}
	return args[0], queue, nil
}

// serve serves until ctx ends.
func serve(ctx context.Context, listener net.Listener, queue int) error {
	node, err := newNode(queue)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		MessageSizeLimit: maxMessage, UseWriteBufferPool: true,
	}))
	server := &http.Server{ReadHeaderTimeout: headerTime, Handler: mux}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err = <-done:
		done <- http.ErrServerClosed
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err = errors.Join(err, node.Shutdown(stop), server.Shutdown(stop))
	if ended := <-done; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// newNode makes a node that allows everything.
func newNode(queue int) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: queue})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil // anonymous
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
			done(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) {
			done(centrifuge.PublishReply{}, nil)
		})
	})
	return node, node.Run()
}
