package render

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML is made from the JSON of each row, so that the two cannot disagree.

// writeYAML writes the document of writeDocument.
func (r Result[R, L]) writeYAML(w io.Writer) error {
	var failure error
	rows := 0
	for row, err := range r.Rows {
		if err != nil {
			failure = err
			break
		}
		text, err := toYAML(row)
		if err != nil {
			return err
		}
		if rows == 0 {
			if _, err := fmt.Fprintf(w, "%s:\n", r.Name); err != nil {
				return err
			}
		}
		rows++
		// An element of a list: a dash before its first line, the others below.
		text = bytes.ReplaceAll(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"), []byte("\n  "))
		if _, err := fmt.Fprintf(w, "- %s\n", text); err != nil {
			return err
		}
	}
	if rows == 0 {
		if _, err := fmt.Fprintf(w, "%s: []\n", r.Name); err != nil {
			return err
		}
	}
	if r.Tail != nil {
		text, err := toYAML(r.Tail())
		if err != nil {
			return err
		}
		if !bytes.Equal(bytes.TrimSpace(text), []byte("{}")) {
			if _, err := w.Write(text); err != nil {
				return err
			}
		}
	}
	return failure
}

// writeYAMLStream writes a document for each line of an endless result.
func (r Result[R, L]) writeYAMLStream(w io.Writer) error {
	for line, err := range r.lines() {
		if err != nil {
			return err
		}
		text, err := toYAML(line)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}

func toYAML(v any) ([]byte, error) {
	text, err := marshal(v)
	if err != nil {
		return nil, err
	}
	// JSON is YAML; as a tree of nodes it keeps the order of its fields.
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	plainStyle(&doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// plainStyle takes away the braces and quotes of JSON, where YAML can do without.
func plainStyle(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&yaml.DoubleQuotedStyle != 0 && !isPlain(n.Value):
	case n.Kind != yaml.ScalarNode && len(n.Content) == 0: // {} and [] have no other form
	default:
		n.Style = 0
	}
	for _, child := range n.Content {
		plainStyle(child)
	}
}

var plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// isPlain: a word without quotes, that no reader of YAML 1.1 takes for something
// else.
func isPlain(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return plainWord.MatchString(s)
}
