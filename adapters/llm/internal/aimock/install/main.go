// Command install puts the mock model server that the tests need into the user's cache, and prints where.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/bureau-agents/bureau/adapters/llm/internal/aimock"
)

func main() {
	dir, err := aimock.Install(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintln(os.Stdout, dir)
}
