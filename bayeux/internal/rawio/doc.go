// Package rawio reads and writes sockets without ever waiting: by their
// descriptors, which are the caller's to keep open meanwhile.
package rawio
