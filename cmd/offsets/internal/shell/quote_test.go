package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostile are names that were made to be more than a name.
func hostile() []string {
	return []string{
		"billing", "orders-v2", "a b", "", "-rf", "--execute", "=ls", "@args", "~", "~root", "#x", "a,b", "%PATH%", "%", "^", "a^b",
		"x; touch PWNED", "x' ; touch PWNED ; '", `a\';touch PWNED;#`, "a\n';touch PWNED;#", "$(touch PWNED)", "`touch PWNED`", "x\"; touch PWNED; \"",
		"x & touch PWNED", "x | touch PWNED", "x > PWNED", "x\ntouch PWNED", "x\rtouch PWNED", "$'\\x0a'touch PWNED", "(touch PWNED)", "{touch,PWNED}",
		"!touch", "!!", "*", "?", "[a-z]", "x* y?", "\x1b]0;t\x07", "\u202eevil", "\u009b1m", "x”; touch PWNED; “", "x’; touch PWNED; ‘", "групп", "ключ 日本", "a\u00a0b",
		"\\", "a\\", "a\\ b", "a\x00b", "\xff", "a'b", "it's", "$HOME", "${HOME}", "a$", "<(touch PWNED)", "x\u2028touch PWNED", strings.Repeat("long ", 1000), "x\u037etouch", "1e3", "0x10",
	}
}

// TestShells gives every name to every shell that is there, as a person would who
// pastes the line, and looks at what arrives.
func TestShells(t *testing.T) {
	tried := 0
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"bash", "-i"}, {"zsh"}, {"zsh", "-i"}, {"fish"}, {"busybox", "sh"}, {"ksh"}, {"pwsh", "-NoProfile"}} {
		path, err := exec.LookPath(shell[0])
		if err != nil {
			t.Logf("no %s here", shell[0])
			continue
		}
		tried++
		t.Run(strings.Join(shell, "-"), func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range hostile() {
				line, ok := Line("printf", "%s.", name)
				if ok {
					t.Fatalf("a percent sign was quoted: %s", line)
				}
				quoted, ok := Quote(name)
				if !ok {
					continue
				}
				cmd := exec.Command(path, append(shell[1:], "-c", "printf '%s.' "+quoted)...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
				if got, err := cmd.Output(); err != nil || strings.HasPrefix(name, "-") == false && string(got) != name+"." {
					t.Errorf("%q as %s: %q, %v", name, quoted, got, err)
				}
			}
			if made, _ := filepath.Glob(filepath.Join(dir, "PWNED*")); len(made) > 0 {
				t.Error("a name was run")
			}
		})
	}
	if tried == 0 {
		t.Skip("no shell here")
	}
}

func FuzzQuote(f *testing.F) {
	for _, name := range hostile() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		quoted, ok := Quote(name)
		if !ok {
			return
		}
		inner, isQuoted := strings.CutPrefix(quoted, `"`)
		if isQuoted {
			inner, _ = strings.CutSuffix(inner, `"`)
		}
		if inner != name || !utf8.ValidString(name) {
			t.Fatalf("%q became %s", name, quoted)
		}
		if strings.ContainsAny(inner, "\"'$`\\!%^\n\r\t\x00\x1b") || !isQuoted && strings.ContainsAny(inner, " *?[](){}<>|&;#~,") {
			t.Fatalf("%q is not safe as %s", name, quoted)
		}
	})
}
