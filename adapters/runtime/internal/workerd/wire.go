// Package workerd is the half of Bureau's worker that runs in an instance. It answers requests about the instance's own directory, one a
// connection, and writes the lines that the server wants in the instance's log. It is linked into what starts before everything else of
// the server, and therefore imports little.
package workerd

// The environment of a worker.
const (
	// TokenEnv is the variable with the token that requests must know.
	TokenEnv = "BUREAU_WORKER_TOKEN"
	// Name is the base name of the program as which the server's own binary is a worker in a container: whoever makes an image puts it
	// there under this name.
	Name = "bureau-worker"
	// Port is where a worker in a container listens, on all addresses.
	Port = 8737
)

// Bounds of what is asked and answered, in bytes.
const (
	MaxRequest = 64 << 10
	MaxRule    = 1 << 20
	MaxAnswer  = 8 * MaxRule // JSON may take six bytes for one
)

// The operations.
const (
	OpStatus = "status"
	OpRules  = "rules" // their names
	OpRule   = "rule"  // the text of one
	OpLog    = "log"
)

// Request is a line from the server.
type Request struct {
	Token string `json:"token"`
	Op    string `json:"op"`
	Name  string `json:"name,omitempty"`  // of a rule, without ".md"
	Level string `json:"level,omitempty"` // of a line: debug, info, warn, error
	Text  string `json:"text,omitempty"`
}

// Answer is the line that answers it.
type Answer struct {
	Error   string   `json:"error,omitempty"`
	Missing bool     `json:"missing,omitempty"` // Error is about a rule that there is not
	Text    string   `json:"text,omitempty"`
	Rules   []string `json:"rules,omitempty"`
	PID     int      `json:"pid,omitempty"` // as the worker sees it
	Uptime  float64  `json:"uptime_seconds,omitempty"`
}

// ValidRule says whether a rule can have a name: 1 to 128 of a-z, A-Z, 0-9, "_", "-" and, but not first, ".".
func ValidRule(name string) bool {
	if len(name) == 0 || len(name) > 128 {
		return false
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
		if !letter && (i == 0 || c != '.') {
			return false
		}
	}
	return true
}

// ValidLevel says whether lines can have a level.
func ValidLevel(level string) bool {
	switch level {
	case "debug", "info", "warn", "error":
		return true
	}
	return false
}
