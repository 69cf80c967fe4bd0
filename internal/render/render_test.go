package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"offsets/internal/render"
)

type inner struct {
	Name  string  `json:"name"`
	Count *int64  `json:"count"`
	List  []int32 `json:"list"`
}

type line struct {
	Group string `json:"group"`
	inner
}

func result(rows []inner, failure error) render.Result[inner, line] {
	return render.Result[inner, line]{
		Name: "rows",
		Rows: func(yield func(inner, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
			if failure != nil {
				yield(inner{}, failure)
			}
		},
		Tail: func() any {
			return struct {
				Seen string `json:"seen"`
			}{"all"}
		},
		Lines: func(r inner) iter.Seq[line] { return slices.Values([]line{{"g", r}}) },
		Sections: func(rows iter.Seq[inner]) iter.Seq[render.Section] {
			return slices.Values([]render.Section{{
				Title:   "title",
				Columns: []render.Column{{Name: "NAME"}, {Name: "COUNT", Right: true}, {Name: "NEVER", Optional: true}},
				Empty:   "no rows",
				Footer:  func() string { return "footer" },
				Rows: func(yield func([]string) bool) {
					for r := range rows {
						count := ""
						if r.Count != nil {
							count = fmt.Sprint(*r.Count)
						}
						if !yield([]string{r.Name, count, ""}) {
							return
						}
					}
				},
			}})
		},
	}
}

func ptr[T any](v T) *T { return &v }

func rows(n int) []inner {
	out := make([]inner, n)
	for i := range out {
		out[i] = inner{Name: fmt.Sprintf("row %d", i), Count: ptr(int64(i)), List: []int32{1}}
	}
	return out
}

func write(t *testing.T, f render.Format, r render.Result[inner, line]) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.Write(&b, f, r); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	data := []inner{{Name: `a,"<ü>`, Count: ptr(int64(1<<53 + 1)), List: []int32{1, 2}}, {Name: "b"}}
	for f, want := range map[render.Format]string{
		render.JSON:  "{\"rows\":[\n{\"name\":\"a,\\\"<ü>\",\"count\":9007199254740993,\"list\":[1,2]},\n{\"name\":\"b\",\"count\":null,\"list\":null}\n],\"seen\":\"all\"}\n",
		render.JSONL: "{\"group\":\"g\",\"name\":\"a,\\\"<ü>\",\"count\":9007199254740993,\"list\":[1,2]}\n{\"group\":\"g\",\"name\":\"b\",\"count\":null,\"list\":null}\n",
		render.CSV:   "group,name,count,list\ng,\"a,\"\"<ü>\",9007199254740993,\"[1,2]\"\ng,b,,\n",
		render.Table: "title\nNAME               COUNT\na,\"<ü>  9007199254740993\nb                      -\nfooter\n",
	} {
		if got := write(t, f, result(data, nil)); got != want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", f, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	for f, want := range map[render.Format]string{
		render.JSON: "{\"rows\":[],\"seen\":\"all\"}\n", render.JSONL: "", render.CSV: "group,name,count,list\n", render.Table: "title\nno rows\nfooter\n",
	} {
		if got := write(t, f, result(nil, nil)); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

// An error behind some rows: they are there, the JSON is whole, and the error
// comes back.
func TestErrorBehindRows(t *testing.T) {
	broken := errors.New("broken")
	for _, f := range render.Formats() {
		var b bytes.Buffer
		if err := render.Write(&b, f, result(rows(2), broken)); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", f, err)
		}
		if !strings.Contains(b.String(), "row 1") {
			t.Errorf("%s: lacks the rows: %s", f, b.String())
		}
		if f == render.JSON && !json.Valid(b.Bytes()) {
			t.Errorf("not JSON: %s", b.String())
		}
	}
}

// A writer that fails ends the work.
func TestFailingWriter(t *testing.T) {
	for _, f := range render.Formats() {
		if err := render.Write(failing{}, f, result(rows(5000), nil)); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// Long tables have the same look as short ones, and lose no row.
func TestLongTable(t *testing.T) {
	short := strings.Split(write(t, render.Table, result(rows(200), nil)), "\n")
	long := strings.Split(write(t, render.Table, result(rows(1002), nil)), "\n")
	for i := range 202 { // title, header, 200 rows
		if short[i] != long[i] {
			t.Fatalf("line %d: %q in a short table, %q in a long one", i, short[i], long[i])
		}
	}
	if long[1003] != "row 1001   1001" {
		t.Errorf("last row: %q", long[1003])
	}
}

// Names with line breaks or escape sequences stay on their line.
func TestUnprintable(t *testing.T) {
	got := write(t, render.Table, result([]inner{{Name: "a\nb\x1b[31m"}}, nil))
	if !strings.Contains(got, `a\nb\x1b[31m  `) {
		t.Errorf("got %q", got)
	}
}

func TestCSVIsReadable(t *testing.T) {
	records, err := csv.NewReader(strings.NewReader(write(t, render.CSV, result(rows(100), nil)))).ReadAll()
	if err != nil || len(records) != 101 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

// The measurement behind smallTable: tablewriter below it, the plain writer
// beyond.
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{100, 200, 201, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := rows(n)
			b.ReportAllocs()
			for b.Loop() {
				if err := render.Write(io.Discard, render.Table, result(data, nil)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
		})
	}
}

// YAML says what JSON says: it is read back and compared, odd strings and large
// numbers among it.
func TestYAMLIsTheJSON(t *testing.T) {
	big := int64(1<<63 - 1)
	rows := []inner{{"a", &big, []int32{1, 2}}, {"1", nil, []int32{}}, {"true", nil, nil}, {"x: y\n- z \"q\" 'r' #\ttab", nil, []int32{3}}, {" lead", nil, nil}, {"größe 😀", nil, nil}, {"", nil, nil}, {"null", nil, nil}, {"2026-11-23T08:00:00Z", nil, nil}, {"0x10", nil, nil}, {"~", nil, nil}, {"\x00\x1b[31m", nil, nil}}
	for _, rows := range [][]inner{rows, rows[:1], nil} {
		var y, j bytes.Buffer
		if err := render.Write(&y, render.YAML, result(rows, nil)); err != nil {
			t.Fatal(err)
		}
		if err := render.Write(&j, render.JSON, result(rows, nil)); err != nil {
			t.Fatal(err)
		}
		var read any
		if err := yaml.Unmarshal(y.Bytes(), &read); err != nil {
			t.Fatalf("%v in\n%s", err, y.String())
		}
		back, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		for text, v := range map[string]*any{string(back): &a, j.String(): &b} {
			dec := json.NewDecoder(strings.NewReader(text))
			dec.UseNumber()
			if err := dec.Decode(v); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("YAML\n%s\nis %v\nJSON %v", y.String(), a, b)
		}
	}
}

// Wide columns are in the wide form only.
func TestWide(t *testing.T) {
	r := result([]inner{{"a", nil, nil}}, nil)
	sections := r.Sections
	r.Sections = func(rows iter.Seq[inner]) iter.Seq[render.Section] {
		return func(yield func(render.Section) bool) {
			for s := range sections(rows) {
				s.Columns[1].Wide = true
				if !yield(s) {
					return
				}
			}
		}
	}
	for f, want := range map[render.Format]string{render.Table: "title\nNAME\na\nfooter\n", render.Wide: "title\nNAME  COUNT\na         -\nfooter\n"} {
		var b strings.Builder
		if err := render.Write(&b, f, r); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v; want %q", f, b.String(), err, want)
		}
	}
}

// A wide cell far down must not push its line out of shape where all rows are
// held; an optional column that only a late row fills is there.
func TestHeldTableAligns(t *testing.T) {
	rows := make([][]string, 1500)
	for i := range rows {
		rows[i] = []string{"g", "", "1"}
	}
	rows[1400] = []string{"日本語-グループ", "late", "22"}
	type row struct{}
	result := render.Result[row, row]{
		Rows: func(func(row, error) bool) {},
		Sections: func(iter.Seq[row]) iter.Seq[render.Section] {
			return slices.Values([]render.Section{{
				Columns: []render.Column{{Name: "GROUP"}, {Name: "NOTE", Optional: true}, {Name: "N", Right: true}},
				Rows:    slices.Values(rows), Held: true,
			}})
		},
	}
	var b bytes.Buffer
	if err := render.Write(&b, render.Table, result); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	want := map[int]string{0: "GROUP            NOTE   N", 1: "g                -      1", 1401: "日本語-グループ  late  22"}
	for i, line := range want {
		if lines[i] != line {
			t.Errorf("line %d: %q, want %q", i, lines[i], line)
		}
	}
	if len(lines) != len(rows)+1 {
		t.Errorf("%d lines, want %d", len(lines), len(rows)+1)
	}
}
