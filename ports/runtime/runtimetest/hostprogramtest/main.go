// Command hostprogramtest is what the instances of the suite for hosts run: it does what its arguments say, one after the other. It links
// nothing but the standard library, so that built with CGO_ENABLED=0 it needs nothing of the machine or the image that it runs on.
//
//	out TEXT, err TEXT       print a line
//	lines N                  print "line 1" to "line N"
//	long N                   print one line of N bytes
//	flood BYTES              print lines of 100 bytes, as many as make BYTES
//	env NAME                 print the variable as "NAME=value", or "NAME is not set"
//	cat FILE                 print a file as one line, or "FILE: no such file"
//	write FILE TEXT          write a file
//	fill FILE BYTES          write that much into a file, and print "filled" or "FILE is full"
//	rights                   print what /proc/self/status says of "Uid", "NoNewPrivs" and "CapEff"
//	echo PORT                from now on answer each line that comes on loopback's PORT with "echo: " before it
//	dial ADDRESS             print "dial: connected" or "dial: refused"
//	get URL                  fetch it through the proxy that HTTP_PROXY names, and print "get: " and the status with the first line
//	ignore                   from now on ignore SIGTERM
//	term CODE                on SIGTERM print "terminated" and end with CODE
//	beat FILE                leave a process behind, in a session of its own, which ignores SIGTERM and lets FILE grow
//	grows FILE               print "FILE grows" or "FILE rests"
//	memory BYTES             take memory, and touch it
//	files N                  open N files, and print "opened M"
//	processes N              start N processes that wait, and print "started M"
//	spin N                   keep N cores busy from now on
//	sleep DURATION
//	exit CODE
//	wait                     for ever
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	args := os.Args[1:]
	next := func() string {
		if len(args) == 0 {
			fmt.Fprintln(os.Stderr, "hostprogramtest: an argument is missing")
			os.Exit(64)
		}
		arg := args[0]
		args = args[1:]
		return arg
	}
	number := func() int {
		n, err := strconv.Atoi(next())
		if err != nil {
			fmt.Fprintln(os.Stderr, "hostprogramtest:", err)
			os.Exit(64)
		}
		return n
	}
	for len(args) > 0 {
		switch op := next(); op {
		case "out":
			fmt.Println(next())
		case "err":
			fmt.Fprintln(os.Stderr, next())
		case "lines":
			for i := range number() {
				fmt.Printf("line %d\n", i+1)
			}
		case "long":
			fmt.Println(strings.Repeat("x", number()))
		case "flood":
			flood(number())
		case "env":
			name := next()
			if value, ok := os.LookupEnv(name); ok {
				fmt.Println(name + "=" + value)
			} else {
				fmt.Println(name + " is not set")
			}
		case "cat":
			cat(next())
		case "write":
			if err := os.WriteFile(next(), []byte(next()), 0o644); err != nil {
				fmt.Println("write:", err)
			}
		case "fill":
			fill(next(), number())
		case "rights":
			rights()
		case "echo":
			if err := echo(number()); err != nil {
				fmt.Println("echo:", err)
			}
		case "dial":
			if conn, err := net.DialTimeout("tcp", next(), 2*time.Second); err != nil {
				fmt.Println("dial: refused")
			} else {
				_ = conn.Close()
				fmt.Println("dial: connected")
			}
		case "get":
			get(next())
		case "ignore":
			signal.Ignore(syscall.SIGTERM)
		case "term":
			term(number())
		case "beat":
			self("beating", next())
		case "beating":
			beat(next())
		case "grows":
			grows(next())
		case "memory":
			b := bytes.Repeat([]byte{1}, number())
			fmt.Println("took", len(b))
		case "files":
			open(number())
		case "processes":
			n := 0
			for range number() {
				if self("wait") {
					n++
				}
			}
			fmt.Println("started", n)
		case "spin":
			for range number() {
				go func() {
					for n := uint64(1); n != 0; n *= 3 { // which never is
					}
				}()
			}
		case "sleep":
			d, err := time.ParseDuration(next())
			if err != nil {
				fmt.Println("sleep:", err)
			}
			time.Sleep(d)
		case "exit":
			os.Exit(number())
		case "wait":
			for { // a program whose goroutines all wait for ever is ended by the Go runtime
				time.Sleep(time.Hour)
			}
		default:
			fmt.Fprintln(os.Stderr, "hostprogramtest: what is", op)
			os.Exit(64)
		}
	}
}

func flood(total int) {
	w := bufio.NewWriter(os.Stdout)
	for i := range total / 100 {
		fmt.Fprintf(w, "%099d\n", i)
	}
	_ = w.Flush()
}

func cat(name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		fmt.Println(name + ": no such file")
		return
	}
	fmt.Println(strings.TrimRight(string(text), "\n"))
}

func fill(name string, total int) {
	f, err := os.Create(name)
	block := make([]byte, 1<<20)
	for written := 0; err == nil && written < total; written += len(block) {
		_, err = f.Write(block)
	}
	if err != nil {
		fmt.Println(name + " is full")
		return
	}
	fmt.Println("filled")
}

func rights() {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "Uid:" || f[0] == "NoNewPrivs:" || f[0] == "CapEff:") {
			fmt.Println(f[0], f[1])
		}
	}
}

func echo(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintf(conn, "echo: %s\n", lines.Text())
				}
			}()
		}
	}()
	return nil
}

func get(url string) {
	proxy := strings.TrimSuffix(strings.TrimPrefix(os.Getenv("HTTP_PROXY"), "http://"), "/")
	conn, err := net.DialTimeout("tcp", proxy, 2*time.Second)
	if err != nil {
		fmt.Println("get: no proxy")
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", url, host)
	r := bufio.NewReader(conn)
	status, err := r.ReadString('\n')
	for line := status; err == nil && strings.TrimSpace(line) != ""; {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		fmt.Println("get: no answer")
		return
	}
	body, _ := r.ReadString('\n')
	code, _, _ := strings.Cut(strings.TrimPrefix(status, "HTTP/1.1 "), " ")
	fmt.Println("get:", code, strings.TrimSpace(body))
}

func term(code int) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		fmt.Println("terminated")
		os.Exit(code)
	}()
}

// self leaves a process of this program behind.
func self(args ...string) bool {
	cmd := exec.Command(os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start() == nil
}

func beat(name string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	for err == nil {
		_, err = f.WriteString(".")
		time.Sleep(5 * time.Millisecond)
	}
}

func grows(name string) {
	size := func() int64 {
		info, err := os.Stat(name)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	was := size()
	for range 20 {
		time.Sleep(10 * time.Millisecond)
		if size() != was {
			fmt.Println(name, "grows")
			return
		}
	}
	fmt.Println(name, "rests")
}

func open(n int) {
	var files []*os.File
	for range n {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		files = append(files, f)
	}
	fmt.Println("opened", len(files))
}
