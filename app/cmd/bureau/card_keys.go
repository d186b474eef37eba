package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bureau-agents/bureau/core/card"
)

// maxKeys is how long a file of keys may be.
const maxKeys = 1 << 20

// readCardKeys reads a file with a JWK Set of public keys.
func readCardKeys(file string) (*card.Keys, error) {
	text, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	keys, err := card.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

// readSigningKeys reads a file with a private JWK, or a JWK Set of them, of which one may sign now. The error says nothing of its content but the
// names of keys.
func readSigningKeys(file string) (*card.SigningKeys, error) {
	text, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	keys, err := card.ParseSigningKeys(text)
	if err == nil {
		_, err = keys.At(time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

func readKeyFile(file string) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // the caller names a file of their own
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeys+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeys {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, maxKeys)
	}
	return text, nil
}
