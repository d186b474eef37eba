package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRemoteCommands(t *testing.T) {
	c := newTerminal(t)
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/rpc" {
			_, _ = fmt.Fprintf(w, `{"name":"parrot","description":"Repeats.","version":"1","supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC",`+
				`"protocolVersion":"1.0"}],"capabilities":{},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],`+
				`"skills":[{"id":"a","name":"A","description":"Repeats.","tags":["a"]}]}`, s.URL+"/rpc")
			return
		}
		if r.Header.Get("X-Key") != "s3cret-of-parrot" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, `{"jsonrpc":"2.0","id":"1","result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Hello yourself."}]}}}`)
	})
	t.Setenv("BUREAU_EGRESS_ALLOW", s.Listener.Addr().String())
	t.Setenv("PARROT", "an-0lder-secret")
	c.wants([]string{`"name": "parrot"`, `"valid": true`}, "remote", "add", s.URL, "--key-env", "PARROT", "--key-header", "X-Key")
	c.wants([]string{"remote_", "parrot", "agent_", "valid", "1.0"}, "remote", "list")
	c.wants([]string{`"text"`}, "remote", "show", "parrot")
	c.wants([]string{`"checked_at"`}, "remote", "refresh", "parrot")
	c.wants([]string{"refused the credential"}, "remote", "call", "parrot", "Hello")
	t.Setenv("PARROT", "s3cret-of-parrot")
	c.wants([]string{`"header": "X-Key"`}, "remote", "set", "parrot", "--key-env", "PARROT")
	c.wants([]string{"Hello yourself.", "--session sesn_"}, "remote", "call", "parrot", "Hello")
	c.wants([]string{`"any_origin": true`, `"name": "polly"`}, "remote", "set", "parrot", "--any-origin", "--name", "polly")
	c.wants([]string{`"credential": null`}, "remote", "set", "polly", "--no-credential", "--name", "parrot")
	c.wants([]string{"remote_agent_deleted"}, "remote", "remove", "parrot")
}
