package render

import (
	"bytes"
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
	return escapeControls(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// escapeControls escapes what JSON leaves alone and a terminal may obey, and YAML
// forbids: DEL and the control characters behind it. They are in strings only.
func escapeControls(text []byte) []byte {
	if !bytes.ContainsFunc(text, isLateControl) {
		return text
	}
	var out []byte
	for _, r := range string(text) {
		if isLateControl(r) {
			out = fmt.Appendf(out, "\\u%04x", r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func isLateControl(r rune) bool { return r >= 0x7f && r <= 0x9f }

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
