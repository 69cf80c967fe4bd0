package render

import (
	"bytes"
	"fmt"
	"io"
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

// toYAML makes a document of it.
func toYAML(v any) ([]byte, error) {
	text, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	y := yamlWriter{in: text}
	if y.value(0, false); !y.odd {
		return append(y.out, '\n'), nil
	}
	return byLibrary(text)
}

// yamlWriter writes compact JSON as YAML: what the library writes, byte by byte,
// but without its tree of nodes, which takes forty times as long as the JSON.
// What is not plain is left to the library.
type yamlWriter struct {
	in  []byte // the rest
	out []byte
	odd bool // there is a key that the library has to write
}

// value writes the next value. What it takes more lines for is indented; below
// says that its first line does not stand behind a dash or at the start, but
// behind a key.
func (y *yamlWriter) value(indent int, below bool) {
	switch y.in[0] {
	case '{':
		y.members(indent, below, '}', y.field)
	case '[':
		y.members(indent, below, ']', y.element)
	case '"':
		if below {
			y.out = append(y.out, ' ')
		}
		y.text(y.literal())
	default: // a number, true, false, null
		n := 0
		for n < len(y.in) && y.in[n] != ',' && y.in[n] != ']' && y.in[n] != '}' {
			n++
		}
		if below {
			y.out = append(y.out, ' ')
		}
		y.out, y.in = append(y.out, y.in[:n]...), y.in[n:]
	}
}

// members writes what is between braces or brackets, each with a line of its own.
func (y *yamlWriter) members(indent int, below bool, end byte, one func(indent int)) {
	if y.in[1] == end { // {} and [] have no other form
		if below {
			y.out = append(y.out, ' ')
		}
		y.out, y.in = append(y.out, y.in[:2]...), y.in[2:]
		return
	}
	if below {
		indent += 2
	}
	for y.in[0] != end {
		first := y.in[0] != ','
		y.in = y.in[1:]
		if !first || below {
			y.line(indent)
		}
		one(indent)
		if y.odd {
			return
		}
	}
	y.in = y.in[1:]
}

func (y *yamlWriter) line(indent int) {
	const spaces = "                                "
	y.out = append(y.out, '\n')
	for ; indent > len(spaces); indent -= len(spaces) {
		y.out = append(y.out, spaces...)
	}
	y.out = append(y.out, spaces[:indent]...)
}

func (y *yamlWriter) field(indent int) {
	key := y.literal()
	if key = key[1 : len(key)-1]; !isPlain(key) || len(key) > 100 {
		y.odd = true
		return
	}
	y.out = append(append(y.out, key...), ':')
	y.in = y.in[1:] // the colon
	y.value(indent, true)
}

func (y *yamlWriter) element(indent int) {
	y.out = append(y.out, '-', ' ')
	y.value(indent+2, false)
}

// literal takes a string, with its quotes.
func (y *yamlWriter) literal() []byte {
	n := 1
	for y.in[n] != '"' {
		if y.in[n] == '\\' {
			n++
		}
		n++
	}
	text := y.in[:n+1]
	y.in = y.in[n+1:]
	return text
}

func (y *yamlWriter) text(literal []byte) {
	inner := literal[1 : len(literal)-1]
	switch {
	case isPlain(inner):
		y.out = append(y.out, inner...)
	case isPrintable(inner):
		y.out = append(y.out, literal...)
	default:
		text, err := byLibrary(literal)
		if err != nil {
			y.odd = true // the library says it of the whole
			return
		}
		y.out = append(y.out, bytes.TrimSuffix(text, []byte("\n"))...)
	}
}

// byLibrary lets the library write it. What it leaves alone and a terminal may obey
// is between double quotes then, where the escapes of JSON are those of YAML.
func byLibrary(text []byte) ([]byte, error) {
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
	return Escaped(b.Bytes()), enc.Close()
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

// isPlain: a word without quotes, that no reader of YAML 1.1 takes for something
// else.
func isPlain[T string | []byte](s T) bool {
	if len(s) == 0 || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '-' || c > '9') { // - . / and digits
			return false
		}
	}
	if len(s) > len("false") {
		return true
	}
	switch strings.ToLower(string(s)) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}

// isPrintable: ASCII that stands between quotes as it is.
func isPrintable(s []byte) bool {
	for _, c := range s {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
