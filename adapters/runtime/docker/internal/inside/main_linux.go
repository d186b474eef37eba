package inside

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This runs before the inits of most that a server links, and before its main: a container has little memory to spare for them.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case LaunchPath:
		launch()
	case RelayPath:
		runtime.GOMAXPROCS(1) // threads count among the instance's processes
		_ = Relay(standard{})
	case ForwardPath:
		runtime.GOMAXPROCS(1)
		forward()
	default:
		return
	}
	syscall.Exit(1)
}

// standard is the connection that the Engine makes of standard input and output.
type standard struct{}

func (standard) Read(p []byte) (int, error)  { return os.Stdin.Read(p) }
func (standard) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
func (standard) Close() error                { return os.Stdin.Close() }

func forward() {
	l, err := net.Listen("tcp", ProxyAddress)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Fprintln(os.Stderr, Forward(l, GatewaySocket))
}

// say tells the host something, in a line of its own.
func say(text string) {
	_, _ = os.Stdout.WriteString(Mark + strings.ReplaceAll(text, "\n", " ") + "\n")
}

// launch becomes the program that it is told.
func launch() {
	p, err := Receive(os.Stdin)
	if err != nil {
		syscall.Exit(1) // the host is gone, and nobody knows what to run
	}
	if err := begin(p); err != nil {
		say(Failed + err.Error())
	}
	syscall.Exit(127)
}

func begin(p Program) error {
	unix.Umask(0o022)
	if err := place(p); err != nil {
		return err
	}
	if p.Proxy {
		if err := await(ProxyAddress); err != nil {
			return fmt.Errorf("the network's proxy: %w", err)
		}
	}
	env := environment(os.Environ(), p)
	file, err := lookup(p.Args[0], p.Dir, env)
	if err != nil {
		return err
	}
	if err := os.Chdir(p.Dir); err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := unix.Dup2(null, 0); err != nil { // what is told next is for nobody
		return err
	}
	_ = unix.Close(null)
	say(Ready)
	slices.Sort(env)
	return syscall.Exec(file, p.Args, env)
}

// await returns once something listens.
func await(address string) error {
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			return conn.Close()
		}
	}
	return err
}

// executable says why a file cannot be executed.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		var where *os.PathError
		if errors.As(err, &where) {
			return fmt.Errorf("%s: %w", file, where.Err)
		}
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", file)
	}
	if err := unix.Access(file, unix.X_OK); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
