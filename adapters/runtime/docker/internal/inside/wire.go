package inside

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Where Bureau's binary is in every container, and the names under which it does its jobs. Programs cannot write there.
const (
	Dir         = "/.bureau"
	Binary      = Dir + "/bureau"
	Libraries   = Dir + "/lib" // of a binary that is linked dynamically
	LaunchPath  = Dir + "/launch"
	RelayPath   = Dir + "/relay"
	ForwardPath = Dir + "/forward"
	GatewayPath = Dir + "/gateway"
)

// Where a container with a network finds its gateway, and where its programs find their proxy.
const (
	GatewayDir    = "/.bureau-net"
	GatewaySocket = GatewayDir + "/proxy.sock"
	ProxyAddress  = "127.0.0.1:3128"
)

// Mark begins the lines on a launcher's standard output that are meant for the host, not for the log. What a program prints under it is
// hidden from its log and does nothing else: the host listens only until the program has been started.
const Mark = "\x00bureau:"

// The words after Mark.
const (
	Ready  = "ready"   // the program is executed next
	Failed = "failed " // and why it cannot be
)

// Program is what a launcher is told on its standard input, so that secrets stand neither in the container's configuration nor on a disk.
type Program struct {
	Args   []string
	Dir    string            // where it starts
	Env    map[string]string // beside the image's
	Root   string            // the directory that files are in
	Files  map[string][]byte // by slash-separated path below Root
	Remove []string          // files below Root that are deleted
	Proxy  bool              // it starts when ProxyAddress answers
}

// maxProgram bounds what a launcher reads.
const maxProgram = 256 << 20

// Send writes p for Receive.
func Send(w io.Writer, p Program) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(body) > maxProgram {
		return fmt.Errorf("the files of an instance are larger than %d MiB", maxProgram>>20)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// Receive reads what Send wrote, and nothing beyond.
func Receive(r io.Reader) (Program, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Program{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxProgram {
		return Program{}, fmt.Errorf("a program of %d bytes", n)
	}
	var p Program
	return p, json.NewDecoder(io.LimitReader(r, int64(n))).Decode(&p)
}
