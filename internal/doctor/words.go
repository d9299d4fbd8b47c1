package doctor

import (
	"fmt"
	"strconv"
)

// times is a time in words: 20 s, 4.8 s.
func times(s float64) string {
	if s >= 10 {
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
	return strconv.FormatFloat(s, 'f', 1, 64) + " s"
}

// sizes is a size in words: 512 B, 64 KiB, 1.5 MiB.
func sizes(n float64) string {
	const k = 1024
	switch {
	case n >= k*k:
		return fmt.Sprintf("%.1f MiB", n/k/k)
	case n >= k:
		return fmt.Sprintf("%.0f KiB", n/k)
	default:
		return fmt.Sprintf("%.0f B", n)
	}
}
