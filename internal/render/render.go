package render

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Format is a form of output.
type Format string

// The forms of output.
const (
	Table Format = "table"
	Wide  Format = "wide" // a table with more columns
	JSON  Format = "json"
	JSONL Format = "jsonl" // one object a line, for each line of the result
	CSV   Format = "csv"   // a header of the JSON field names
	YAML  Format = "yaml"  // the JSON document as YAML
)

// Formats are all forms, in the order in which help names them.
func Formats() []Format { return []Format{Table, Wide, JSON, JSONL, CSV, YAML} }

// IsTable says whether a form is for people.
func (f Format) IsTable() bool { return f == Table || f == Wide }

// Result is a typed answer: rows, and what is known when they are all read.
//
// R is a row of the JSON document; L is a line of jsonl and CSV, a struct with
// JSON tags.
type Result[R, L any] struct {
	// Name is the field of the JSON document that holds the rows. With no
	// name, JSON has the form of JSONL: for endless streams.
	Name string
	// Rows ends at the first error, which Write returns.
	Rows iter.Seq2[R, error]
	// Tail returns a struct whose fields follow the rows in the JSON document.
	Tail func() any
	// Lines flattens a row.
	Lines func(R) iter.Seq[L]
	// Terminal: a person sees it as it is. CSV is escaped then as tables are; all
	// other forms always are.
	Terminal bool
	// Headless leaves out the header of CSV: it was written before.
	Headless bool
	// Sections lays rows out for people.
	Sections func(iter.Seq[R]) iter.Seq[Section]
}

// Write writes the result. What was written when an error comes is complete
// as far as it goes: a JSON document is closed.
func Write[R, L any](w io.Writer, f Format, r Result[R, L]) error {
	switch {
	case f.IsTable():
		return r.writeTable(w, f == Wide)
	case f == YAML && r.Name == "":
		return r.writeYAMLStream(w)
	case f == YAML:
		return r.writeYAML(w)
	case f == CSV:
		return r.writeCSV(w)
	case f == JSONL, f == JSON && r.Name == "":
		return r.writeLines(w)
	case f == JSON:
		return r.writeDocument(w)
	}
	return fmt.Errorf("unknown output format %q", f)
}

// Marshal encodes like json.Marshal, but leaves <, > and & alone: the output
// goes to a terminal or a pipe, not into a web page. What a terminal may obey is
// escaped.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return Escaped(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// Escaped is text that is JSON, with escapes for what JSON leaves alone and a
// terminal may obey, or YAML forbids. That is in strings only, so the text says
// what it said. It returns the very text where there is none of it.
func Escaped(text []byte) []byte {
	if isPlainASCII(text) || !bytes.ContainsFunc(text, needsEscape) {
		return text
	}
	var out []byte
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if needsEscape(r) {
			out = fmt.Appendf(out, "\\u%04x", r)
		} else {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// isPlainASCII: there is neither DEL nor a byte of something longer in it. It looks
// at eight bytes at a time, because there may be gigabytes.
func isPlainASCII(text []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		if x := binary.LittleEndian.Uint64(text); (x|(x+ones))&high != 0 { // of ASCII, DEL alone gets a high bit
			return false
		}
	}
	for _, c := range text {
		if c >= 0x7f {
			return false
		}
	}
	return true
}

// needsEscape: DEL and the control characters behind it; marks that turn the
// direction of the text; and what is no character at all, which YAML refuses.
// encoding/json escapes the first control characters itself.
func needsEscape(r rune) bool {
	switch {
	case r < 0x7f:
		return false
	case r <= 0x9f, r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfffe, r == 0xffff:
		return true
	}
	return false
}

// writeDocument writes {"name":[rows…],tail…}, a row a line.
func (r Result[R, L]) writeDocument(w io.Writer) error {
	name, err := Marshal(r.Name)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "{%s:[", name); err != nil {
		return err
	}
	var failure error
	sep := "\n"
	for row, err := range r.Rows {
		if err != nil {
			failure = err
			break
		}
		b, err := Marshal(row)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", sep, b); err != nil {
			return err
		}
		sep = ",\n"
	}
	end := "]"
	if sep != "\n" {
		end = "\n]"
	}
	if r.Tail != nil {
		b, err := Marshal(r.Tail())
		if err != nil {
			return err
		}
		if fields := bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("{")), []byte("}")); len(fields) > 0 {
			end += "," + string(fields)
		}
	}
	if _, err := fmt.Fprintf(w, "%s}\n", end); err != nil {
		return err
	}
	return failure
}

// lines yields each line of each row, and an error last.
func (r Result[R, L]) lines() iter.Seq2[L, error] {
	return func(yield func(L, error) bool) {
		for row, err := range r.Rows {
			if err != nil {
				var none L
				yield(none, err)
				return
			}
			for line := range r.Lines(row) {
				if !yield(line, nil) {
					return
				}
			}
		}
	}
}

func (r Result[R, L]) writeLines(w io.Writer) error {
	for line, err := range r.lines() {
		if err != nil {
			return err
		}
		b, err := Marshal(line)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (r Result[R, L]) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	fields := csvFields(reflect.TypeFor[L](), nil)
	header := make([]string, len(fields))
	for i, f := range fields {
		header[i] = f.name
	}
	if !r.Headless {
		if err := out.Write(header); err != nil {
			return err
		}
	}
	for line, err := range r.lines() {
		if err != nil {
			out.Flush()
			return err
		}
		cells := make([]string, len(fields))
		for i, f := range fields {
			if cells[i], err = csvCell(reflect.ValueOf(line).FieldByIndex(f.index)); err != nil {
				return err
			}
			if r.Terminal {
				cells[i] = Printable(cells[i])
			}
		}
		if err := out.Write(cells); err != nil {
			return err
		}
		out.Flush() // rows of a stream are not kept back; w may buffer
	}
	out.Flush()
	return out.Error()
}

type csvField struct {
	name  string
	index []int
}

// csvFields lists a struct's JSON fields, those of embedded structs in place.
func csvFields(t reflect.Type, prefix []int) []csvField {
	var out []csvField
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int{}, prefix...), i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			out = append(out, csvFields(f.Type, index)...)
		case tag != "" && tag != "-":
			out = append(out, csvField{tag, index})
		}
	}
	return out
}

// csvCell: nil is empty, text is itself, everything else is JSON.
func csvCell(v reflect.Value) (string, error) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return "", nil
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return strings.ToValidUTF8(v.String(), "\uFFFD"), nil // as in JSON
	}
	if v.Kind() == reflect.Slice && v.IsNil() {
		return "", nil
	}
	b, err := Marshal(v.Interface())
	return string(b), err
}
