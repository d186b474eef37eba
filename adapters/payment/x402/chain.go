package x402

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// used asks a network whether an authorization was used, at its latest finalized block, and when that block was made.
func (r *Rail) used(ctx context.Context, endpoint string, token address, a authorization) (used bool, at int64, err error) {
	var block struct{ Number, Timestamp string }
	if err := r.call(ctx, endpoint, "eth_getBlockByNumber", &block, "finalized", false); err != nil {
		return false, 0, err
	}
	if at, err = strconv.ParseInt(strings.TrimPrefix(block.Timestamp, "0x"), 16, 64); err != nil || block.Number == "" {
		return false, 0, fmt.Errorf("x402: the network's block has the time %q", block.Timestamp)
	}
	data := append(append(bytes.Clone(stateSelector[:4]), pad(a.from)...), a.nonce[:]...)
	var answer string
	err = r.call(ctx, endpoint, "eth_call", &answer, map[string]string{
		"to": token.String(), "data": "0x" + hex.EncodeToString(data),
	}, block.Number)
	if err != nil {
		return false, 0, err
	}
	word, err := hex.DecodeString(strings.TrimPrefix(answer, "0x"))
	if err != nil || len(word) != 32 {
		return false, 0, fmt.Errorf("x402: the token answers %.100q", answer)
	}
	return word[31] != 0, at, nil
}

// call asks a JSON-RPC endpoint.
func (r *Rail) call(ctx context.Context, endpoint, method string, out any, params ...any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.c.RPCClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	var w struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return fmt.Errorf("x402: %s: status %d: %w", method, res.StatusCode, err)
	}
	if w.Error != nil || len(w.Result) == 0 || string(w.Result) == "null" {
		return fmt.Errorf("x402: %s: the network answers %.200s", method, raw)
	}
	return json.Unmarshal(w.Result, out)
}
