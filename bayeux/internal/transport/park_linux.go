package transport

// NewPlatformPoller returns the poller of this platform: epoll.
func NewPlatformPoller() (Poller, error) { return NewEpollPoller() }
