package kafkatest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// supervisor runs its arguments as a child and ends the child when standard
// input closes, which the operating system does for us however this process
// ends. The exec makes file descriptor 3 of standard input, because a shell
// gives its background jobs an empty one.
const supervisor = `exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo $child >"$KAFKATEST_PID"
( cat <&3 >/dev/null; kill -9 $child ) 2>/dev/null &
killer=$!
wait $child
rc=$?
kill $killer 2>/dev/null
exit $rc`

// process is a supervised child.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	pid   string        // the file that has the child's process id
	done  chan struct{} // closed when it ended
}

// startProcess starts argv with its output going to the file log.
func startProcess(log string, argv ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("sh", append([]string{"-c", supervisor, "kafkatest"}, argv...)...)
	cmd.Stdout, cmd.Stderr = out, out
	pid := log + ".pid"
	if err := os.RemoveAll(pid); err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "KAFKATEST_PID="+pid)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, log: log, pid: pid, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // however it ended is told by the log and by who waits
		close(p.done)
	}()
	return p, nil
}

// stop ends the child and waits until it is gone.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.stdin.Close()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
	}
}

// signal sends a signal to the child, not to its supervisor.
func (p *process) signal(sig os.Signal) error {
	text, err := os.ReadFile(p.pid)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	child, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return child.Signal(sig)
}

// waitFor polls ready until it succeeds, the process ends or the time is up.
func (p *process) waitFor(limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the process ended before it was ready: %s", p.logTail())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not ready after %s: %w", limit, err), errors.New(p.logTail()))
		}
	}
}

func (p *process) logTail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return tail(string(b), 3000)
}
