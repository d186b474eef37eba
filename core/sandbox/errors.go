package sandbox

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. Their messages are shown to the model.
var (
	// ErrPackages is returned when packages of the environment could not be installed.
	ErrPackages = fault.New(fault.Unavailable, "sandbox_packages", "packages of the environment could not be installed")
	// ErrSelfHosted is returned for a sandbox of an environment whose tools the client executes.
	ErrSelfHosted = fault.New(fault.Unsupported, "sandbox_self_hosted", "the tools of this environment are executed by the client")
)
