package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

// dialTimeout bounds the dialling of one connection, TLS included.
const dialTimeout = 10 * time.Second

// Target is the server.
type Target struct {
	URL      *url.URL    // http or https
	Insecure bool        // accept any certificate
	Header   [][2]string // added to each request, such as Authorization
}

// DialError says that no connection could be made: the network's fault, or
// the server is not there.
type DialError struct {
	Address string
	Err     error
}

func (e *DialError) Error() string { return fmt.Sprintf("dial %s: %v", e.Address, e.Err) }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Address returns host and port of a URL.
func Address(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// Conn is a connection whose bytes are recorded, of TLS those in the clear.
// One goroutine may write while another reads.
type Conn struct {
	net.Conn
	id     int
	tape   *Tape
	r      *bufio.Reader
	silent bool // frames are recorded instead of bytes
	peer   string
	once   sync.Once
}

// Dial connects. It fails with a *DialError.
func (t Target) Dial(ctx context.Context, tape *Tape) (*Conn, error) {
	address := Address(t.URL)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var plain net.Dialer
	nc, err := plain.DialContext(ctx, "tcp", address)
	if err == nil && t.URL.Scheme == "https" {
		secure := tls.Client(nc, t.tls("http/1.1"))
		if err = secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
		}
		nc = secure
	}
	if err != nil {
		return nil, &DialError{address, err}
	}
	c := &Conn{Conn: nc, id: tape.next(), tape: tape, peer: "the server"}
	c.r = newRecordingReader(c)
	tape.add(Event{Conn: c.id, Kind: Opened, What: address}, nil)
	return c, nil
}

func (t Target) tls(protocols ...string) *tls.Config {
	//nolint:gosec // --insecure asks for it: test servers have certificates of their own
	return &tls.Config{ServerName: t.URL.Hostname(), InsecureSkipVerify: t.Insecure, NextProtos: protocols}
}

func newRecordingReader(c *Conn) *bufio.Reader {
	return bufio.NewReaderSize(recordingReader{c}, 16<<10)
}

// recordingReader reads from the connection and records.
type recordingReader struct{ c *Conn }

func (r recordingReader) Read(p []byte) (int, error) {
	n, err := r.c.Conn.Read(p)
	if n > 0 && !r.c.silent {
		r.c.tape.add(Event{Conn: r.c.id, Kind: Received}, p[:n])
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && !timeout(err) {
		r.c.tape.add(Event{Conn: r.c.id, Kind: Closed, What: "by " + r.c.peer + ": " + err.Error()}, nil)
	}
	return n, err
}

func timeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// ID returns the number of the connection on its tape.
func (c *Conn) ID() int { return c.id }

// Read reads bytes that the other side sent.
func (c *Conn) Read(p []byte) (int, error) { return c.r.Read(p) }

// Write sends bytes.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.silent {
		c.tape.add(Event{Conn: c.id, Kind: Sent}, p)
	}
	return c.Conn.Write(p)
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.once.Do(func() { c.tape.add(Event{Conn: c.id, Kind: Closed, What: "by the suite"}, nil) })
	return c.Conn.Close()
}

// Abort resets the connection, as a client that dies does.
func (c *Conn) Abort() error {
	c.once.Do(func() { c.tape.add(Event{Conn: c.id, Kind: Closed, What: "reset by the suite"}, nil) })
	under := c.Conn
	if secure, ok := under.(*tls.Conn); ok {
		under = secure.NetConn()
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return under.Close()
}

// CloseWrite ends the sending side; answers can still be read.
func (c *Conn) CloseWrite() error {
	c.tape.add(Event{Conn: c.id, Kind: Closed, What: "the sending side, by the suite"}, nil)
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("the connection cannot be closed by halves")
	}
	return half.CloseWrite()
}

// watch makes reads and writes fail once ctx is done. The caller calls the
// returned function at the end, which tells whether ctx was still alive.
func (c *Conn) watch(ctx context.Context) (release func() bool) {
	_ = c.SetDeadline(time.Time{})
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

// explain names the context's end as the cause of a failed read.
func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// sameName tells whether two header names are equal.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }
