//go:build !unix

package serve

const activated = ""

func serveActivated() int { return 1 }
