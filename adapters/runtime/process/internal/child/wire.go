package child

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
)

// The names under which the server starts itself again. They stand where a program's own name is expected, so that no argument of any
// other program can be mistaken for one.
const (
	NameInit     = "bureau-sandbox-init"     // in new namespaces, with all rights over them
	NameProgram  = "bureau-sandbox-program"  // the second half of it, when rights can be given up by executing only
	NameLauncher = "bureau-sandbox-launcher" // makes the namespaces of a server that is not root
)

// SocketFD is the descriptor of the socket to the server.
const SocketFD = 3

// ProxyPort is where programs find the proxy, on the loopback interface of their sandbox.
const ProxyPort = 3128

// Setup describes a sandbox to its helper.
type Setup struct {
	Base     string            // an empty directory to build the sandbox's root on
	UID, GID int               // whom programs run as
	System   []string          // directories and files of this machine, read-only, that may be missing
	Hidden   []string          // directories that are not shown, though they lie in what is
	Mounts   []Mount           // the sandbox's own
	ReadOnly []string          // directories below those that programs cannot change
	Files    map[string]string // small files below /etc
	Proxy    bool              // open the proxy's listener and send it
	Shm      int64             // bytes of /dev/shm
	Limits   []Limit
	Nice     int
	OOM      int // how much sooner than others it is ended where the machine runs out of memory: oom_score_adj of proc(5)
}

// Mount is a directory of the host and where it stands in the sandbox.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Limit is a resource limit, hard and soft.
type Limit struct {
	Resource int
	Value    uint64
}

// Program is what to run.
type Program struct {
	Args []string
	Env  []string
	Dir  string
	Data uint64 // bytes that each process may map for itself; 0 is no limit
}

// Status is what the helper says: when the sandbox stands, when its program runs, and when it has ended.
type Status struct {
	Failed  string // what could not be done; nothing follows
	Refused bool   // Failed is about the program, not the sandbox
	Code    int    // of the program; -1 when it was killed
	Answer  bool   // it answers AskSocket; the socket comes with it, unless it could not be made
	PID     int    // what a keeper's launcher has started
}

// maxFrame bounds a message.
const maxFrame = 32 << 20

// Send writes a message.
func Send(w io.Writer, v any) error {
	raw, err := frame(v)
	if err == nil {
		_, err = w.Write(raw)
	}
	return err
}

func frame(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > maxFrame {
		return nil, errors.New("the message is too long")
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil
}

// Receive reads a message. It reads nothing behind it.
func Receive(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return errors.New("the message is too long")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}
