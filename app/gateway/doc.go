// Package gateway hosts an agent gateway that another project wrote, as npm has it. Its test is large and slow, and has a task of its own:
// go tool task test:gateway.
package gateway
