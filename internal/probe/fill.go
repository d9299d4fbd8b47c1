package probe

import (
	"math/rand/v2"
	"strconv"
)

// letters are 64 characters that stand in a JSON string as they are.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Fill makes the bytes of PathBody: a JSON array with one string of random letters, the same for the same seed. It may
// be used by one goroutine.
type Fill struct {
	rng  *rand.ChaCha8
	size int64
	at   int64
}

// NewFill begins a body of size bytes, at least 4.
func NewFill(size int64, seed int64) *Fill {
	var key [32]byte
	copy(key[:], strconv.FormatInt(seed, 10))
	return &Fill{rng: rand.NewChaCha8(key), size: max(size, minBody)}
}

// minBody is `[""]`.
const minBody = 4

// Next fills p with the bytes that follow and returns how many there were; 0 when there are no more.
func (f *Fill) Next(p []byte) int {
	n := int(min(int64(len(p)), f.size-f.at))
	p = p[:n]
	// ChaCha8 never fails.
	_, _ = f.rng.Read(p)
	for i, b := range p {
		p[i] = letters[b%byte(len(letters))]
	}
	for at, b := range map[int64]byte{0: '[', 1: '"', f.size - 2: '"', f.size - 1: ']'} {
		if i := at - f.at; i >= 0 && i < int64(n) {
			p[i] = b
		}
	}
	f.at += int64(n)
	return n
}
