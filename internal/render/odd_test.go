package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"offsets/internal/render"
)

// obeyed are the characters that a terminal obeys instead of showing them: control
// characters, and those that turn the direction of the text.
func obeyed(r rune) bool {
	return r < ' ' && r != '\n' || r >= 0x7f && r <= 0x9f || r == '\u061c' || r == '\u200e' || r == '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// odd are texts with all of them, and with what the forms of output themselves care
// about.
func odd() []string {
	out := []string{"", "plain", "a,b", "a\"b", "a\nb", "a\r\nb", "\ttab", " lead", "trail ", "=1+1", "=cmd|' /C calc'!A1", "größe 日本 😀", "\\u202e", `\`, "\\\u202e", "\ufeffbom", "\ufffe", "\uffff", "\u2028\u2029", "\u00ad", "e\u0301", "👩‍👩‍👧", "x: \u202e y", "- \u009b", "null", "~"}
	for r := rune(0); r < 0xffff; r++ {
		if obeyed(r) {
			out = append(out, string(r), "a"+string(r)+"b", "größe "+string(r)+string(r))
		}
	}
	return out
}

// checkOdd writes a text in every form, and reads it back.
func checkOdd(t *testing.T, text string) {
	t.Helper()
	text = strings.ToValidUTF8(text, "\uFFFD")
	row := inner{Name: text, Count: ptr(int64(1)), List: []int32{1}}
	write := func(f render.Format, terminal bool) string {
		t.Helper()
		var b bytes.Buffer
		r := result([]inner{row}, nil)
		r.Terminal = terminal
		if err := render.Write(&b, f, r); err != nil {
			t.Fatalf("%s of %q: %v", f, text, err)
		}
		return b.String()
	}
	for _, f := range render.Formats() {
		for _, terminal := range []bool{false, true} {
			if f == render.CSV && !terminal {
				continue
			}
			if out := write(f, terminal); strings.ContainsFunc(out, obeyed) || !utf8.ValidString(out) {
				t.Errorf("%s of %q, on a terminal %t: %q", f, text, terminal, out)
			}
		}
	}
	var doc struct{ Rows []struct{ Name string } }
	if err := json.Unmarshal([]byte(write(render.JSON, false)), &doc); err != nil || doc.Rows[0].Name != text {
		t.Errorf("JSON of %q: %q, %v", text, doc, err)
	}
	var one struct{ Name string }
	if err := json.Unmarshal([]byte(write(render.JSONL, false)), &one); err != nil || one.Name != text {
		t.Errorf("JSON lines of %q: %q, %v", text, one, err)
	}
	doc.Rows = nil
	if err := yaml.Unmarshal([]byte(write(render.YAML, false)), &doc); err != nil || doc.Rows[0].Name != text {
		t.Errorf("YAML of %q: %q, %v\n%s", text, doc, err, write(render.YAML, false))
	}
	// CSV in a pipe has the text as it is, and nothing but RFC 4180 around it.
	var want bytes.Buffer
	w := csv.NewWriter(&want)
	_ = w.WriteAll([][]string{{"group", "name", "count", "list"}, {"g", text, "1", "[1]"}}) // into memory
	got := write(render.CSV, false)
	if got != want.String() || !strings.Contains(strings.ReplaceAll(got, `""`, `"`), text) {
		t.Errorf("CSV of %q: %q", text, got)
	}
	rows, err := csv.NewReader(strings.NewReader(write(render.CSV, true))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][1] != render.Printable(text) {
		t.Errorf("CSV of %q on a terminal: %q, %v", text, rows, err)
	}
}

// What a terminal obeys comes out of no form raw, but for CSV in a pipe; and what
// is read back is what was written.
func TestOddText(t *testing.T) {
	for _, text := range odd() {
		checkOdd(t, text)
	}
	checkOdd(t, strings.Join(odd(), ""))
	for _, key := range []string{"\u202e", "a\u009b\u2069"} { // of a map, which YAML leaves to its library
		var b bytes.Buffer
		r := render.Result[map[string]string, line]{Name: "rows", Rows: func(yield func(map[string]string, error) bool) { yield(map[string]string{key: key}, nil) }}
		if err := render.Write(&b, render.YAML, r); err != nil || strings.ContainsFunc(b.String(), obeyed) {
			t.Errorf("%q, %v", b.String(), err)
		}
		var doc struct{ Rows []map[string]string }
		if err := yaml.Unmarshal(b.Bytes(), &doc); err != nil || doc.Rows[0][key] != key {
			t.Errorf("%q: %q, %v", b.String(), doc, err)
		}
	}
}

func FuzzOddText(f *testing.F) {
	for _, text := range odd() {
		f.Add(text)
	}
	f.Fuzz(checkOdd)
}

// Escaped is what Marshal does to text that is JSON already, whatever its length.
func TestEscaped(t *testing.T) {
	for _, text := range odd() {
		for n := range 20 {
			plain, err := json.Marshal(strings.Repeat("x", n) + text)
			if err != nil {
				t.Fatal(err)
			}
			was := slices.Clone(plain)
			got := render.Escaped(plain)
			var back string
			if err := json.Unmarshal(got, &back); err != nil || back != strings.Repeat("x", n)+text || bytes.ContainsFunc(got, obeyed) || !bytes.Equal(plain, was) {
				t.Errorf("%q: %q, %v", plain, got, err)
			}
		}
	}
}
