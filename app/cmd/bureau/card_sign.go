package main

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/card"
)

// The variables that say which keys are meant when no flag does, as for the server.
const (
	envCardKeys   = "BUREAU_CARD_KEYS"
	envSigningKey = "BUREAU_CARD_SIGNING_KEY"
)

func cardSign() *cobra.Command {
	var (
		keyFile      string
		write, force bool
		reader       cardReader
	)
	cmd := &cobra.Command{
		Use: "sign FILE|URL|-", Short: "Sign an agent card", Args: cardTakes(1, "FILE"),
		Long: `Sign a card by the private key of --key, or of ` + envSigningKey + `, and write it to standard output. The rest of its text stays as it is; signatures by
the same key are replaced, those by others kept. The same card and key always give the same text. Of several keys in the file the one signs that
became valid last; ` + "`bureau card keygen --add`" + ` puts another one there.

A card gets one to three signatures: one over all of it, as A2A 1.0, 8.4 has it, and others over what official libraries sign, where that is less. A
verifier needs one that it finds right. docs/cards.md says how they differ.

An invalid card is not signed unless --force says so.

Exit codes: 0 the card is signed; 1 it is invalid, or has no one meaning that could be signed; 2 the command was misused, or a file could not be read.`,
		Example: `  bureau card keygen signing-key.json --public keys.json
  bureau card sign agent-card.json --key signing-key.json > signed.json
  bureau card sign agent-card.json --key signing-key.json --write`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cardArgument(args[0])
			if write && in.file == "" {
				return cardMisused(cmd, fmt.Errorf("--write needs a file, and %s is none", args[0]))
			}
			file := cmp.Or(keyFile, os.Getenv(envSigningKey))
			if file == "" {
				return cardMisused(cmd, errors.New("--key is missing: name the file of the private key; `bureau card keygen` makes one"))
			}
			keys, err := readSigningKeys(file)
			if err != nil {
				return cardMisused(cmd, fmt.Errorf("--key: %w", err))
			}
			key, err := keys.At(time.Now())
			if err != nil {
				return cardMisused(cmd, fmt.Errorf("--key: %w", err))
			}
			reader.stdin = cmd.InOrStdin()
			read, err := reader.read(cmd.Context(), in)
			if err != nil {
				return exitError{fmt.Errorf("%s: %w", in.name, err), exitCardUnread}
			}
			if r := card.Validate(read.text, card.Options{}); !r.Valid && !force {
				return exitError{fmt.Errorf("the card has %s (%s), and is not signed; `bureau card validate` tells them, --force signs it all the same",
					plural(len(r.Errors), "error"), visible(r.Errors[0].Message)), exitCardFailed}
			}
			signed, err := card.Sign(read.text, key)
			if err != nil {
				return exitError{err, exitCardFailed}
			}
			if write {
				err = rewrite(in.file, signed)
			} else {
				_, err = cmd.OutOrStdout().Write(signed)
			}
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key", "", "sign by the private key of `FILE`, a JWK or a JWK Set; default "+envSigningKey)
	f.BoolVarP(&write, "write", "w", false, "write the card back into FILE")
	f.BoolVar(&force, "force", false, "sign an invalid card, too")
	f.StringArrayVar(&reader.private, "allow-private", nil, "reach the private address `HOST:PORT`; may be repeated")
	_ = cmd.MarkFlagFilename("key", "json", "jwk")
	return cmd
}

func cardVerify() *cobra.Command {
	var (
		keyFile, version, at string
		whole, raw           bool
		reader               cardReader
	)
	cmd := &cobra.Command{
		Use: "verify FILE|URL|-", Short: "Verify the signatures of an agent card", Args: cardTakes(1, "FILE"),
		Long: `Verify the signatures of a card against the public keys of --keys, or of ` + envCardKeys + `. Keys that a card brings or points to are not used: whoever
forges a card could put their own there. A card passes when one of its signatures was made over it by one of the keys; with --whole, when one was made
over all of it, and none is wrong.

Exit codes: 0 the card passes; 1 it does not; 2 the command was misused, or a file could not be read.`,
		Example: `  bureau card verify signed.json --keys keys.json
  bureau card verify https://agent.example.com --keys keys.json --whole`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := card.Options{Now: time.Now()}
			file := cmp.Or(keyFile, os.Getenv(envCardKeys))
			if file == "" {
				return cardMisused(cmd, errors.New("--keys is missing: name the file of the public keys that are trusted"))
			}
			var err error
			if o.Keys, err = readCardKeys(file); err != nil {
				return cardMisused(cmd, fmt.Errorf("--keys: %w", err))
			}
			if version != "" {
				v, ok := card.ParseVersion(version)
				if !ok {
					return cardMisused(cmd, fmt.Errorf("--version: %q is not one of %s", version, strings.Join(cardVersions, ", ")))
				}
				o.Version = v
			}
			if at != "" {
				if o.Now, err = time.Parse(time.RFC3339, at); err != nil {
					return cardMisused(cmd, fmt.Errorf("--at: %q is no time like 2026-05-01T12:00:00Z", at))
				}
			}
			in := cardArgument(args[0])
			reader.stdin = cmd.InOrStdin()
			read, err := reader.read(cmd.Context(), in)
			if err != nil {
				return exitError{fmt.Errorf("%s: %w", in.name, err), exitCardUnread}
			}
			r := card.Validate(read.text, o)
			failure := unverified(r, whole)
			if raw {
				err = printJSON(cmd.OutOrStdout(), encodeVerification(r, failure == ""))
			} else {
				err = showSignatures(cmd.OutOrStdout(), r)
			}
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			if failure != "" {
				return exitError{errors.New(failure), exitCardFailed}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "keys", "", "trust the public keys of `FILE`, a JWK Set; default "+envCardKeys)
	f.BoolVar(&whole, "whole", false, "demand a signature over all of the card, and none that is wrong")
	f.StringVar(&version, "version", "", "read the card as one of `V` whatever it declares: 0.2.0 to 0.2.6, 0.3.0, 1.0")
	f.StringVar(&at, "at", "", "have the keys valid at `TIME` in place of now")
	f.BoolVar(&raw, "json", false, "print what came of each signature as JSON")
	f.StringArrayVar(&reader.private, "allow-private", nil, "reach the private address `HOST:PORT`; may be repeated")
	_ = cmd.MarkFlagFilename("keys", "json", "jwks")
	_ = cmd.RegisterFlagCompletionFunc("version", cobra.FixedCompletions(cardVersions, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// unverified says why a card does not pass; "" when it does.
func unverified(r card.Result, whole bool) string {
	covered, wrong := false, false
	for _, s := range r.Signatures {
		covered = covered || s.State == card.SignatureTrusted && len(s.Uncovered) == 0
		wrong = wrong || s.State == card.SignatureWrong || s.State == card.SignatureMalformed
	}
	switch {
	case len(r.Signatures) == 0 && !r.Valid:
		return "the card has no signatures that could be read, and is invalid; `bureau card validate` says why"
	case len(r.Signatures) == 0:
		return "the card is not signed"
	case !trusted(r.Signatures):
		return "no signature is by a trusted key over this card"
	case whole && !covered:
		return "no trusted signature covers the whole card"
	case whole && wrong:
		return "a signature is wrong"
	default:
		return ""
	}
}

// showSignatures tells people what came of each signature.
func showSignatures(w io.Writer, r card.Result) error {
	var b strings.Builder
	for _, s := range r.Signatures {
		fmt.Fprintf(&b, "signatures[%d] %s: key %s, %s", s.Index, s.State, visible(cmp.Or(s.KeyID, "without a name")), visible(cmp.Or(s.Algorithm, "no algorithm")))
		if s.Form != "" {
			fmt.Fprintf(&b, ", over the form %q", s.Form)
		}
		if s.Reason != "" {
			fmt.Fprintf(&b, ": %s", visible(s.Reason))
		}
		b.WriteByte('\n')
		for _, path := range s.Uncovered {
			fmt.Fprintf(&b, "  not covered: %s\n", visible(path))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// The document of verify --json.
type (
	verificationWire struct {
		Verified   bool            `json:"verified"`
		Version    card.Version    `json:"version"`
		Signatures []signatureWire `json:"signatures"`
	}
	signatureWire struct {
		Index     int                 `json:"index"`
		State     card.SignatureState `json:"state"`
		KeyID     string              `json:"key_id"`
		Algorithm string              `json:"algorithm"`
		Reason    string              `json:"reason"`
		Form      card.SignatureForm  `json:"form"`
		Uncovered []string            `json:"uncovered"`
	}
)

func encodeVerification(r card.Result, verified bool) verificationWire {
	out := verificationWire{Verified: verified, Version: r.Version, Signatures: []signatureWire{}}
	for _, s := range r.Signatures {
		w := signatureWire(s)
		w.Uncovered = append([]string{}, s.Uncovered...)
		out.Signatures = append(out.Signatures, w)
	}
	return out
}

func cardKeygen() *cobra.Command {
	var (
		algorithm, kid, public string
		valid, after           time.Duration
		add                    bool
	)
	cmd := &cobra.Command{
		Use: "keygen FILE", Short: "Make a key that signs agent cards", Args: cardTakes(1, "FILE"),
		Long: `Make a private key and write it to FILE as a JWK that only its owner may read; a file that is there is not overwritten. The public key goes to
standard output, or to the file of --public, as a JWK Set: give it to those who are to verify cards, for their --keys or ` + envCardKeys + `. A server that
signs by FILE (` + envSigningKey + `) has it at /a2a/.well-known/jwks.json.

To change keys, --add puts another one into FILE, beside those that are there, and writes the public keys of all. Of the keys that are valid the one
signs that became valid last: the new one takes over at once, or after the time of --valid-after, in which those who verify can learn of it.`,
		Example: `  bureau card keygen signing-key.json --public keys.json
  bureau card keygen signing-key.json --alg EdDSA --valid-for 8760h
  bureau card keygen signing-key.json --add --valid-after 24h --public keys-2.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if valid < 0 || valid > 0 && valid < time.Second {
				return cardMisused(cmd, errors.New("--valid-for must be a time like 8760h"))
			}
			if after < 0 {
				return cardMisused(cmd, errors.New("--valid-after must be a time like 24h"))
			}
			key, err := newSigningKey(algorithm, kid)
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			if add || valid > 0 || after > 0 {
				key = within(key, time.Now().Add(after), valid)
			}
			publish := func(produce func() ([]byte, error)) error {
				set, err := produce()
				if err == nil {
					_, err = cmd.OutOrStdout().Write(set)
				}
				return err
			}
			if public != "" {
				publish = func(produce func() ([]byte, error)) error { return writeNew(public, 0o644, produce) }
			}
			err = publish(func() ([]byte, error) {
				keys, err := keep(args[0], key, add)
				if err != nil {
					return nil, err
				}
				set, err := keys.Public()
				return append(set, '\n'), err
			})
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			return nil
		},
	}
	f := cmd.Flags()
	choose(cmd, &algorithm, "alg", "sign by `ALG`: ES256, ES384 or EdDSA", "ES256", "ES384", "EdDSA")
	f.StringVar(&kid, "kid", "", "name the key `ID`; default its thumbprint (RFC 7638)")
	f.StringVar(&public, "public", "", "write the public keys to `FILE`")
	f.BoolVar(&add, "add", false, "add the key to those of FILE, and have it take over")
	f.DurationVar(&after, "valid-after", 0, "the key becomes valid after `TIME`; default at once")
	f.DurationVar(&valid, "valid-for", 0, "the key expires `TIME` after it became valid; default never")
	return cmd
}

// within bounds a key to what follows a time: for a while, or with 0 for ever.
func within(key card.SigningKey, from time.Time, valid time.Duration) card.SigningKey {
	var until time.Time
	if valid > 0 {
		until = from.Add(valid)
	}
	return key.Within(from, until)
}

// keep writes a key to a file, or beside those that it has already, and returns what is there then.
func keep(file string, key card.SigningKey, add bool) (*card.SigningKeys, error) {
	if !add {
		private, err := key.Private()
		if err != nil {
			return nil, err
		}
		if err := writeNew(file, 0o600, func() ([]byte, error) { return append(private, '\n'), nil }); err != nil {
			return nil, err
		}
		return card.NewSigningKeys(key)
	}
	had, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	text, err := card.AddSigningKey(had, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := rewrite(file, append(text, '\n')); err != nil {
		return nil, err
	}
	return card.ParseSigningKeys(text)
}

func newSigningKey(algorithm, kid string) (card.SigningKey, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return card.SigningKey{}, err
	}
	return card.NewSigningKey(private, kid)
}

// writeNew writes a file that must not be there yet. What it holds is only produced once there is the file to take it, and a failure leaves none.
func writeNew(file string, mode os.FileMode, produce func() ([]byte, error)) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	content, err := produce()
	if err == nil {
		_, err = f.Write(content)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(file)
	}
	return err
}
