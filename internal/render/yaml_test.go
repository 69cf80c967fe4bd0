package render

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"testing"
)

type yamlRow struct {
	Group   string         `json:"group"`
	Members []string       `json:"members"`
	Nested  [][]any        `json:"nested"`
	Any     any            `json:"any"`
	Map     map[string]any `json:"map"`
	Parts   []yamlPart     `json:"partitions"`
}

type yamlPart struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Committed *int64   `json:"committed"`
	Time      *string  `json:"next_unread"`
	Rate      float64  `json:"rate"`
	Problems  []string `json:"problems"`
}

// YAML is what the library makes of the JSON, byte by byte.
func TestYAMLIsWhatTheLibraryWrites(t *testing.T) {
	words := []string{"", "g", "a b", "yes", "No", "NULL", "null", "~", "true", "1", "-1", "0x1f", "1e5", "1.5", "2026-01-02T03:04:05.000Z", "2026-01-02",
		"a:b", "a: b", "#x", "x #y", "- a", "-", "---", "...", "a/b.c-d_e", "_x", ".x", "é", "日本", "😀", "\u2028", "\u0085", "\x7f", "\x00", "\n", "a\nb\n", "\t", " a ",
		"\"", "'", "\\", "\\n", "{", "[", "}", "]", ",", "?", "&a", "*a", "!x", "|", ">", "%", "@", "`", "=", "<<", "<b>&", "bad\xff", "\ufeff", "e1", "inf", ".inf", "NaN", "y", "N", "on", "OFF",
		string(bytes.Repeat([]byte("long "), 60)), string(bytes.Repeat([]byte("x"), 300))}
	n, at := int64(1)<<62, "2026-01-02T03:04:05.000Z"
	values := []any{nil, true, false, 0, -1, n, uint64(1) << 63, 1e21, 1e-7, 0.1, []any{}, map[string]any{}, []any{[]any{}, map[string]any{}, []any{nil, []any{1, "a"}}},
		[]any{map[string]any{"a": []any{map[string]any{"b": 1, "c": []any{}}}}}, yamlRow{}, &yamlRow{Members: words},
		yamlRow{Group: "g", Members: words[:3], Nested: [][]any{{}, {1, "x"}, nil}, Any: map[string]any{"k": []any{1, map[string]any{"z": nil}}},
			Parts: []yamlPart{{Topic: "t"}, {Topic: "t", Partition: 1, Committed: &n, Time: &at, Rate: 1.25, Problems: words}}}}
	for _, w := range words {
		values = append(values, w, []any{w}, map[string]any{w: w}, yamlRow{Group: w, Map: map[string]any{w: []any{w, w}, "other": map[string]any{w: nil}}})
	}
	for _, v := range values {
		text, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := byLibrary(text)
		got, err := toYAML(v)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot %v\n%s\nwant %v\n%s", text, err, got, wantErr, want)
		}
	}
}

// One shape for both: BenchmarkDocument/yaml should stay near BenchmarkDocument/json.
func BenchmarkDocument(b *testing.B) {
	n, at := int64(12345678), "2026-01-02T03:04:05.000Z"
	rows := func() iter.Seq2[yamlRow, error] {
		return func(yield func(yamlRow, error) bool) {
			for i := range 100 {
				row := yamlRow{Group: fmt.Sprintf("group-%d", i), Members: []string{}}
				for p := range 100 {
					row.Parts = append(row.Parts, yamlPart{Topic: "orders.v1", Partition: int32(p), Committed: &n, Time: &at, Problems: []string{}})
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
	for _, f := range []Format{JSON, YAML} {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, f, Result[yamlRow, yamlRow]{Name: "groups", Rows: rows()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
