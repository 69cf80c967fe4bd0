package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed mutations.txt
var mutationsText string

// mutation is one line of the program changed, and who is to notice.
type mutation struct {
	Number int
	Rule   string // what the line guards
	File   string // below the module's root
	Old    string // the line as it stands, without the spaces around it
	New    string // what stands there instead
	Tests  []test // at least one of them must fail
}

// test is what one go test call runs.
type test struct {
	Package string
	Run     string // a -run expression; "" runs all
}

func (t test) String() string {
	if t.Run == "" {
		return t.Package
	}
	return t.Package + " -run " + t.Run
}

// parse reads the list: blocks of "field: text" lines with an empty line between
// them, and comments that begin with #.
func parse(text string) ([]mutation, error) {
	var out []mutation
	var m mutation
	end := func(line int) error {
		if m.Rule == "" && m.File == "" {
			return nil
		}
		if m.Rule == "" || m.File == "" || m.Old == "" || len(m.Tests) == 0 || m.Old == m.New {
			return fmt.Errorf("the mutation above line %d lacks a field, or changes nothing", line)
		}
		m.Number = len(out) + 1
		out = append(out, m)
		m = mutation{}
		return nil
	}
	n := 0
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		n++
		line := strings.TrimSpace(scan.Text())
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "":
			if err := end(n); err != nil {
				return nil, err
			}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch field {
		case "rule":
			m.Rule = value
		case "file":
			m.File = value
		case "old":
			m.Old = value
		case "new":
			m.New = value
		case "test":
			pkg, run, _ := strings.Cut(value, " ")
			m.Tests = append(m.Tests, test{pkg, strings.TrimSpace(run)})
		default:
			return nil, fmt.Errorf("line %d: unknown field %q", n, field)
		}
	}
	return out, end(n)
}

// apply changes the one line of source that the mutation names.
func (m *mutation) apply(source string) (string, error) {
	lines := strings.Split(source, "\n")
	at := -1
	for i, line := range lines {
		if strings.TrimSpace(line) != m.Old {
			continue
		}
		if at >= 0 {
			return "", fmt.Errorf("%s has the line %q twice", m.File, m.Old)
		}
		at = i
	}
	if at < 0 {
		return "", fmt.Errorf("%s does not have the line %q", m.File, m.Old)
	}
	lines[at] = m.New
	return strings.Join(lines, "\n"), nil
}
