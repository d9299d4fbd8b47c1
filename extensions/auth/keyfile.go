package auth

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// maxKeyFile bounds what is read of a file of keys, or of an answer with a set.
const maxKeyFile = 1 << 20

// recheck is how often a file is looked at.
const recheck = time.Second

// fileKeys are keys in a file, which is read again when it has changed.
type fileKeys struct {
	path  string
	parse func([]byte) ([]Key, error)

	mu     sync.Mutex
	looked time.Time
	mtime  time.Time
	size   int64
	keys   []Key
	err    error
}

// SecretFile is the KeySource of a shared secret in a file of its own: its
// bytes, without the line ends behind them; 32 at least, 48 for HS384, 64 for
// HS512. The error says why the file cannot be used now.
//
// It is read again when it has changed, as are those of PublicKeyFile and
// JWKSFile. From when it cannot be read until it can be again it has no keys.
func SecretFile(path string) (KeySource, error) { return keyFile(path, parseSecret) }

// PublicKeyFile is the KeySource of a public key, or a certificate that has it,
// in PEM. Several in one file are all believed. See SecretFile.
func PublicKeyFile(path string) (KeySource, error) { return keyFile(path, parsePEM) }

// JWKSFile is the KeySource of a set of keys in JSON (RFC 7517), which may hold
// secrets. See SecretFile.
func JWKSFile(path string) (KeySource, error) {
	return keyFile(path, func(raw []byte) ([]Key, error) { return parseSet(raw, true) })
}

func keyFile(path string, parse func([]byte) ([]Key, error)) (KeySource, error) {
	f := &fileKeys{path: path, parse: parse}
	_, err := f.Keys(context.Background(), "")
	return f, err
}

// Keys implements KeySource.
func (f *fileKeys) Keys(context.Context, string) ([]Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if since := now.Sub(f.looked); !f.looked.IsZero() && since >= 0 && since < recheck {
		return f.keys, f.err
	}
	f.looked = now
	info, err := os.Stat(f.path)
	if err != nil {
		f.keys, f.err = nil, err
		return nil, err
	}
	if f.err == nil && f.keys != nil && info.ModTime().Equal(f.mtime) && info.Size() == f.size {
		return f.keys, nil
	}
	f.mtime, f.size = info.ModTime(), info.Size()
	f.keys, f.err = f.read()
	return f.keys, f.err
}

func (f *fileKeys) read() ([]Key, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxKeyFile {
		return nil, fmt.Errorf("%s: more than %d bytes", f.path, maxKeyFile)
	}
	keys, err := f.parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return keys, nil
}

func parseSecret(raw []byte) ([]Key, error) {
	raw = bytes.TrimRight(raw, "\r\n")
	if bytes.Contains(raw, []byte("-----BEGIN ")) {
		return nil, errors.New("a key in PEM is no secret: whoever knows the public key could sign with it")
	}
	k := Key{Public: raw}
	if err := k.check(); err != nil {
		return nil, err
	}
	return []Key{k}, nil
}

func parsePEM(raw []byte) ([]Key, error) {
	var keys []Key
	for {
		var block *pem.Block
		if block, raw = pem.Decode(raw); block == nil {
			break
		}
		k, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		if keys = append(keys, k); len(keys) > maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no public key in PEM")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (k Key, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		k.Public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		k.Public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			k.Public = c.PublicKey
		}
	default:
		return Key{}, fmt.Errorf("a PEM block of type %.32q; want PUBLIC KEY or CERTIFICATE", block.Type)
	}
	if err != nil {
		return Key{}, errors.New("a PEM block that cannot be read")
	}
	return k, k.check()
}
