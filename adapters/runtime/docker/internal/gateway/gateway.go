// Package gateway is the container that gives an instance its network: the only one of the two that has any. It is Bureau's own binary,
// started under another name.
package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Variable is the environment variable that holds Rules as JSON; no part of them is secret.
const Variable = "BUREAU_GATEWAY_RULES"

// Rules say what the instance may reach.
type Rules struct {
	Allow   []string        `json:"allow"`
	Network runtime.Network `json:"network"`
}

func init() { //nolint:gochecknoinits // it stands for main, before what a server initialises
	if len(os.Args) > 0 && os.Args[0] == inside.GatewayPath {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serve answers at the instance's socket until it is told to end.
func serve() error {
	var rules Rules
	if err := json.Unmarshal([]byte(os.Getenv(Variable)), &rules); err != nil {
		return err
	}
	proxy, err := forward.New(rules.Allow, rules.Network, slog.Default())
	if err != nil {
		return err
	}
	_ = os.Remove(inside.GatewaySocket) // of one that was killed
	l, err := net.Listen("unix", inside.GatewaySocket)
	if err != nil {
		return err
	}
	if err := os.Chmod(inside.GatewaySocket, 0o666); err != nil { //nolint:gosec // the instance's programs may have any user
		return err
	}
	server := proxy.Serve(l)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	return server.Close()
}
