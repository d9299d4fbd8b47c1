package binary_test

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/extensions/binary"
)

// The test vector of the specification, and what CometD's clients make of
// lengths that it does not know [R-BI-2].
func TestZ85(t *testing.T) {
	for text, b := range map[string]string{
		"": "", "HelloWorld": "\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B", "00000": "\x00\x00\x00\x00", "%nSc0": "\xFF\xFF\xFF\xFF",
		"00": "\x00", "7Y": "\x18", "@@": "\xFF", "%nJ": "\xFF\xFF", "%nS9": "\xFF\xFF\xFF", "3&*!G4H@": "\x0C\x00\x0F\x0F\x0E\x0E",
		"0r": "\x01", "0rJ": "\x01\x02", "0rJu": "\x01\x02\x03", "0rJua": "\x01\x02\x03\x04", "0rJua1P": "\x01\x02\x03\x04\x05",
	} {
		require.Equal(t, text, string(binary.AppendZ85(nil, []byte(b))), "% x", b)
		got, err := binary.DecodeZ85(text)
		require.NoError(t, err)
		require.Equal(t, b, string(got), text)
	}
	require.Equal(t, "x0r", string(binary.AppendZ85([]byte("x"), []byte{1})))
}

// What is no Z85 is refused, with its place.
func TestZ85Errors(t *testing.T) {
	for text, want := range map[string]string{
		"0":           "one character",
		"HelloW":      "one character",
		"Hel o":       "byte 3",
		"Hello\"":     "one character",
		"HelloWor\"":  "byte 8",
		"Hello,orld":  "byte 5",
		"He\xC3\xBCo": "byte 2",
		"\x00\x00":    "byte 0",
		"~0":          "byte 0",
		"%nSc1":       "group at byte 0 is too large",
		"00000#####":  "group at byte 5 is too large",
		"##":          "group at byte 0 is too large",
		"%nK":         "",
	} {
		got, err := binary.DecodeZ85(text)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
		require.Nil(t, got)
	}
}

// naive encodes by the letter of the specification, with big numbers.
func naive(b []byte) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
	var text strings.Builder
	for len(b) > 0 {
		n := min(4, len(b))
		group := new(big.Int).SetBytes(append(bytes.Clone(b[:n]), make([]byte, 4-n)...))
		var five [5]byte
		for i := 4; i >= 0; i-- {
			d := new(big.Int)
			group.DivMod(group, big.NewInt(85), d)
			five[i] = digits[d.Int64()]
		}
		text.Write(five[:n+1])
		b = b[n:]
	}
	return text.String()
}

// All lengths to 64 and a megabyte go to and fro [R-BI-2].
func TestZ85Lengths(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{})
	lengths := []int{32 << 10, 1 << 20, 1<<20 + 1}
	for n := range 65 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		b := make([]byte, n)
		_, _ = rng.Read(b)
		text := string(binary.AppendZ85(nil, b))
		if n <= 64 {
			require.Equal(t, naive(b), text)
		}
		got, err := binary.DecodeZ85(text)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got), "%d bytes", n)
	}
}

// FuzzZ85 takes any bytes for bytes and for text.
func FuzzZ85(f *testing.F) {
	for _, seed := range []string{"", "HelloWorld", "%nSc0", "%nSc1", "0", "##", "\x86\x4F\xD2\x6F\xB5", "~", "0rJua1P"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := binary.AppendZ85(nil, b)
		require.Equal(t, naive(b), string(text))
		got, err := binary.DecodeZ85(string(text))
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))

		got, err = binary.DecodeZ85(string(b))
		if err != nil {
			require.Nil(t, got)
			return
		}
		again, err := binary.DecodeZ85(string(binary.AppendZ85(nil, got)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(got, again))
	})
}

func BenchmarkZ85(b *testing.B) {
	part := make([]byte, 32<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(part)
	text := string(binary.AppendZ85(nil, part))
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(part)))
		dst := make([]byte, 0, len(text))
		for b.Loop() {
			dst = binary.AppendZ85(dst[:0], part)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(part)))
		for b.Loop() {
			if _, err := binary.DecodeZ85(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
