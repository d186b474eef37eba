package main

import (
	"fmt"
	"io"
	"os"

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

// readSigningKey reads a file with a private JWK. The error says nothing of its content but the key's name.
func readSigningKey(file string) (card.SigningKey, error) {
	text, err := readKeyFile(file)
	if err != nil {
		return card.SigningKey{}, err
	}
	key, err := card.ParseSigningKey(text)
	if err != nil {
		return card.SigningKey{}, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
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
