//go:build !linux

package front

import (
	"errors"
	"net"
	"net/netip"
)

// supported tells that connections of this platform can wait in an epoll.
const supported = false

func sysRead(int, []byte) (int, error)           { return 0, errors.ErrUnsupported }
func sysWrite(int, []byte) (int, error)          { return 0, errors.ErrUnsupported }
func sysEnded(int) bool                          { return true }
func sysClose(int)                               {}
func sysAccept(int) (int, netip.AddrPort, error) { return 0, netip.AddrPort{}, errors.ErrUnsupported }
func sysCloseWrite(int)                          {}
func sysLocal(int) net.Addr                      { return nil }
func sysPrepare(int)                             {}
func sysConn(int) (net.Conn, error)              { return nil, errors.ErrUnsupported }
func newEpoll() (*epoll, error)                  { return nil, errors.ErrUnsupported }
func (*epoll) close()                            {}
func (*epoll) add(int, int32) error              { return errors.ErrUnsupported }
func (*epoll) remove(int)                        {}
func (*epoll) wait(func(int, int32, event))      {}

type epoll struct{}
