package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const accountFile = "account.key"

// cache is the folder of one directory's account and certificates. Those of
// another directory are in another, so that a trial's are not taken for real.
type cache struct{ dir string }

func openCache(dir, directory string) (cache, error) {
	sum := sha256.Sum256([]byte(directory))
	c := cache{filepath.Join(dir, hex.EncodeToString(sum[:8]))}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return c, err
	}
	return c, writable(c.dir)
}

// checkCache tells whether openCache would succeed.
func checkCache(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		dir = filepath.Dir(filepath.Clean(dir)) // It will be made.
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	return writable(dir)
}

// writable finds out early that nothing can be kept.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func certificateFile(domain string) string { return domain + ".pem" }

// certificate reads one that is not expired.
func (c cache) certificate(domain string) (*tls.Certificate, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, certificateFile(domain)))
	if err != nil {
		return nil, err
	}
	return decode(text, domain)
}

// write replaces a file as a whole, readable for the owner alone.
func (c cache) write(name string, text []byte) error {
	f, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// accountKey reads the key of the account, or makes one.
func (c cache) accountKey() (crypto.Signer, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, accountFile))
	if errors.Is(err, os.ErrNotExist) {
		return c.newAccountKey()
	}
	if err != nil {
		return nil, err
	}
	for der := range blocks(text, "PRIVATE KEY") {
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", accountFile, err)
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	return nil, fmt.Errorf("%s: no key in PEM", accountFile)
}

func (c cache) newAccountKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := encode(key, nil)
	if err != nil {
		return nil, err
	}
	return key, c.write(accountFile, text)
}

// encode writes a key and the chain that belongs to it.
func encode(key crypto.Signer, chain []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), chain...), nil
}

// decode reads what encode wrote, and checks that it is for the domain.
func decode(text []byte, domain string) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(domain); err != nil {
		return nil, err
	}
	if time.Now().After(cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("expired at %s", cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &cert, nil
}
