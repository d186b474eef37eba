package child

// The names under which the server starts itself again for an instance.
const (
	NameKeeper         = "bureau-instance"          // keeps an instance: its program, its log, its state
	NameKeeperInit     = "bureau-instance-init"     // a keeper that is the instance itself; it first goes where it cannot do harm
	NameKeeperLauncher = "bureau-instance-launcher" // makes the namespaces of the latter where the server is not root
)

// The descriptors of a keeper, besides SocketFD.
const (
	LockFD     = 4 // of a file that the instance has locked for as long as it lives (F_OFD_SETLK: the lock passes on with the descriptor)
	ListenerFD = 5 // where servers, this one or another, ask for something
)

// Keep tells a keeper what to keep. It is the last message that the server need send: from then on the instance lives without it.
type Keep struct {
	Token      string // whoever asks something must know it, and it marks the state as this start's
	Generation int64
	PID        int // the keeper's own, as the server sees it
	Start      uint64
	Boot       string
	Dir        string // holds the state and the log

	Worker  bool // there is no program: the keeper is the worker
	WorkDir string
	Secret  string // the worker's token

	Setup   Setup // of the program's sandbox
	Root    bool  // make its namespaces without a launcher
	Program Program
	UID     int // whom to become, once the program runs
	GID     int
	Groups  []string // files to write the program's number to, so that it is counted
	Kills   string   // the file that says how often something of it was killed for want of memory
	Memory  int64    // bytes to watch; 0: nobody need
	Disk    int64    // bytes to watch
	Full    bool     // there is no room for more files: the program may not write any
	CPU     int      // thousandths of a core to keep to; 0: somebody else does
	Watched []string // the directories that Disk is about
}

// State is what a keeper writes down about its instance.
type State struct {
	Token      string
	Generation int64
	PID        int    // the keeper
	Start      uint64 // and when it was started, in ticks since Boot
	Boot       string
	Top        int // the first process of the program's sandbox; the keeper itself where that is the instance
	TopStart   uint64
	StartedAt  string // RFC 3339, UTC
	ExitedAt   string // "" while it runs
	Code       int
	Memory     bool
	Reason     string
}

// StateFile is where it stands in Keep.Dir, and LogDir where the log does.
const (
	StateFile = "state.json"
	LogDir    = "log"
)

// Ask is what a keeper wants of the helper in the program's sandbox.
type Ask struct {
	Op     string
	Family int // of AskSocket
	Signal int
}

// The operations of Ask.
const (
	AskSocket    = "socket" // make a socket in the network of the sandbox
	AskSignal    = "signal" // of the program's group
	AskSignalAll = "signal_all"
)

// Request is what a server wants of a keeper, after it has connected. A Status answers it.
type Request struct {
	Token  string
	Op     string
	Grace  int64 // of RequestStop, in nanoseconds
	Family int   // of RequestDial
}

// The operations of Request.
const (
	RequestStop  = "stop"  // answered when nothing of the instance runs
	RequestDial  = "dial"  // answered with a socket in the instance's network; the worker goes on with this connection itself
	RequestProxy = "proxy" // answered with the listener of the program's proxy; the connection lives for as long as the keeper
)
